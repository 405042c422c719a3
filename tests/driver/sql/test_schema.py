"""Schemas as text: DDL, single types and JSON."""

from __future__ import annotations

import pytest

from voltray.driver.sql.schema import parse_schema
from voltray.proto.failures import SparkError

SIMPLE = {
    "int": "int",
    "BIGINT": "bigint",
    "decimal": "decimal(10,0)",
    "decimal(5)": "decimal(5,0)",
    "decimal(12, 2)": "decimal(12,2)",
    "char(3)": "char(3)",
    "array<map<string, struct<a: int, b: array<double>>>>": "array<map<string,struct<a:int,b:array<double>>>>",
    "interval year to month": "interval year to month",
    "interval day to second": "interval day to second",
    "interval hour": "interval hour",
    "timestamp_ntz": "timestamp_ntz",
    "time(3)": "time(3)",
    "a int, b string": "struct<a:int,b:string>",
    "a: int not null, `b c` string comment 'it''s'": "struct<a:int,b c:string>",
    "struct<>": "struct<>",
    '"integer"': "int",
    '{"type":"struct","fields":[{"name":"a","type":"long","nullable":true,"metadata":{}}]}': "struct<a:bigint>",
}


@pytest.mark.parametrize(("text", "simple"), SIMPLE.items())
def test_a_type_is_read(text: str, simple: str) -> None:
    assert parse_schema(text).simpleString() == simple


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("a int,", "PARSE_SYNTAX_ERROR"),
        ("a", "PARSE_SYNTAX_ERROR"),
        ("a blob", "PARSE_SYNTAX_ERROR"),
        ("decimal(40, 2)", "DECIMAL_PRECISION_EXCEEDS_MAX_PRECISION"),
        ("{", "INVALID_JSON_DATA_TYPE"),
        ("a array", "INCOMPLETE_TYPE_DEFINITION.ARRAY"),
    ],
)
def test_a_bad_type_is_refused(text: str, condition: str) -> None:
    with pytest.raises(SparkError) as caught:
        parse_schema(text)
    assert caught.value.condition == condition


def test_nullability_and_comments_are_kept() -> None:
    schema = parse_schema("a int not null comment 'x', b string")
    assert schema.fields[0].nullable is False  # type: ignore[attr-defined]
    assert schema.fields[0].metadata == {"comment": "x"}  # type: ignore[attr-defined]
