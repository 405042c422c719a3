"""One row of columns of many types, alike in Spark and here, and SQL expressions evaluated over it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import polars as pl

from voltray.driver.analysis.expressions.catalogue import EXPRESSIONS
from voltray.driver.analysis.resolver import Analysis, ExpressionResolver, Typed
from voltray.driver.analysis.scope import Scope
from voltray.driver.sql.parser import parse_expression
from voltray.executors.compiler import compile_expression
from voltray.executors.functions.evaluation import EvaluationContext
from voltray.executors.literals import series_of
from voltray.proto.expressions import Attribute, Cast, column_name
from voltray.proto.types import (
    BINARY,
    CALENDAR_INTERVAL,
    DATE,
    DOUBLE,
    INTEGER,
    LONG,
    STRING,
    TIMESTAMP,
    TIMESTAMP_NTZ,
    ArrayType,
    DataType,
    DayTimeIntervalType,
    DecimalType,
    MapType,
    StructField,
    StructType,
    YearMonthIntervalType,
)  # fmt: skip

# The same row for Spark; the columns below hold what it holds.
SPARK_ROW = """(select * from values (
  date'2024-02-29', timestamp'2024-02-29 13:14:15.123456', timestamp_ntz'2024-02-29 13:14:15.123456', 'abc', 5, 7L,
  1.5D, 2.5BD, array(1,2,null), map('a',1,'b',null), named_struct('x',1,'y','z'), interval '1-2' year to month,
  interval '1 02:03:04.5' day to second, make_interval(1,2,3,4,5,6,7.5), cast(null as date), cast(null as int),
  cast(null as string), X'0102') t(d,t,n,s,i,l,f,b,a,m,st,ym,dt,ci,dn,inn,sn,bin))"""

_MOMENT = 1_709_212_455_123_456
_STRUCT = StructType([StructField("x", INTEGER, False), StructField("y", STRING, False)])
COLUMNS: tuple[tuple[str, DataType, Any], ...] = (
    ("d", DATE, 19782), ("t", TIMESTAMP, _MOMENT), ("n", TIMESTAMP_NTZ, _MOMENT), ("s", STRING, "abc"),
    ("i", INTEGER, 5), ("l", LONG, 7), ("f", DOUBLE, 1.5), ("b", DecimalType(2, 1), Decimal("2.5")),
    ("a", ArrayType(INTEGER, True), [1, 2, None]), ("m", MapType(STRING, INTEGER, True), [("a", 1), ("b", None)]),
    ("st", _STRUCT, (1, "z")), ("ym", YearMonthIntervalType(), 14),
    ("dt", DayTimeIntervalType(), 93_784_500_000), ("ci", CALENDAR_INTERVAL, (14, 25, 18_367_500_000)),
    ("dn", DATE, None), ("inn", INTEGER, None), ("sn", STRING, None), ("bin", BINARY, b"\x01\x02"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Answer:
    """What an expression gives: its generated name, type and nullability, and its value as text."""

    name: str
    dtype: str
    nullable: bool
    value: str | None


class _Session:
    """As much of a session as analysis of an expression asks for."""

    user = "tester"
    case_sensitive = False
    catalog = SimpleNamespace(current_database="default")

    def __init__(self, ansi: bool, time_zone: str) -> None:
        self.ansi, self.time_zone = ansi, time_zone
        self.variables: dict[str, Any] = {}

    def conf(self, key: str) -> str:
        """No conf differs from its default."""
        return ""

    def python_logs(self) -> tuple[str, ...]:
        return ()

    def stored_function(self, name: tuple[str, ...]) -> None:
        return None

    def user_function(self, name: tuple[str, ...]) -> None:
        """There are none."""

    def parse_expression(self, text: str) -> Any:
        """SQL text to an expression."""
        return parse_expression(text)

    def parse_schema(self, text: str) -> DataType:
        """A schema in any of Spark's forms."""
        from voltray.driver.sql.schema import parse_schema

        return parse_schema(text)


_ATTRIBUTES = tuple([Attribute(900_000 + i, n, k, v is None, ("t",)) for i, (n, k, v) in enumerate(COLUMNS)])
_FRAME = pl.DataFrame([series_of([v], k).alias(column_name(900_000 + i)) for i, (_, k, v) in enumerate(COLUMNS)])


def resolve(text: str, ansi: bool = True, time_zone: str = "Etc/UTC") -> Typed:
    """A SQL expression over the sample row, resolved."""
    analysis = Analysis(_Session(ansi, time_zone), {}, EXPRESSIONS)  # type: ignore[arg-type]
    return ExpressionResolver(analysis, Scope(_ATTRIBUTES)).resolve(parse_expression(text))


def answer(text: str, ansi: bool = True, time_zone: str = "Etc/UTC") -> Answer:
    """A SQL expression over the sample row, evaluated."""
    typed = resolve(text, ansi, time_zone)
    context = EvaluationContext(time_zone=time_zone, ansi=ansi, now_micros=_MOMENT)
    shown = compile_expression(Cast(typed.expression, STRING), context)
    value = _FRAME.lazy().select(shown.alias("value")).collect().item()
    name = typed.field_name if typed.field_name is not None else typed.text
    return Answer(name, typed.dtype.simpleString(), typed.nullable, value)
