"""Maps made from keys and values, with Spark's rules for keys: none NULL, none twice."""

from __future__ import annotations

import numpy as np
import polars as pl

from voltray.executors.functions import lists
from voltray.executors.functions.evaluation import Evaluation, Rows
from voltray.proto.failures import ErrorKind, SparkError, spark_error

DEDUP_CONF = "spark.sql.mapKeyDedupPolicy"


def null_map_key() -> SparkError:
    """NULL_MAP_KEY."""
    return spark_error("NULL_MAP_KEY", ErrorKind.RUNTIME)


def duplicated_key(key: object) -> SparkError:
    """DUPLICATED_MAP_KEY."""
    return spark_error("DUPLICATED_MAP_KEY", ErrorKind.RUNTIME, key=key, mapKeyDedupPolicy=f'"{DEDUP_CONF}"')


def checked_map(
    evaluation: Evaluation, rows: Rows, keys: pl.Series, values: pl.Series, lengths: np.ndarray,
    valid: np.ndarray | None,
) -> pl.Series:  # fmt: skip
    """A map column of entries back to back, their keys checked."""
    row = np.repeat(np.arange(len(lengths)), lengths)
    if keys.null_count():
        missing = np.zeros(len(lengths), dtype=bool)
        missing[row[keys.is_null().to_numpy()]] = True
        rows.refuse(pl.Series(missing), null_map_key)
        kept = keys.is_not_null()  # rows that are not evaluated lose the entry
        lengths = np.bincount(row[kept.to_numpy()], minlength=len(lengths))
        keys, values = keys.filter(kept), values.filter(kept)
        row = np.repeat(np.arange(len(lengths)), lengths)
    keys = keys.cast(pl.Boolean) if keys.dtype == pl.Null() else keys  # see the carrier of maps
    if evaluation.context.conf(DEDUP_CONF, "EXCEPTION").upper() != "LAST_WIN" and len(lengths) and lengths.max() > 1:
        _refuse_duplicates(rows, row, keys, len(lengths))
    pairs = pl.DataFrame([keys.alias("key"), values.alias("value")]).to_struct("entry")
    return lists.build(pairs, lengths, valid).list.to_map()


def _refuse_duplicates(rows: Rows, row: np.ndarray, keys: pl.Series, count: int) -> None:
    frame = pl.DataFrame([pl.Series("r", row), keys.alias("k")])
    first = frame.select(pl.struct("r", "k").is_first_distinct()).to_series()
    if first.all():
        return
    again = frame.with_columns(at=pl.Series(row)).filter(~first)
    twice = np.zeros(count, dtype=bool)
    twice[again.get_column("r").to_numpy()] = True
    bad = rows.first(pl.Series(twice))
    if bad is not None:
        raise duplicated_key(again.filter(pl.col("r") == bad).get_column("k")[0])
