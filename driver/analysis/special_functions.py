"""Calls whose arguments no signature describes: operators spelled otherwise, count(*), struct, casts by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from voltray.driver.analysis.arguments import ordered_arguments
from voltray.driver.analysis.distributed_sequence import distributed_sequence
from voltray.driver.analysis.errors import analysis_error
from voltray.driver.analysis.expressions.update_fields import make_struct
from voltray.driver.analysis.function_syntax import check_orderings
from voltray.driver.analysis.functions import find_function, resolve_entry, unresolved_routine
from voltray.driver.analysis.names import called, rope
from voltray.driver.analysis.resolver import Typed
from voltray.driver.plan.expressions import (
    ExpressionString,
    UnresolvedCast,
    UnresolvedFunction,
    UnresolvedSortOrder,
    UnresolvedStar,
)
from voltray.executors.functions.registry import Function, Signature
from voltray.proto.expressions import Call, Expression, Literal, SortOrder
from voltray.proto.types import (
    BINARY,
    BOOLEAN,
    BYTE,
    DATE,
    DOUBLE,
    FLOAT,
    INTEGER,
    LONG,
    NULL,
    SHORT,
    STRING,
    TIMESTAMP,
    BinaryType,
    DataType,
    DateType,
    DecimalType,
    MapType,
    StringType,
    TimestampNTZType,
    TimestampType,
    TimeType,
)  # fmt: skip

if TYPE_CHECKING:
    from voltray.driver.analysis.resolver import ExpressionResolver

Special = Callable[[UnresolvedFunction, "ExpressionResolver"], Typed]
_VARIADIC = Function(("struct",), Signature(repeated=0, minimum=0), STRING)


def _entry(name: str, expression: UnresolvedFunction, resolver: ExpressionResolver) -> Typed:
    entry = find_function(name)
    if entry is None:
        raise unresolved_routine(expression, resolver)
    return resolve_entry(entry, name, expression, resolver)


def _not_equal(expression: UnresolvedFunction, resolver: ExpressionResolver) -> Typed:
    equal = replace(expression, name=("==",))
    return _entry("not", replace(expression, name=("not",), args=(equal,)), resolver)


def _minus(expression: UnresolvedFunction, resolver: ExpressionResolver) -> Typed:
    if len(expression.args) != 1:
        return _entry("-", expression, resolver)
    typed = _entry("negative", replace(expression, name=("negative",)), resolver)
    argument = resolver.resolve(expression.args[0])
    return Typed(typed.expression, rope("(- ", argument.name, ")"))


def _plus(expression: UnresolvedFunction, resolver: ExpressionResolver) -> Typed:
    if len(expression.args) != 1:
        return _entry("+", expression, resolver)
    return _entry("positive", replace(expression, name=("positive",)), resolver)


_PARAMETERLESS_COUNT = "spark.sql.legacy.allowParameterlessCount"
_QUALIFIED_STAR = "spark.sql.legacy.allowStarWithSingleTableIdentifierInCount"


def _count(expression: UnresolvedFunction, resolver: ExpressionResolver) -> Typed:
    args = expression.args
    if len(args) == 1 and isinstance(args[0], ExpressionString):  # count(expr("*"))
        args = (resolver.environment.parse_expression(args[0].text),)
        expression = replace(expression, args=args)
    if not args and resolver.environment.conf(_PARAMETERLESS_COUNT) != "true":
        raise analysis_error(
            "WRONG_NUM_ARGS.WITH_SUGGESTION", expression.origin, functionName="`count`", expectedNum=" >= 1",
            actualNum=0, legacyNum=0, legacyConfKey=f'"{_PARAMETERLESS_COUNT}"', legacyConfValue='"true"',
        )  # fmt: skip
    if not args:
        nothing = _entry("count", replace(expression, args=(Literal(None, NULL),)), resolver)
        return Typed(nothing.expression, "count()")
    if len(args) == 1 and isinstance(args[0], UnresolvedStar) and len(args[0].target) == 1:
        resolver.resolve(replace(expression, name=("struct",)))  # refuses a table or struct that is not there
        if resolver.environment.conf(_QUALIFIED_STAR) != "true":
            raise analysis_error("_LEGACY_ERROR_TEMP_1021", expression.origin, targetString=args[0].target[0])
    if len(args) == 1 and isinstance(args[0], UnresolvedStar) and not args[0].target and not expression.distinct:
        if args[0].plan_id is None:
            return _entry("count", replace(expression, args=(Literal(1, INTEGER),)), resolver)
    return _entry("count", expression, resolver)


def _struct(expression: UnresolvedFunction, resolver: ExpressionResolver) -> Typed:
    raw = ordered_arguments(_VARIADIC, "struct", expression.args, resolver, expression.origin)
    arguments = [resolver.resolve(a) for a in raw]
    parts = tuple([(_field_name(a, i), a.expression) for i, a in enumerate(arguments)])
    shown = called("struct", [a.name for a in arguments])
    return Typed(make_struct(_bare(parts)), shown)


def _row(expression: UnresolvedFunction, resolver: ExpressionResolver) -> Typed:
    """``(a, b)``: a struct that shows the names of its fields."""
    arguments = [resolver.resolve(a) for a in expression.args]
    parts = tuple([(_field_name(a, i), a.expression) for i, a in enumerate(arguments)])
    shown = [n for (name, _), a in zip(parts, arguments, strict=True) for n in (name, a.name)]
    return Typed(make_struct(_bare(parts)), called("named_struct", shown))


def _field_name(argument: Typed, position: int) -> str:
    if argument.field_name is not None:
        return argument.field_name
    expression = argument.expression
    if isinstance(expression, Call) and expression.name == "get_field":
        return argument.text.rpartition(".")[2]
    return f"col{position + 1}"


def _bare(parts: tuple[tuple[str, Expression], ...]) -> tuple[tuple[str, Expression], ...]:
    from voltray.proto.expressions import Alias

    return tuple([(n, v.child if isinstance(v, Alias) else v) for n, v in parts])


def _named_struct(expression: UnresolvedFunction, resolver: ExpressionResolver) -> Typed:
    raw = ordered_arguments(_VARIADIC, "named_struct", expression.args, resolver, expression.origin)
    arguments = [resolver.resolve(a) for a in raw]
    if len(arguments) % 2 or not arguments:
        raise analysis_error(
            "WRONG_NUM_ARGS.WITHOUT_SUGGESTION", expression.origin, functionName="`named_struct`",
            expectedNum="2n (n > 0)", actualNum=len(arguments), docroot="https://spark.apache.org/docs/latest",
        )  # fmt: skip
    parts: list[tuple[str, Expression]] = []
    for name, value in zip(arguments[0::2], arguments[1::2], strict=True):
        literal = name.expression
        if not isinstance(literal, Literal) or not isinstance(literal.dtype, StringType):
            raise analysis_error(
                "DATATYPE_MISMATCH.CREATE_NAMED_STRUCT_WITHOUT_FOLDABLE_STRING", expression.origin,
                sqlExpr=f'"named_struct({", ".join(a.text for a in arguments)})"', inputExprs=f'["{name.text}"]',
            )  # fmt: skip
        parts.append((str(literal.value), value.expression))
    return Typed(make_struct(_bare(tuple(parts))), called("named_struct", [a.name for a in arguments]))


def _cast_to(dtype: DataType) -> Special:
    def resolve(expression: UnresolvedFunction, resolver: ExpressionResolver) -> Typed:
        if len(expression.args) != 1:
            raise analysis_error(
                "WRONG_NUM_ARGS.WITHOUT_SUGGESTION", expression.origin,
                functionName=f"`{expression.name[-1].lower()}`", expectedNum="1",
                actualNum=len(expression.args), docroot="https://spark.apache.org/docs/latest",
            )  # fmt: skip
        child = resolver.resolve(expression.args[0])
        typed = resolver.resolve(UnresolvedCast(expression.args[0], dtype, None, expression.origin))
        return replace(typed, name=child.name)  # int('7') is called by its argument alone

    return resolve


def _grouping(expression: UnresolvedFunction, resolver: ExpressionResolver) -> Typed:
    """A place holder: the aggregation around it knows what it means (or refuses it)."""
    arguments = [resolver.resolve(a) for a in expression.args]
    name = expression.name[-1].lower()
    dtype = BYTE if name == "grouping" else LONG
    call = Call(name, tuple([a.expression for a in arguments]), dtype, False)
    return Typed(call, called(name, [a.name for a in arguments]))


def _nth_value(expression: UnresolvedFunction, resolver: ExpressionResolver) -> Typed:
    """The DataFrame API says IGNORE NULLS by a third argument."""
    if len(expression.args) == 3 and isinstance(expression.args[2], Literal):
        ignored = bool(expression.args[2].value)
        expression = replace(expression, args=expression.args[:2], ignore_nulls=ignored)
    return _entry("nth_value", expression, resolver)


def _mode(expression: UnresolvedFunction, resolver: ExpressionResolver) -> Typed:
    """``mode() WITHIN GROUP (ORDER BY v)``: the least of the most frequent is told as of a descending order."""
    check_orderings("mode", expression)
    if expression.args or len(expression.order_by) != 1:
        return _entry("mode", expression, resolver)
    order = resolver.resolve(expression.order_by[0])
    assert isinstance(order.expression, SortOrder)
    written = expression.order_by[0]
    child = written.child if isinstance(written, UnresolvedSortOrder) else written
    typed = _entry("mode", replace(expression, args=(child,)), resolver)
    shown = rope(resolver.resolve(child).name, " DESC" if order.expression.ascending else "")
    return Typed(typed.expression, rope("mode() WITHIN GROUP (ORDER BY ", shown, ")"))


_BYTES_AS = {"base64": "base64", "hex": "hex"}


def _to_char(expression: UnresolvedFunction, resolver: ExpressionResolver) -> Typed:
    """A moment is written by date_format, bytes by an encoding: Spark names the column after what does it."""
    if len(expression.args) != 2:
        return _entry("to_char", expression, resolver)
    value, form = (resolver.resolve(a) for a in expression.args)
    if isinstance(value.dtype, (DateType, TimestampType, TimestampNTZType)):
        return _entry("date_format", replace(expression, name=("date_format",)), resolver)
    if isinstance(value.dtype, BinaryType) and isinstance(form.expression, Literal) and form.expression.value:
        name = _BYTES_AS.get(str(form.expression.value).lower())
        if name is not None:
            return _entry(name, replace(expression, name=(name,), args=expression.args[:1]), resolver)
        if str(form.expression.value).lower() == "utf-8":
            typed = _entry("decode", replace(expression, name=("decode",)), resolver)
            return Typed(typed.expression, called(expression.name[-1].lower(), [value.name, form.name]))
    return _entry("to_char", expression, resolver)


def _from_json(expression: UnresolvedFunction, resolver: ExpressionResolver) -> Typed:
    """What is read as a map goes by the name that Spark gives a map's entries."""
    typed = _entry("from_json", expression, resolver)
    return Typed(typed.expression, "entries") if isinstance(typed.dtype, MapType) else typed


def _timestamp(name: str) -> Special:
    """A function whose type is what ``spark.sql.timestampType`` says."""

    def resolved(expression: UnresolvedFunction, resolver: ExpressionResolver) -> Typed:
        zoned = name == "make_timestamp" and len(expression.args) == 7
        if zoned or resolver.environment.conf("spark.sql.timestampType").upper() != "TIMESTAMP_NTZ":
            return _entry(name, expression, resolver)
        typed = _entry(f"{name}_ntz", replace(expression, name=(f"{name}_ntz",)), resolver)
        return Typed(typed.expression, called(name, [resolver.resolve(a).name for a in expression.args]))

    return resolved


def _as(name: str) -> Special:
    return lambda expression, resolver: _entry(name, expression, resolver)


SPECIALS: dict[str, Special] = {
    "!=": _not_equal,
    "<>": _not_equal,
    "-": _minus,
    "+": _plus,
    "=": _as("=="),
    "count": _count,
    "nth_value": _nth_value,
    "mode": _mode,
    "from_json": _from_json,
    "to_timestamp": _timestamp("to_timestamp"),
    "make_timestamp": _timestamp("make_timestamp"),
    "to_char": _to_char,
    "to_varchar": _to_char,
    "distributed_sequence_id": distributed_sequence,
    "struct": _struct,
    "named_struct": _named_struct,
    "(,)": _row,
    "grouping": _grouping,
    "grouping_id": _grouping,
    "boolean": _cast_to(BOOLEAN),
    "tinyint": _cast_to(BYTE),
    "smallint": _cast_to(SHORT),
    "int": _cast_to(INTEGER),
    "bigint": _cast_to(LONG),
    "float": _cast_to(FLOAT),
    "double": _cast_to(DOUBLE),
    "decimal": _cast_to(DecimalType(10, 0)),
    "date": _cast_to(DATE),
    "time": _cast_to(TimeType(6)),
    "timestamp": _cast_to(TIMESTAMP),
    "binary": _cast_to(BINARY),
    "string": _cast_to(STRING),
}
