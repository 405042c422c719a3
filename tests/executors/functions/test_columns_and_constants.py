"""A function gives one answer whether its arguments are constants or columns, in both of Polars' engines."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from sample_row import _FRAME, _MOMENT, answer, resolve  # type: ignore[import-not-found]

from voltray.executors.compiler import compile_expression
from voltray.executors.functions.catalogue import lookup
from voltray.executors.functions.evaluation import EvaluationContext
from voltray.executors.literals import series_of
from voltray.proto.expressions import Attribute, Call, Cast, Expression, Literal, column_name, map_children
from voltray.proto.types import STRING, MapType, NullType

FOLDER = Path(__file__).parent / "recorded"
FIRST_ID = 800_000
# Arguments that are constants in any query, by Spark's own rule: only the first of these functions' may be a column.
ONE_COLUMN = frozenset(
    [
        "round",
        "bround",
        "ceil",
        "ceiling",
        "floor",
        "to_number",
        "try_to_number",
        "to_binary",
        "try_to_binary",
        "like",
        "ilike",
    ]
)
CONSTANT = frozenset(
    [
        "rand",
        "random",
        "randn",
        "uniform",
        "randstr",
        "likeany",
        "likeall",
        "notlikeany",
        "notlikeall",
        "assert_true",
        "raise_error",
    ]
)


def _with_columns(expression: Expression, columns: list[pl.Series]) -> Expression:
    """The expression with a column in the place of every constant."""
    if isinstance(expression, Call) and expression.name in CONSTANT:
        return expression
    if isinstance(expression, Call) and expression.name in ONE_COLUMN:
        first = _with_columns(expression.args[0], columns)
        return replace(expression, args=(first, *expression.args[1:]))
    if isinstance(expression, Literal):
        if expression.value is None or isinstance(expression.dtype, NullType | MapType):
            return expression
        expr_id = FIRST_ID + len(columns)
        columns.append(series_of([expression.value] * 4, expression.dtype).alias(column_name(expr_id)))
        return Attribute(expr_id, "c", expression.dtype, True)
    return map_children(expression, lambda child: _with_columns(child, columns))


def _over_columns(text: str, engine: Any) -> list[str | None]:
    columns: list[pl.Series] = []
    expression = _with_columns(resolve(text).expression, columns)
    frame = pl.concat([_FRAME] * 4).with_columns(columns)
    context = EvaluationContext(time_zone="Etc/UTC", now_micros=_MOMENT)
    shown = compile_expression(Cast(expression, STRING), context)
    return frame.lazy().select(shown.alias("value")).collect(engine=engine).get_column("value").to_list()


def _varies(expression: Expression) -> bool:
    if isinstance(expression, Call):
        entry = lookup(expression.name)
        if entry is not None and not (entry.deterministic and entry.foldable):
            return True
        return any(_varies(a) for a in expression.args)
    return False


@pytest.mark.parametrize("engine", ["in-memory", "streaming"])
@pytest.mark.parametrize("name", ["numbers", "math", "strings", "regex"])
def test_constants_and_columns_agree(name: str, engine: str) -> None:
    lines = (FOLDER / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    records = [r for r in map(json.loads, lines) if "value" in r and "confs" not in r]
    wrong: dict[str, Any] = {}
    for record in records:
        text = record["expression"]
        typed = resolve(text)
        if _varies(typed.expression) or "raise_error" in text:
            continue
        single = answer(text).value
        found = _over_columns(text, engine)
        if found not in ([single] * 4, [single]):
            wrong[text] = (found, single)
    assert not wrong


@pytest.mark.parametrize("name", ["numbers", "math", "strings", "regex", "casts"])
def test_no_rows_give_no_rows(name: str) -> None:
    lines = (FOLDER / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    context = EvaluationContext(time_zone="Etc/UTC", now_micros=_MOMENT)
    for record in map(json.loads, lines):
        if "value" not in record or "confs" in record:
            continue
        columns: list[pl.Series] = []
        try:
            expression = _with_columns(resolve(record["expression"]).expression, columns)
        except Exception:  # noqa: BLE001 (what does not resolve is another test's matter)
            continue
        if not columns:
            continue
        empty = _FRAME.with_columns([c.head(1) for c in columns]).clear()
        found = empty.lazy().select(value=compile_expression(expression, context)).collect()
        assert len(found) <= 1, record["expression"]
