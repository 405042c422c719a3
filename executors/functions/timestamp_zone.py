"""Timestamps between time zones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl

from voltray.executors.functions import zones
from voltray.executors.functions.evaluation import Evaluation, Rows
from voltray.executors.functions.registry import (
    STRING_INPUT,
    TIMESTAMP_INPUT,
    Accept,
    Function,
    Parameter,
    Signature,
    parameters,
)  # fmt: skip
from voltray.proto.expressions import Call, Expression
from voltray.proto.types import STRING, TIMESTAMP, TIMESTAMP_NTZ, TimestampNTZType

Convert = Callable[[pl.Series, str], pl.Series]
CURRENT_TIMEZONE = Call("current_timezone", (), STRING, False)
_NTZ_INPUT = Accept((TimestampNTZType,), (TIMESTAMP_NTZ,), '"TIMESTAMP_NTZ"')


def by_zone(stamps: pl.Series, names: pl.Series, convert: Convert) -> pl.Series:
    """Each row converted by its zone: once for every zone that occurs."""
    known = names.unique().drop_nulls().to_list()
    result = pl.Series([None], dtype=stamps.dtype).new_from_index(0, len(stamps))
    for name in known:
        converted = convert(stamps, name)
        result = converted.zip_with((names == name).fill_null(False), result)
    return result


def _from_utc(stamps: pl.Series, zone: str) -> pl.Series:
    return zones.local_series(stamps, zone).dt.replace_time_zone("UTC")


def _to_utc(stamps: pl.Series, zone: str) -> pl.Series:
    return zones.instant_series(stamps.dt.replace_time_zone(None), zone)


def _shifted(convert: Convert) -> Callable[[Evaluation, pl.Expr, pl.Expr], pl.Expr]:
    def body(evaluation: Evaluation, stamp: pl.Expr, zone: pl.Expr) -> pl.Expr:
        def run(rows: Rows, stamps: pl.Series, names: pl.Series) -> pl.Series:
            return by_zone(stamps, names, convert)

        return evaluation.columnwise(run, stamp, zone)

    return body


def _convert_timezone(evaluation: Evaluation, source: pl.Expr, target: pl.Expr, stamp: pl.Expr) -> pl.Expr:
    def run(rows: Rows, sources: pl.Series, targets: pl.Series, stamps: pl.Series) -> pl.Series:
        instants = by_zone(stamps.dt.replace_time_zone("UTC"), sources, _to_utc)
        return by_zone(instants, targets, _from_utc).dt.replace_time_zone(None)

    return evaluation.columnwise(run, source, target, stamp)


def _current_zone_display(names: tuple[str, ...]) -> str:
    shown = names if len(names) == 3 else ("current_timezone()", *names)
    return f"convert_timezone({', '.join(shown)})"


def _resolve_convert(resolution: Any) -> Expression:
    """Without a source zone it is the session's."""
    last = len(resolution.args) - 1
    zones_given = [resolution.coerce(i, STRING) for i in range(last)]
    source = zones_given if last == 2 else [CURRENT_TIMEZONE, *zones_given]
    return resolution.call((*source, resolution.coerce(last, TIMESTAMP_NTZ)))  # type: ignore[no-any-return]


_STAMP_AND_ZONE = parameters(("ts", TIMESTAMP_INPUT), ("tz", STRING_INPUT))

FUNCTIONS: tuple[Function, ...] = (
    Function(("from_utc_timestamp",), _STAMP_AND_ZONE, TIMESTAMP, _shifted(_from_utc)),
    Function(("to_utc_timestamp",), _STAMP_AND_ZONE, TIMESTAMP, _shifted(_to_utc)),
    Function(
        ("convert_timezone",),
        Signature(
            (Parameter("sourceTz", STRING_INPUT), Parameter("targetTz", STRING_INPUT), Parameter("sourceTs",
                _NTZ_INPUT)),
            minimum=2,
        ),
        TIMESTAMP_NTZ, _convert_timezone, resolve=_resolve_convert, display=_current_zone_display,
    ),
)  # fmt: skip
