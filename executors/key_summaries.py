"""Summaries of key columns: few values as they are, many as bounds and a Bloom filter; and several put together."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
import pyarrow as pa

from voltray.executors.bloom import Words, add_values, empty_words, is_useful
from voltray.proto.key_summaries import KeySummary, SummaryRequest

_COMPACT = pl.CompatLevel.oldest()
# Whether a long column has few values is guessed from its first rows.
_FIRST_ROWS = 20_000


def summaries_of(frame: pl.DataFrame, request: SummaryRequest | None) -> tuple[KeySummary, ...]:
    """A summary of each column asked for."""
    if request is None:
        return ()
    return tuple([_summary_of(frame.get_column(a.column), request) for a in request.attributes])


def _summary_of(column: pl.Series, request: SummaryRequest) -> KeySummary:
    column = column.drop_nulls()
    if column.head(_FIRST_ROWS).n_unique() <= request.most_values:
        column = column.unique()
    if len(column) <= request.most_values:
        return KeySummary(_bounds_of(column), column.to_arrow(compat_level=_COMPACT))
    words = None
    if request.bloom_bits and len(column) <= request.most_items:
        words = empty_words(request.bloom_bits)
        add_values(words, column)
    return KeySummary(_bounds_of(column), words=words)


def _bounds_of(column: pl.Series) -> pa.Array:
    places = [i for i in (column.arg_min(), column.arg_max()) if i is not None]
    return column.gather(places).to_arrow(compat_level=_COMPACT)


def put_together(summaries: Sequence[KeySummary], request: SummaryRequest) -> KeySummary:
    """One summary of several parts of a column."""
    bounds = _bounds_of(_series([s.bounds for s in summaries]))
    told = [s.values for s in summaries if s.values is not None]
    known = _series(told).unique() if told else None
    if known is not None and len(told) == len(summaries) and len(known) <= request.most_values:
        return KeySummary(bounds, known.to_arrow(compat_level=_COMPACT))
    return KeySummary(bounds, words=_words_of(summaries, known, request))


def _words_of(summaries: Sequence[KeySummary], known: pl.Series | None, request: SummaryRequest) -> Words | None:
    if not request.bloom_bits or any(s.values is None and s.words is None for s in summaries):
        return None
    words = empty_words(request.bloom_bits)
    for summary in summaries:
        if summary.words is not None:
            words |= summary.words
    if known is not None:
        add_values(words, known)
    return words if is_useful(words) else None


def _series(arrays: Sequence[pa.Array]) -> pl.Series:
    return pl.concat([pl.Series(a) for a in arrays])
