"""Pipe operators, names, windows and table functions: schemas and error conditions as Spark 4.1.1 gave them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.driver.analysis.support import PlainEnvironment
from voltray.driver.analysis.analyzer import analyze
from voltray.driver.plan.logical import LogicalPlan, schema_of
from voltray.driver.plan.relations import NamedTable, Relation
from voltray.driver.sql.options import parsing_for
from voltray.driver.sql.parser import has_open_comment, parse_query
from voltray.proto.failures import ErrorKind, SparkError, spark_error

RECORDED: dict[str, Any] = json.loads(Path(__file__).with_name("recorded_queries.json").read_text(encoding="utf-8"))
VIEWS = {
    "t": "select * from values (0, 'abc'), (1, 'def') tab(x, y)",
    "st": "select * from values (1, struct(2, 3)) tab(x, y)",
    "nt": "select * from values (1, struct(2 as f1, 3 as f2)) tab(id, data)",
}
DEFAULTS = {"spark.sql.orderByOrdinal": "true", "spark.sql.groupByAliases": "true"}


class Views(PlainEnvironment):
    """Three views and nothing else."""

    def conf(self, key: str) -> str:
        return DEFAULTS.get(key, super().conf(key))

    def resolve_table(self, table: NamedTable) -> LogicalPlan | Relation:
        text = VIEWS.get(table.parts[-1])
        if text is None:
            raise spark_error("TABLE_OR_VIEW_NOT_FOUND", ErrorKind.ANALYSIS)
        return parse_query(text)


def outcome(text: str) -> Any:
    """Names and types of a query's columns, or the condition that refuses it."""
    try:
        schema = schema_of(analyze(parse_query(text), Views()))
    except SparkError as error:
        return error.condition
    return [[f.name, f.dataType.simpleString()] for f in schema.fields]


@pytest.mark.parametrize("text", list(RECORDED))
def test_a_query_has_the_recorded_outcome(text: str) -> None:
    assert outcome(text) == RECORDED[text]


@pytest.mark.parametrize(
    ("text", "shown", "place"),
    [
        ("select 1 from", "end of input", "(line 1, pos 13)"),
        ("select x\nfrom t\nwhere group by x", "'group'", "(line 3, pos 6)"),
        ("select 1 as 'a'", "''a''", "(line 1, pos 12)"),
        ("table t |> drop t.x", "'.'", "(line 1, pos 17)"),
    ],
)
def test_a_syntax_error_shows_its_place(text: str, shown: str, place: str) -> None:
    with pytest.raises(SparkError) as caught:
        parse_query(text)
    failure = caught.value.failure
    assert failure.parameters == {"error": shown, "hint": ""}
    assert failure.contexts == ()
    assert place in failure.message


@pytest.mark.parametrize(
    ("text", "is_open"),
    [("/* a", True), ("/* a */ b", False), ("/* a /* b */", True), ("select '/*'", False), ("-- /*\nselect 1", False)],
)
def test_open_comments_are_found(text: str, is_open: bool) -> None:
    assert has_open_comment(text) is is_open


def test_settings_change_the_grammar() -> None:
    with parsing_for(lambda key: "true"):
        assert outcome('select "x" from "t"') == [["x", "int"]]
        assert outcome("select x as table from t") == "PARSE_SYNTAX_ERROR"
    assert outcome('select "x" from t') == [["x", "string"]]
    assert outcome("select x as table from t") == [["table", "int"]]
