"""Default values of columns: kept in a column's metadata as Spark keeps them, checked, and computed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voltray.driver.plan import expressions as u
from voltray.driver.plan import relations as r
from voltray.driver.plan.identifiers import quote
from voltray.driver.plan.table_changes import NewColumn
from voltray.executors.sources.base import EXISTS_DEFAULT_TEXT
from voltray.proto.coercion import can_store_assign
from voltray.proto.expressions import Expression
from voltray.proto.failures import ErrorKind, SparkError, spark_error
from voltray.proto.types import (
    STRING,
    CharType,
    DataType,
    StringType,
    StructField,
    VarcharType,
    same_type,
    type_name,
)

if TYPE_CHECKING:
    from voltray.driver.connect.session import Session

CURRENT_DEFAULT = "CURRENT_DEFAULT"
EXISTS_DEFAULT = "EXISTS_DEFAULT"
_CONDITION = "INVALID_DEFAULT_VALUE."


def default_of(field: StructField) -> str | None:
    """The text of a column's default."""
    return (field.metadata or {}).get(CURRENT_DEFAULT)


def new_field(session: Session, column: NewColumn, statement: str, *, existing_rows: bool = False) -> StructField:
    """The field of a new column, its default checked."""
    metadata = {} if column.comment is None else {"comment": column.comment}
    if column.default is not None:
        check_default(session, column.name[-1], column.dtype, column.default, statement)
        metadata[CURRENT_DEFAULT] = column.default
        metadata[EXISTS_DEFAULT] = column.default
        if existing_rows:
            metadata |= _in_older_files(session, column)
    return StructField(column.name[-1], column.dtype, column.nullable, metadata)


def _in_older_files(session: Session, column: NewColumn) -> dict[str, str]:
    """The default's value as readers of files without the column take it."""
    from voltray.driver.connect.statements.variables import evaluate

    if column.dtype.typeName() in ("array", "map", "struct", "variant", "interval"):
        raise spark_error(
            "UNSUPPORTED_FEATURE", ErrorKind.UNSUPPORTED, sqlstate="0A000",
            message="[UNSUPPORTED_FEATURE] A column of a nested type cannot be added with a default. SQLSTATE: 0A000",
        )  # fmt: skip
    assert column.default is not None
    cast = u.UnresolvedCast(u.UnresolvedCast(session.parse_expression(column.default), column.dtype), STRING)
    value = evaluate(session, cast, None).value
    return {} if value is None else {EXISTS_DEFAULT_TEXT: str(value)}


def check_default(session: Session, name: str, dtype: DataType, text: str, statement: str) -> None:
    """Refuse a default that is no constant of the column's type."""

    def refused(why: str, **more: str) -> SparkError:
        return spark_error(
            _CONDITION + why, ErrorKind.ANALYSIS, extra=more, statement=statement, colName=quote(name),
            defaultValue=text,
        )  # fmt: skip

    expression = session.parse_expression(text)
    if _has_subquery(expression):
        raise refused("SUBQUERY_EXPRESSION")
    try:
        plan = session.analyze(r.Project(r.OneRow(), (u.UnresolvedAlias(expression, ("value",)),)))
    except SparkError as failure:
        if failure.condition.startswith("UNRESOLVED_COLUMN"):
            raise refused("UNRESOLVED_EXPRESSION") from None
        raise
    found = plan.output[0].dtype
    if not _fits(found, dtype):
        raise refused("DATA_TYPE", expectedType=type_name(dtype), actualType=type_name(found))
    if isinstance(dtype, CharType | VarcharType):
        _check_length(session, expression, dtype.length)


def _check_length(session: Session, expression: Expression, limit: int) -> None:
    from voltray.driver.connect.statements.variables import evaluate

    value = evaluate(session, expression, None).value
    if isinstance(value, str) and len(value.rstrip(" ")) > limit:
        raise spark_error("EXCEED_LIMIT_LENGTH", limit=limit)


def _fits(found: DataType, wanted: DataType) -> bool:
    if same_type(found, wanted) or found.typeName() == "void":
        return True
    if isinstance(wanted, StringType | CharType | VarcharType):
        return isinstance(found, StringType)
    numbers = ("byte", "short", "integer", "long", "float", "double", "decimal")
    if found.typeName() in numbers and wanted.typeName() in numbers:
        ranks = {name: rank for rank, name in enumerate(numbers)}
        if found.typeName() == "integer" or wanted.typeName() == "decimal":
            return True
        if found.typeName() == "decimal":
            return wanted.typeName() in ("float", "double")
        return ranks[found.typeName()] <= ranks[wanted.typeName()]
    if found.typeName() in numbers or wanted.typeName() in numbers:
        return False
    return can_store_assign(found, wanted) and found.typeName() != "string"


def _has_subquery(node: object) -> bool:
    stack = [node]
    while stack:
        item = stack.pop()
        if isinstance(item, r.Relation):
            return True
        if isinstance(item, tuple):
            stack.extend(item)
        elif hasattr(item, "__dataclass_fields__"):
            stack.extend(getattr(item, name) for name in item.__dataclass_fields__)
    return False
