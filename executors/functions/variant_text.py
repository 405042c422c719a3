"""Variants as JSON text."""

from __future__ import annotations

import polars as pl

from voltray.executors.functions.columns import by_unique_rows
from voltray.executors.functions.variant_encoding import decode, to_text


def to_json(column: pl.Series, time_zone: str = "UTC") -> pl.Series:
    """A column of variants as JSON, timestamps in a zone."""
    parts = [column.struct.field(n) for n in ("value", "metadata")]
    return by_unique_rows(parts, lambda value, metadata: to_text(decode(value, metadata), time_zone), pl.String())
