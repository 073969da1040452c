"""Write files in the form of the public recordings, with everything that makes such files awkward."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.recordings.written import EA_HEADER, UCI_HEADER

HOURS = 21 * 24
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
ODD_AIR = {
    30: {"CO(GT)": "50", "NOx(GT)": "1000", "C6H6(GT)": "0", "T": "-20", "RH": "100"},
    31: {"CO(GT)": "50,1", "NOx(GT)": "1000,5", "C6H6(GT)": "-0,1", "T": "-20,1", "RH": "100,01"},
    32: {"CO(GT)": "", "AH": "10000000000000000"},
    33: {"AH": "0,1"},
    34: {"AH": "-10000000000000000", "PT08.S5(O3)": "1.268,5"},
}
DETERMINANDS = {
    "Ammonia(N)": ("mg/l", (4.0, 6.0)),
    "BOD ATU": ("mg/l", (15.0, 24.0)),
    "pH": ("phunits", (8.0, 8.8)),
    "Temp Water": ("cel", (2.0, 19.0)),
}
CLOCK_CHANGES = ("2021-03-28T00:59:00", "2021-03-28T02:00:00", "2021-10-31T00:30:00", "2021-10-31T02:30:00")


def write_air(path: Path, seed: int = 1) -> Path:
    """Three weeks of hours across a clock change, which the station's clock does not follow.

    Decimal commas, missing codes, values at and beyond their ranges, an empty one, thousands parted by a dot,
    two rows of one hour, a byte order mark, rows of separators at the end.
    """
    chance = random.Random(seed)
    begin = datetime(2004, 3, 14, tzinfo=UTC)
    rows = [_air_row(chance, begin + timedelta(hours=hour), ODD_AIR.get(hour, {})) for hour in range(HOURS)]
    rows[100:100] = [_air_row(chance, begin + timedelta(hours=99), {}) for _ in range(2)]
    lines = [UCI_HEADER, *rows, *[";" * 16] * 40]
    path.write_bytes(BYTE_ORDER_MARK + "".join(f"{line}\r\n" for line in lines).encode())
    return path


def _air_row(chance: random.Random, at: datetime, odd: dict[str, str]) -> str:
    names = UCI_HEADER.rstrip(";").split(";")[2:]
    values = [odd.get(name) or ("" if name in odd else _measured(chance, name)) for name in names]
    return ";".join([at.strftime("%d/%m/%Y;%H.%M.%S"), *values]) + ";;"


def _measured(chance: random.Random, name: str) -> str:
    if chance.random() < 0.1:
        return "-200"
    if name in {"T", "RH", "CO(GT)", "C6H6(GT)"}:
        return f"{chance.uniform(0, 40):.1f}".replace(".", ",")
    return f"{chance.uniform(0, 2):.4f}".replace(".", ",") if name == "AH" else str(chance.randrange(1600))


def write_water(path: Path, points: int = 4, samples: int = 60, seed: int = 2) -> Path:
    """Samples of five years, not in order of time, around limits, some at changes of the British clock.

    Censored values of both kinds, among them one above its limit, and a value that is there twice.
    """
    chance = random.Random(seed)
    rows = []
    for point in range(points):
        for number in range(samples):
            day = datetime(2018, 1, 3, tzinfo=UTC) + timedelta(
                days=30 * number, minutes=chance.randrange(1440)
            )
            local = (
                CLOCK_CHANGES[number] if number < len(CLOCK_CHANGES) else day.strftime("%Y-%m-%dT%H:%M:00")
            )
            rows += [_water_row(chance, point, local, label) for label in DETERMINANDS]
    chance.shuffle(rows)
    again = "2019-05-05T10:00:00"
    rows += [_row_of(0, again, "pH", told) for told in ("8.45", "8.7")]
    rows += [_row_of(1, again, "BOD ATU", ">25"), _row_of(1, again, "Ammonia(N)", "<5")]
    path.write_text("".join(f"{line}\n" for line in [EA_HEADER, *rows]), encoding="utf-8")
    return path


def _water_row(chance: random.Random, point: int, local: str, label: str) -> str:
    censored = "<" if chance.random() < 0.25 else ""
    return _row_of(point, local, label, f"{censored}{chance.uniform(*DETERMINANDS[label][1]):.3g}")


def _row_of(point: int, local: str, label: str, told: str) -> str:
    """A row of a result; the sign of a censored one stands in a column of its own."""
    notation, result = f"NE-4910010{point}", told.lstrip("<>")
    return (
        f'http://x/{notation},http://x/sp/{notation},{notation},"BECK, AT A{point}",{local},{label},{label},0111,'
        f"{told.removesuffix(result)},{result},,{DETERMINANDS[label][0]},RIVER / RUNNING SURFACE WATER,false,"
        f'"MONITORING, (TEST)",4025{point:02d},488900'
    )
