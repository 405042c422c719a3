"""Leaving out files whose partition values a predicate rules out."""

from __future__ import annotations

from typing import Any

import polars as pl

from voltray.executors.compiler import compile_expression
from voltray.executors.functions.evaluation import EvaluationContext
from voltray.executors.literals import series_of
from voltray.executors.sources.base import SourceFile
from voltray.executors.sources.partitions import internal_value
from voltray.proto.expressions import Attribute, Call, Expression
from voltray.proto.failures import SparkError


def prune_files(scan: Any, context: EvaluationContext) -> tuple[SourceFile, ...]:
    """The files of a FileScan (logical or physical) that may hold rows for its predicate."""
    files: tuple[SourceFile, ...] = tuple(scan.files)
    names = [f.name.lower() for f in scan.partition_schema.fields]
    columns = {a.expr_id: a for a in scan.attributes if a.name.lower() in names}
    parts = [p for whole in (scan.predicate, *scan.runtime_filters) if whole is not None for p in conjuncts(whole)]
    if not parts or not columns or not files:
        return files
    usable = [p for p in parts if references(p) and references(p) <= columns.keys()]
    if not usable:
        return files
    frame = pl.DataFrame([_values(a, names.index(a.name.lower()), files, context) for a in columns.values()])
    keep = pl.all_horizontal([compile_expression(p, context).fill_null(False) for p in usable])
    try:
        flags = frame.select(keep.alias("keep"))["keep"]
    except (SparkError, pl.exceptions.PolarsError):
        return files  # the error belongs to the rows, and comes up with them
    if len(flags) != len(files):
        return files if bool(flags[0]) else ()
    return tuple(f for f, kept in zip(files, flags.to_list(), strict=True) if kept)


def _values(
    attribute: Attribute, position: int, files: tuple[SourceFile, ...], context: EvaluationContext
) -> pl.Series:
    texts = [f.partition_values[position] for f in files]
    known = {t: internal_value(t, attribute.dtype, context.time_zone) for t in set(texts)}
    return series_of([known[t] for t in texts], attribute.dtype, attribute.column)


def conjuncts(predicate: Expression) -> list[Expression]:
    """The parts of a condition that must all hold."""
    if isinstance(predicate, Call) and predicate.name == "and":
        return [part for argument in predicate.args for part in conjuncts(argument)]
    return [predicate]


def references(expression: Any) -> set[int]:
    """The ids of all attributes in an expression."""
    found: set[int] = set()
    stack: list[Any] = [expression]
    while stack:
        node = stack.pop()
        if isinstance(node, Attribute):
            found.add(node.expr_id)
        elif isinstance(node, Expression):
            stack.extend(getattr(node, name) for name in node.__dataclass_fields__)
        elif isinstance(node, tuple):
            stack.extend(node)
    return found
