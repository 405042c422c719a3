"""One row for each value of the keys."""

from __future__ import annotations

import polars as pl

from voltray.executors.operators.columns import names_of, with_comparable_maps
from voltray.executors.operators.task import TaskContext
from voltray.proto.operators import Deduplicate


def compile_deduplicate(operator: Deduplicate, children: tuple[pl.LazyFrame, ...], task: TaskContext) -> pl.LazyFrame:
    """The first row met for each value; NULL equals NULL, NaN equals NaN."""
    names = names_of(operator.keys)
    if not names:
        return children[0].head(1)
    return with_comparable_maps(children[0], operator.keys).unique(subset=names, keep="first", maintain_order=True)
