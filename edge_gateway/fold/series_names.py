"""Names for the store: what the gateway's numbers of series, tag versions and texts stand for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_gateway.columns.growing import with_room
from edge_gateway.records.store_effects import SeriesName, TextName

if TYPE_CHECKING:
    from edge_gateway.fleet.registry import Registry

VERSION_BITS = 32
_NOTHING = -1
MOST_OLDER = 100_000
"""Pairs of earlier versions that are remembered; beyond it all are told again when they turn up, which does no harm."""

Column = np.ndarray[Any, Any]


class SeriesNames:
    """Defines each (series, tag version) pair and each text in the effects that use it first.

    What was defined is remembered since the start only: after a restart every name is told again, so that a store that
    was lost meanwhile hears them too. It is also the store's way to ask for a name it should have (`Resolver`).
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._told = np.empty(0, np.int64)
        """The version each series was told with last."""
        self._older: set[int] = set()
        """Pairs told before that."""
        self._codes: set[int] = set()

    def new_series(self, columns: Iterable[tuple[Column, Column]]) -> Iterator[SeriesName]:
        """Names of the pairs in columns of series and versions that were not told yet."""
        for series, versions in columns:
            self._told = with_room(self._told, int(series.max(initial=-1)) + 1, _NOTHING)
            others = self._told[series] != versions
            for pair in np.unique((series[others] << VERSION_BITS) | versions[others]).tolist():
                if pair not in self._older:
                    yield self._tell(pair >> VERSION_BITS, pair & ((1 << VERSION_BITS) - 1))

    def _tell(self, series: int, version: int) -> SeriesName:
        before = int(self._told[series])
        if len(self._older) >= MOST_OLDER:
            self._older.clear()
        if before != _NOTHING:
            self._older.add(series << VERSION_BITS | before)
        self._told[series] = version
        return self._name(series, version)

    def new_texts(self, columns: Iterable[Column]) -> Iterator[TextName]:
        """Texts of the codes in columns that were not told yet."""
        for codes in columns:
            fresh = set(codes.tolist()) - self._codes
            self._codes |= fresh
            for code in sorted(fresh):
                yield TextName(code, self._registry.strings.text(code))

    def forget_texts(self, codes: Column) -> None:
        """These codes stand for nothing any more, and are never given again."""
        self._codes.difference_update(codes.tolist())

    def series_name(self, series: int, version: int) -> SeriesName | None:
        """The name of a pair, or None where the registry does not know it any more."""
        try:
            return self._name(series, version)
        except (KeyError, IndexError):
            return None

    def text_name(self, code: int) -> TextName | None:
        """The text of a code, or None where there is none."""
        try:
            return TextName(code, self._registry.strings.text(code))
        except KeyError:
            return None

    def _name(self, series: int, version: int) -> SeriesName:
        identity = self._registry.tags_of(version)
        metric = self._registry.metric_names[int(self._registry.series_metric[series])]
        return SeriesName(
            series, version, identity.device, metric, identity.site, identity.type, dict(identity.tags)
        )
