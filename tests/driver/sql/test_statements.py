"""SQL text becomes the same unresolved plan as the DataFrame API, or a statement."""

from __future__ import annotations

from decimal import Decimal

import pytest

from voltray.driver.plan import expressions as u
from voltray.driver.plan import relations as r
from voltray.driver.plan import statements as s
from voltray.driver.sql.parser import parse_expression, parse_query
from voltray.driver.sql.statements import parse_sql
from voltray.proto.expressions import Literal
from voltray.proto.failures import SparkError
from voltray.proto.types import INTEGER

LITERALS = {
    "1": (1, "int"),
    "3000000000": (3000000000, "bigint"),
    "-1": (-1, "int"),
    "1L": (1, "bigint"),
    "-128Y": (-128, "tinyint"),
    "2S": (2, "smallint"),
    "1.50": (Decimal("1.50"), "decimal(3,2)"),
    "1.5BD": (Decimal("1.5"), "decimal(2,1)"),
    "1e2": (100.0, "double"),
    "2.5D": (2.5, "double"),
    "'a' 'b'": ("ab", "string"),
    "true": (True, "boolean"),
    "X'1F'": (b"\x1f", "binary"),
    "interval 3 days": (3 * 86_400_000_000, "interval day"),
    "interval '1-2' year to month": (14, "interval year to month"),
    "interval '1 02:03:04.5' day to second": (93_784_500_000, "interval day to second"),
}


@pytest.mark.parametrize(("text", "expected"), LITERALS.items())
def test_a_literal_has_its_value_and_type(text: str, expected: tuple[object, str]) -> None:
    literal = parse_expression(text)
    assert isinstance(literal, Literal)
    assert (literal.value, literal.dtype.simpleString()) == expected


def test_functions_keep_their_own_names() -> None:
    call = parse_expression("date_add(a, 1)")
    assert isinstance(call, u.UnresolvedFunction)
    assert call.name == ("date_add",)


def test_a_function_call_in_brackets_is_indexed() -> None:
    assert isinstance(parse_expression("array(1, 2)[0]"), u.UnresolvedExtract)


def test_window_bounds_have_a_sign() -> None:
    window = parse_expression("sum(a) over (order by b rows between 2 preceding and current row)")
    assert isinstance(window, u.UnresolvedWindow)
    assert window.frame is not None
    lower = window.frame.lower
    assert isinstance(lower, u.UnresolvedFunction) and lower.name == ("-",)
    assert (lower.args, window.frame.upper) == ((Literal(2, INTEGER),), "current")


def test_grouping_sets_multiply() -> None:
    query = parse_query("select 1 from t group by a, rollup(b, c)")
    assert isinstance(query, r.Aggregate)
    names = [tuple(e.parts[0] for e in one) for one in query.grouping_sets]  # type: ignore[attr-defined]
    assert names == [("a", "b", "c"), ("a", "b"), ("a",)]


STATEMENTS = {
    "set a.b = c": s.SetConf("a.b", "c"),
    "SET spark.x": s.SetConf("spark.x"),
    "reset": s.ResetConf(),
    "use db": s.Use(("db",)),
    "show tables in d like 'x*'": s.Show("tables", ("d",), "x*"),
    "drop table if exists a.b": s.DropTable(("a", "b"), True),
    "drop temporary variable if exists v": s.DropVariable(("v",), True),
    "refresh table t": s.RefreshTable(("t",)),
    "clear cache": s.UncacheTable(None),
    "describe extended t": s.Describe("table", ("t",), True),
    "create database if not exists d": s.CreateDatabase(("d",), True),
}


@pytest.mark.parametrize(("text", "statement"), STATEMENTS.items())
def test_a_statement_is_read(text: str, statement: s.Statement) -> None:
    assert parse_sql(text) == statement


def test_a_table_definition_is_read() -> None:
    table = parse_sql(
        "create table d.t (a int not null, b string default 'q') using csv partitioned by (b) location '/x'"
    )
    assert isinstance(table, s.CreateTable)
    assert (table.name, table.format, table.partition_columns, table.location) == (("d", "t"), "csv", ("b",), "/x")
    assert [(c.name, c.dtype.simpleString(), c.nullable, c.default) for c in table.columns] == [
        (("a",), "int", False, None),
        (("b",), "string", True, "'q'"),
    ]


@pytest.mark.parametrize("text", ["select from where", "selec 1", "select 1 +", "select (1", "select 1 qualify 1"])
def test_a_syntax_error_has_its_condition(text: str) -> None:
    with pytest.raises(SparkError) as caught:
        parse_sql(text)
    assert caught.value.condition == "PARSE_SYNTAX_ERROR"
    assert "sqlglot" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "  ", "-- nothing", "/* */ ;"])
def test_an_empty_statement_has_its_condition(text: str) -> None:
    with pytest.raises(SparkError) as caught:
        parse_sql(text)
    assert caught.value.condition == "PARSE_EMPTY_STATEMENT"


def test_a_long_chain_of_conditions_is_read() -> None:
    text = " and ".join([f"a > {i}" for i in range(3000)])
    assert isinstance(parse_expression(text), u.UnresolvedFunction)
