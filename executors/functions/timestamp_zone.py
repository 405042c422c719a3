"""Timestamps between time zones."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from voltray.executors.functions import zones
from voltray.executors.functions.evaluation import Evaluation, Rows
from voltray.executors.functions.registry import STRING_INPUT, TIMESTAMP_INPUT, Accept, Function, parameters
from voltray.proto.expressions import Call
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


def _convert_lazily(evaluation: Evaluation, args: tuple[object, ...]) -> pl.Expr:
    given = args if len(args) == 3 else (CURRENT_TIMEZONE, *args)
    return _convert_timezone(evaluation, *[evaluation.compile(a) for a in given])  # type: ignore[arg-type]


_STAMP_AND_ZONE = parameters(("ts", TIMESTAMP_INPUT), ("tz", STRING_INPUT))

FUNCTIONS: tuple[Function, ...] = (
    Function(("from_utc_timestamp",), _STAMP_AND_ZONE, TIMESTAMP, _shifted(_from_utc)),
    Function(("to_utc_timestamp",), _STAMP_AND_ZONE, TIMESTAMP, _shifted(_to_utc)),
    Function(
        ("convert_timezone",),
        parameters(("sourceTz", STRING_INPUT), ("targetTz", STRING_INPUT), ("sourceTs", _NTZ_INPUT)),
        TIMESTAMP_NTZ, lazy_body=_convert_lazily, display=_current_zone_display,
    ),
)  # fmt: skip
