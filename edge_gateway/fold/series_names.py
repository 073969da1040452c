"""What the gateway's numbers of series, tag versions and texts stand for, for the store."""

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
"""Remembered pairs of a series and an earlier version. Past it all are forgotten: defining a pair twice is harmless."""

Column = np.ndarray[Any, Any]


class SeriesNames:
    """Defines each (series, tag version) pair and each text with the effects that use it first.

    Definitions are remembered in memory only: after a restart every name is defined again, in case the store was lost.
    The store also asks here for a name it should have but does not (`store.apply.Resolver`).
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._defined = np.empty(0, np.int64)
        """By series: the version it was defined with last."""
        self._older: set[int] = set()
        """Pairs defined before that, as `series << VERSION_BITS | version`."""
        self._codes: set[int] = set()

    def new_series(self, columns: Iterable[tuple[Column, Column]]) -> Iterator[SeriesName]:
        """Yield the names of the pairs in columns of (series, versions) that are not defined yet."""
        self._defined = with_room(self._defined, len(self._registry.table), _NOTHING)
        for series, versions in columns:
            others = self._defined[series] != versions
            for pair in np.unique((series[others] << VERSION_BITS) | versions[others]).tolist():
                if pair not in self._older:
                    yield self._define(pair >> VERSION_BITS, pair & ((1 << VERSION_BITS) - 1))

    def _define(self, series: int, version: int) -> SeriesName:
        before = int(self._defined[series])
        if len(self._older) >= MOST_OLDER:
            self._older.clear()
        if before != _NOTHING:
            self._older.add(series << VERSION_BITS | before)
        self._defined[series] = version
        return self._name(series, version)

    def new_texts(self, columns: Iterable[Column]) -> Iterator[TextName]:
        """Yield the texts of the codes in columns that are not defined yet."""
        for codes in columns:
            fresh = set(codes.tolist()) - self._codes
            self._codes |= fresh
            for code in sorted(fresh):
                yield TextName(code, self._registry.strings.text(code))

    def forget_texts(self, codes: Column) -> None:
        """Forget codes that stand for nothing any more; no text gets them again."""
        self._codes.difference_update(codes.tolist())

    def series_name(self, series: int, version: int) -> SeriesName | None:
        """Return the name of a pair; None where the registry has forgotten it."""
        try:
            return self._name(series, version)
        except (KeyError, IndexError):
            return None

    def text_name(self, code: int) -> TextName | None:
        """Return the text of a code; None where there is none."""
        try:
            return TextName(code, self._registry.strings.text(code))
        except KeyError:
            return None

    def _name(self, series: int, version: int) -> SeriesName:
        identity = self._registry.tags_of(version)
        metric = self._registry.metric_names[int(self._registry.series_metric[series])]
        return SeriesName(
            series, version, identity.device, metric, identity.site, identity.type, identity.tags
        )
