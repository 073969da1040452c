"""Small files of the same form as the public recordings, which are never part of the project."""

import math
from pathlib import Path

UCI_HEADER = (
    "Date;Time;CO(GT);PT08.S1(CO);NMHC(GT);C6H6(GT);PT08.S2(NMHC);NOx(GT);PT08.S3(NOx);NO2(GT);"
    "PT08.S4(NO2);PT08.S5(O3);T;RH;AH;;"
)
EA_HEADER = (
    "@id,sample.samplingPoint,sample.samplingPoint.notation,sample.samplingPoint.label,sample.sampleDateTime,"
    "determinand.label,determinand.definition,determinand.notation,resultQualifier.notation,result,"
    "codedResultInterpretation.interpretation,determinand.unit.label,sample.sampledMaterialType.label,"
    "sample.isComplianceSample,sample.purpose.label,sample.samplingPoint.easting,sample.samplingPoint.northing"
)
DETERMINANDS = (("Ammonia(N)", "mg/l"), ("Temp Water", "cel"), ("pH", "phunits"), ("Sld Sus@105C", "mg/l"))


def write_uci(path: Path, hours: int = 48, *, junk: int = 5) -> Path:
    """Hourly rows with decimal commas, a missing code every fifth CO, two empty columns, junk rows at the end."""
    rows = [UCI_HEADER]
    for hour in range(hours):
        day, of_day = 10 + hour // 24, hour % 24
        co = "-200" if hour % 5 == 4 else _comma(2.0 + math.sin(hour))
        rows.append(
            f"{day:02d}/03/2004;{of_day:02d}.00.00;{co};{1300 + hour};150;{_comma(9.5)};1046;166;1056;113;1692;"
            f"1268;{_comma(13.0 + hour / 10)};{_comma(48.9)};{_comma(0.7578)};;"
        )
    rows += [";" * 16] * junk
    path.write_bytes(("\r\n".join(rows) + "\r\n").encode())
    return path


def write_ea(path: Path, points: int = 3, samples: int = 10) -> Path:
    """A row a value, out of time order, every third ammonia censored; the first point repeats one value."""
    rows = [EA_HEADER]
    for point in range(points):
        for sample in reversed(range(samples)):
            at = f"2021-0{1 + sample % 6}-1{sample % 10}T08:3{point}:00"
            for number, (label, unit) in enumerate(DETERMINANDS):
                censored = label.startswith("Ammonia") and sample % 3 == 0
                rows.append(
                    _ea_row(
                        point,
                        at,
                        label,
                        unit=unit,
                        qualifier="<" if censored else "",
                        result=f"{0.03 + number + sample / 10:g}",
                    )
                )
        if point == 0:
            rows.append(_ea_row(0, "2021-01-10T08:30:00", "pH", unit="phunits", qualifier="", result="8.25"))
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def _ea_row(point: int, at: str, label: str, *, unit: str, qualifier: str, result: str) -> str:
    notation = f"NE-4910003{point}"
    return (
        f"http://x/{notation},http://x/sp/{notation},{notation},POINT {point},{at},{label},{label},0111,{qualifier},"
        f'{result},,{unit},RIVER / RUNNING SURFACE WATER,false,"MONITORING, (TEST)",4025{point:02d},488900'
    )


def _comma(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".").replace(".", ",")
