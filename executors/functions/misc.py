"""Facts of the session, types by name, errors on demand."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import polars as pl

from voltray.executors.functions.evaluation import Evaluation, Rows
from voltray.executors.functions.registry import (
    ANY,
    BOOLEAN_INPUT,
    STRING_INPUT,
    Function,
    Parameter,
    Signature,
    accepts_type,
    always_nullable,
    never_nullable,
    parameters,
)  # fmt: skip
from voltray.executors.functions.string import constant
from voltray.proto.collations import string_type
from voltray.proto.expressions import Expression, Literal, dtype_of
from voltray.proto.failures import ErrorKind, SparkError, spark_error
from voltray.proto.types import BOOLEAN, LONG, NULL, STRING, DataType, NullType, StringType, UserDefinedType

SPARK_VERSION = "4.1.1 c0690c763bafabd08e7079d1137fa0a769a05bae"


def _literal(value: Callable[[Any], str]) -> Callable[[Any], Expression]:
    """A fact of the session, known when the query is analysed."""
    return lambda resolution: Literal(value(resolution), STRING)


def _user(resolution: Any) -> str:
    return str(resolution.settings.user)


def _database(resolution: Any) -> str:
    return str(getattr(resolution.settings.catalog, "current_database", "default"))


def _catalog(resolution: Any) -> str:
    return str(getattr(resolution.settings.catalog, "current_catalog", "spark_catalog"))


def _typeof(resolution: Any) -> str:
    return type_text(dtype_of(resolution.args[0]))


def type_text(dtype: DataType) -> str:
    """A type in lower case, as typeof gives it."""
    return dtype.simpleString()


def _never_runs(evaluation: Evaluation, *values: pl.Expr) -> pl.Expr:
    raise AssertionError(f"{evaluation.call.name} is a constant once analysed")


def _fact(name: str, value: Callable[[Any], str], shown: str | None = None, *more: str) -> Function:
    return Function(
        (name, *more), Signature(), STRING, _never_runs, nullable=never_nullable, resolve=_literal(value),
        display=lambda names: f"{shown or name}()",
    )  # fmt: skip


def _fact_of(name: str, value: Callable[[Any], str]) -> Function:
    """A fact of an argument's type."""
    return Function(
        (name,), parameters(("expr", ANY)), STRING, _never_runs, nullable=never_nullable, resolve=_literal(value)
    )


# ---- errors -----------------------------------------------------------------------------------------------
def user_raised(message: str | None) -> SparkError:
    """USER_RAISED_EXCEPTION."""
    return spark_error("USER_RAISED_EXCEPTION", ErrorKind.RUNTIME, errorMessage="null" if message is None else message)


def _raise_error(evaluation: Evaluation, message: pl.Expr) -> pl.Expr:
    def run(rows: Rows, column: pl.Series) -> pl.Series:
        always = pl.Series([True]).new_from_index(0, len(column))
        rows.refuse(always, user_raised, column)
        return pl.Series([None]).new_from_index(0, len(column))

    return evaluation.columnwise(run, message, dtype=pl.Null())


def _assert_true(evaluation: Evaluation, condition: pl.Expr, message: pl.Expr) -> pl.Expr:
    def run(rows: Rows, held: pl.Series, text: pl.Series) -> pl.Series:
        rows.refuse(~held.fill_null(False), user_raised, text)
        return pl.Series([None]).new_from_index(0, len(held))

    return evaluation.columnwise(run, condition, message, dtype=pl.Null())


def _resolve_assert_true(resolution: Any) -> Expression:
    condition = resolution.coerce(0, BOOLEAN)
    if len(resolution.args) > 1:
        return resolution.call((condition, resolution.coerce(1, STRING)))  # type: ignore[no-any-return]
    return resolution.call((condition, Literal(f"'{resolution.names[0]}' is not true!", STRING)))  # type: ignore[no-any-return]


def _assert_name(names: tuple[str, ...]) -> str:
    message = names[1] if len(names) > 1 else f"'{names[0]}' is not true!"
    return f"assert_true({names[0]}, {message})"


def _uuid_text(text: str) -> str:
    return str(uuid.UUID(text))


def _random_uuid() -> str:
    return str(uuid.uuid4())


# The Java methods that people call from SQL and that Python has too.
_JAVA_METHODS: dict[tuple[str, str], Callable[..., str]] = {
    ("java.util.UUID", "fromString"): _uuid_text,
    ("java.util.UUID", "randomUUID"): _random_uuid,
}


def _reflect(evaluation: Evaluation, *values: pl.Expr) -> pl.Expr:
    names = [constant(a) for a in evaluation.call.args[:2]]
    method = _JAVA_METHODS[names[0], names[1]]
    tolerant = evaluation.call.name == "try_reflect"

    def call(*cells: Any) -> str | None:
        try:
            return method(*cells)
        except ValueError:
            if tolerant:
                return None
            raise

    def run(rows: Rows, *columns: pl.Series) -> pl.Series:
        cells = zip(*[c.to_list() for c in columns[2:]], strict=True) if columns[2:] else [()] * len(columns[0])
        return pl.Series([call(*row) for row in cells], dtype=pl.String)

    return evaluation.columnwise(run, *values)


def _resolve_reflect(resolution: Any) -> Expression:
    names = [constant(a) for a in resolution.args[:2]]
    if tuple(names) not in _JAVA_METHODS:
        raise resolution.error(
            "UNSUPPORTED_CALL.WITHOUT_SUGGESTION",
            methodName=str(names[1]),
            className=f"{names[0]} (there is no JVM here)",
        )
    return resolution.call()  # type: ignore[no-any-return]


# ---- collations and user-defined types ----------------------------------------------------------------------
def _resolve_collate(resolution: Any) -> Expression:
    """The text under a collation of its own: kept as a call, since what is said outright takes precedence."""
    name = constant(resolution.args[1])
    if not isinstance(resolution.args[1], Literal):
        raise resolution.error(
            "NON_FOLDABLE_ARGUMENT", funcName="`collate`", paramName="`collationName`", paramType='"STRING"'
        )
    if not isinstance(name, str):
        raise resolution.error(
            "UNEXPECTED_INPUT_TYPE", paramIndex="first", functionName="`collate`", requiredType='"STRING"',
            inputSql='"NULL"', inputType='"VOID"',
        )  # fmt: skip
    dtype = string_type(name)
    argument = resolution.args[0]
    if not isinstance(dtype_of(argument), (StringType, NullType)):
        raise resolution.unexpected(0, '"STRING"')
    if isinstance(dtype_of(argument), NullType):
        argument = resolution.cast(argument, dtype)
    return resolution.call((argument, resolution.args[1]), dtype)  # type: ignore[no-any-return]


def _collate(evaluation: Evaluation, value: pl.Expr, name: pl.Expr) -> pl.Expr:
    return value


def _collation_name(resolution: Any) -> str:
    dtype = dtype_of(resolution.args[0])
    if not isinstance(dtype, (StringType, NullType)):
        raise resolution.unexpected(0, '"STRING"')
    return f"SYSTEM.BUILTIN.{dtype.collation if isinstance(dtype, StringType) else 'UTF8_BINARY'}"


def _resolve_unwrap(resolution: Any) -> Expression:
    dtype = dtype_of(resolution.args[0])
    if not isinstance(dtype, UserDefinedType):
        raise resolution.unexpected(0, '"USERDEFINEDTYPE"')
    return resolution.call(dtype=dtype.sqlType())  # type: ignore[no-any-return]


def _unwrap(evaluation: Evaluation, value: pl.Expr) -> pl.Expr:
    return value


# ---- files --------------------------------------------------------------------------------------------------
def _no_file_name(evaluation: Evaluation) -> pl.Expr:
    return pl.lit("", pl.String)


def _no_block(evaluation: Evaluation) -> pl.Expr:
    return pl.lit(-1, pl.Int64)


_CLASS = Signature((Parameter("class", STRING_INPUT), Parameter("method", STRING_INPUT), Parameter("arg", ANY)), 1, 2)
_ASSERT = Signature((Parameter("expr", BOOLEAN_INPUT), Parameter("message", STRING_INPUT, optional=True)))
_NO_JAVA = "There is no JVM here: the few methods of Java that Python has too."

FUNCTIONS: tuple[Function, ...] = (
    _fact("current_user", _user),
    _fact("user", _user),
    _fact("session_user", _user),
    _fact("current_catalog", _catalog),
    _fact("current_schema", _database, "current_schema", "current_database"),
    _fact("version", lambda resolution: SPARK_VERSION),
    _fact_of("typeof", _typeof),
    Function(
        ("raise_error",), parameters(("errorMessage", accepts_type(STRING))), NULL, _raise_error,
        nullable=always_nullable, foldable=False,
        display=lambda names: f"raise_error(USER_RAISED_EXCEPTION, map(errorMessage, {names[0]}))",
    ),
    Function(
        ("assert_true",), _ASSERT, NULL, _assert_true, nullable=always_nullable, resolve=_resolve_assert_true,
        display=_assert_name, foldable=False,
    ),
    *[
        Function(
            (name,), _CLASS, STRING, _reflect, resolve=_resolve_reflect, nullable=always_nullable,
            deterministic=False, foldable=False, notes=_NO_JAVA,
        )
        for name in ("java_method", "reflect", "try_reflect")
    ],
    _fact_of("collation", _collation_name),
    Function(
        ("collate",), parameters(("expr", ANY), ("collation", ANY)), STRING, _collate, resolve=_resolve_collate,
    ),
    Function(("unwrap_udt",), parameters(("udt", ANY)), STRING, _unwrap, resolve=_resolve_unwrap),
    Function(("input_file_name",), Signature(), STRING, _no_file_name, nullable=never_nullable, foldable=False),
    Function(("input_file_block_start",), Signature(), LONG, _no_block, nullable=never_nullable, foldable=False),
    Function(("input_file_block_length",), Signature(), LONG, _no_block, nullable=never_nullable, foldable=False),
)  # fmt: skip
