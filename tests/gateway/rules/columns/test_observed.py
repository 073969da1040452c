from edge_gateway.rules.columns.compile import Symbols
from edge_gateway.rules.columns.observed import observe
from edge_gateway.rules.language.analysis import Range, analyse
from tests.gateway.rules.fleet import Fleet


def test_what_aggregates_read_is_numbered() -> None:
    symbols = Symbols(Fleet().registry.strings)
    calls = analyse(
        'avg(x) + max(avg_over_time(y, 1m)) + count(tag.room == "2") + share(no_data(z, 1m) or door == "open")'
    ).aggregates
    mean, ranged, tagged, share = observe(calls, symbols)
    assert (mean.rings, mean.awaited, mean.tags) == ((), (), ())
    assert ranged.rings == (symbols.rings[Range("y", 60_000, "sums")],)
    assert symbols.functions[ranged.rings[0]].keys() == {"avg_over_time"}
    assert list(symbols.clocks[ranged.rings[0]]) == [(symbols.inputs["y", False],)]
    assert tagged.tags == ("room",)
    assert share.awaited == ("door", "z")
    assert {("x", False), ("z", False), ("z", True), ("door", True), ("door", False)} <= symbols.inputs.keys()
