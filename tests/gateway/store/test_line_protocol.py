"""Lines are byte for byte what a plain f-string gives, and nothing in them breaks the format."""

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_gateway.records.window_block import STATE_ROW, WindowBlock
from edge_gateway.store.line_protocol import (
    Limit,
    field_text,
    prefix,
    render_alert,
    render_gateway,
    render_late,
    render_limit,
    render_states,
    render_unit,
    render_windows,
    tag_text,
)
from edge_gateway.windows.merge import sums
from edge_gateway.windows.reduce import Readings, rows_of_states, rows_of_values
from tests.gateway.records.transitions import too_warm

EVERY = 60_000
T0 = 1_760_000_000_000 // EVERY * EVERY

numbers = (
    st.floats(-1e9, 1e9) | st.integers(-1000, 1000).map(float) | st.sampled_from([1e300, 5e-324, 1e-7, 3e9])
)
measured = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 3 * EVERY), numbers, st.integers(0, 1000)), max_size=40
)


def block_of(held: list[tuple[int, int, float, int]], p95: bool) -> WindowBlock:
    series, ts, value, quality = zip(*held, strict=True) if held else ((), (), (), ())
    readings = Readings(
        np.array(series, np.int64),
        np.array(ts, np.int64) + T0,
        np.array(value, np.float64) + 0.0,
        np.array(quality, np.uint16),
    )
    return rows_of_values(EVERY, readings, np.array([p95, not p95, p95]))


def plain_number(value: float) -> str:
    """Write a float as Python does, but for the zeros and signs Python puts into exponents."""
    if 1e-5 <= abs(value) < 1e-4:
        return fixed(value)
    return re.sub(r"e([+-])0*", lambda found: "e" + found[1].replace("+", ""), repr(value))


def fixed(value: float) -> str:
    """Write a number below 1e-4, which Python gives an exponent, in full."""
    digits, exponent = repr(abs(value)).split("e-")
    return ("-" if value < 0 else "") + "0." + "0" * (int(exponent) - 1) + digits.replace(".", "")


def plain_line(before: str, row: np.void, total: float) -> str:
    mean, quality = total / row["count"], row["quality"] / (row["count"] * 1000.0)
    p95 = "" if math.isnan(row["p95"]) else f",p95={plain_number(float(row['p95']))}"
    first, last, low, high = (plain_number(float(row[name])) for name in ("first", "last", "min", "max"))
    return (
        f"{before} count={row['count']}i,first={first},last={last},max={high},mean={plain_number(float(mean))}"
        f",min={low}{p95},quality={plain_number(float(quality))},sum={plain_number(total)} {row['start']}000000\n"
    )


@settings(deadline=None)
@given(measured, st.booleans())
def test_windows_are_what_a_plain_f_string_gives(held: list[tuple[int, int, float, int]], p95: bool) -> None:
    block = block_of(held, p95)
    befores = [f"sensor,device=d{series},metric=m" for series in block.rows["series"].tolist()]
    totals = sums(block.rows, block.tails).tolist()
    expected = "".join(map(plain_line, befores, block.rows, totals))
    rendered = render_windows([before.encode() for before in befores], block)
    assert rendered.decode() == expected


def test_a_window_as_it_stands_in_the_schema() -> None:
    block = block_of([(0, 0, 1.0, 1000), (0, 5, 2.0, 500), (0, 7, -0.0, 0)], p95=False)
    labels = {"type": "freezer", "site": "berlin", "metric": "temperature", "device": "frz-00042"}
    assert render_windows([prefix("sensor", labels)], block) == (
        b"sensor,device=frz-00042,metric=temperature,site=berlin,type=freezer "
        b"count=3i,first=1.0,last=0.0,max=2.0,mean=1.0,min=0.0,quality=0.5,sum=3.0 %d000000\n" % T0
    )


def test_a_sum_beyond_all_doubles_is_left_out_with_its_mean() -> None:
    block = block_of([(0, 0, 1.7e308, 1000), (0, 1, 1.7e308, 1000), (1, 0, 1.0, 1000)], p95=False)
    first, second = render_windows([b"a", b"b"], block).splitlines()
    assert first == b"a count=2i,first=1.7e308,last=1.7e308,max=1.7e308,min=1.7e308,quality=1.0 %d000000" % T0
    assert b",p95=1.0," in second


def test_no_rows_are_no_lines() -> None:
    block = block_of([], p95=False)
    assert render_windows([], block) == b""
    assert render_states([], np.empty(0, STATE_ROW), []) == b""


def test_states_name_the_last_text_and_count_changes() -> None:
    ts = T0 + np.arange(3)
    readings = Readings(np.zeros(3, np.int64), ts, np.array([1.0, 2.0, 1.0]), np.zeros(3, np.uint16))
    rows = rows_of_states(EVERY, readings).rows
    line = render_states([b"sensor_state,device=a"], rows, ['say "open"\n\\'])
    assert line == b'sensor_state,device=a last="say \\"open\\"\\\\n\\\\",changes=2i %d000000\n' % T0


def unescaped(text: str) -> str:
    return re.sub(r"\\([,= ])", r"\1", text)


def parsed(line: str) -> tuple[str, dict[str, str]]:
    """Read measurement and tags as InfluxDB does: a separator counts unless a backslash stands before it."""
    measurement, *tags = re.split(r"(?<!\\),", line)
    pairs = [re.split(r"(?<!\\)=", tag) for tag in tags]
    assert all(len(pair) == 2 for pair in pairs), line
    return unescaped(measurement), {unescaped(key): unescaped(value) for key, value in pairs}


labels = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
tricky = st.text(st.sampled_from('a,= \\"\né'), min_size=1, max_size=8)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["device", "zone", "Ort"]), labels | tricky, max_size=3))
def test_tags_read_back_as_they_were_but_for_line_feeds_and_a_last_backslash(tags: dict[str, str]) -> None:
    def kept(text: str) -> str:
        text = text.replace("\n", "\\n").replace("\r", "\\r")
        return text + "_" if text.endswith("\\") else text

    rendered = prefix("sensor", tags).decode()
    assert "\n" not in rendered
    assert not re.search(r"(?<!\\) ", rendered)
    assert parsed(rendered) == ("sensor", {key: kept(value) for key, value in tags.items()})


@settings(deadline=None)
@given(labels | tricky)
def test_a_string_field_ends_where_its_quote_is(text: str) -> None:
    body = field_text(text)
    assert re.fullmatch(r'(?:[^"\\\n]|\\["\\])*', body)
    assert re.sub(r'\\(["\\])', r"\1", body) == text.replace("\n", "\\n").replace("\r", "\\r")


def test_tags_are_sorted_and_empty_ones_left_out() -> None:
    assert prefix("m x,y", {"b": "2", "a": "1", "c": ""}) == b"m\\ x\\,y,a=1,b=2"


@pytest.mark.parametrize("name", ["time", "value", "sum", "why", "_field"])
def test_a_tag_key_never_meets_a_field_or_a_reserved_name(name: str) -> None:
    assert prefix("sensor", {name: "x"}) == f"sensor,tag_{name}=x".encode()


def test_a_tag_key_is_escaped_like_a_value() -> None:
    assert tag_text("a b=c,d\\") == "a\\ b\\=c\\,d\\_"


def test_alerts() -> None:
    time, what = T0 * 10**6, b'cause="reading",event="firing",level="critical",state="firing"'
    assert render_alert(too_warm(at=T0)) == (
        b"alert,device=frz-1,rule=TooWarm,site=berlin %b,limit=-12.0,value=-9.5 %d\n" % (what, time)
    )
    reminder = render_alert(too_warm(at=T0, event="reminder", since=T0 - 1, acked=True))
    assert b",acked=true,since=%di,limit=-12.0,value=-9.5 %d\n" % (T0 - 1, time) in reminder
    for nothing in (None, math.nan):
        line = render_alert(too_warm(at=T0, value=nothing, limit=nothing, site=""))
        assert line == b"alert,device=frz-1,rule=TooWarm %b %d\n" % (what, time)


def test_units_and_limits() -> None:
    assert render_unit("temp", "\u00b0C", T0) == f'metric,metric=temp unit="\u00b0C" {T0}000000\n'.encode()
    limit = Limit("Too warm", "critical", "t", "above", "berlin", -10.0, -12.5)
    tags = rb"limit,level=critical,metric=t,rule=Too\ warm,side=above,site=berlin"
    assert render_limit(limit, T0) == b"%b clear=-12.5,value=-10.0 %d000000\n" % (tags, T0)
    assert render_limit(limit._replace(clear=None), T0) == b"%b value=-10.0 %d000000\n" % (tags, T0)


def test_a_character_that_no_encoding_has_is_replaced() -> None:
    line = render_alert(too_warm(at=T0, level="high\ud800"))
    assert b'level="high?"' in line


def test_a_late_reading() -> None:
    line = render_late(b"sensor_late,device=a", 3, T0, 45)
    assert line == b"sensor_late,device=a value=3.0 %d000045\n" % T0


def test_the_gateway_tells_its_numbers() -> None:
    report = {
        "version": "1.0",
        "messages": {"received": 7},
        "values": {"accepted": 5},
        "counters": {"late": 0},
        "sinks": {
            "influx": {"lines": 2, "lag": 0.5, "down": True, "full": False, "error": "no", "rate": math.inf}
        },
        "windows": [{"every": 1}],
    }
    assert render_gateway("gw 1", report, T0) == (
        b"gateway,gateway=gw\\ 1 accepted=5i,late=0i,received=7i,sinks_influx_down=true,sinks_influx_full=false,"
        b"sinks_influx_lag=0.5,sinks_influx_lines=2i %d000000\n" % T0
    )
    assert render_gateway("gw", {"version": "1"}, T0) == b""
