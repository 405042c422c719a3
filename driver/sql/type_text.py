"""Types of SQL text, written back as the text that ``schema.py`` reads."""

from __future__ import annotations

from sqlglot import exp
from sqlglot.dialects.spark import Spark

from voltray.proto.failures import ErrorKind, spark_error


class _Types(Spark.Generator):  # type: ignore[valid-type,misc]
    """sqlglot writes TIME as TIMESTAMP for Spark, which had no TIME before 4.1."""

    def datatype_sql(self, expression: exp.DataType) -> str:
        if expression.this != exp.DType.TIME:
            return str(super().datatype_sql(expression))
        precision = self.expressions(expression, flat=True)
        return f"TIME({precision})" if precision else "TIME"


class _TypeDialect(Spark):
    Generator = _Types


_DIALECT = _TypeDialect()


def type_text(node: exp.Expression) -> str:
    """The text of a type."""
    try:
        return node.sql(dialect=_DIALECT)
    except ValueError:  # a size that is no number
        raise spark_error("PARSE_SYNTAX_ERROR", ErrorKind.PARSE, error="'('", hint="") from None
