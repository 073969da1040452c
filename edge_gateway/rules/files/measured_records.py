"""Records named like a metric that a device measures: errors of `rules check`, where it is known what devices send.

The history does not tell: it holds recorded metrics like any other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_gateway.rules.language.matching import RuleMatcher
from fleet_config.problems import ProblemsFound

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from edge_gateway.rules.files.cannot_work import KnownDevice
    from edge_gateway.rules.files.load import PlacedRule
    from fleet_config.problems import Problem


def refuse_measured_records(rules: Sequence[PlacedRule], measured: Iterable[tuple[KnownDevice, str]]) -> None:
    """Refuse records that select a device which sends a metric of their name.

    Args:
        rules: rules with their places in the files.
        measured: devices with the metrics they are known to send.

    Raises:
        ProblemsFound: with an error at the name of each such record.
    """
    problems = tuple(_problems(rules, list(measured)))
    if problems:
        raise ProblemsFound(problems)


def _problems(rules: Sequence[PlacedRule], measured: list[tuple[KnownDevice, str]]) -> Iterator[Problem]:
    for rule, place in rules:
        if not rule.record:
            continue
        matcher = RuleMatcher((rule,))
        for device, metric in measured:
            if metric == rule.name and matcher.variants(device.site, device.name, device.type, device.tags):
                told = f"record: device '{device.name}' measures '{metric}'"
                yield place.at("record").problem(f"{told}; give the record another name")
                break
