"""Operand types of the operators: Spark's coercion of arithmetic and comparison before a function's own rule.

Each rule takes the operands' resolved expressions and gives them coerced, or another function's call
(a date plus an interval is not an addition of numbers), or None: then the entry's signature decides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from voltray.driver.analysis.casts import cast_to
from voltray.driver.analysis.errors import mismatch, shown_type
from voltray.driver.analysis.names import Name, called, rope, text_of
from voltray.driver.analysis.resolver import Typed
from voltray.proto.coercion import (
    decimal_of,
    decimal_of_literal,
    implicit_cast,
    is_orderable,
    promoted_string,
    tightest_common_type,
    wider_decimal,
    wider_type,
)  # fmt: skip
from voltray.proto.expressions import Call, Expression, Literal, dtype_of, nullable_of
from voltray.proto.failures import QueryContext
from voltray.proto.types import (
    DATE,
    DOUBLE,
    INTEGER,
    LONG,
    TIMESTAMP,
    BooleanType,
    CalendarIntervalType,
    DataType,
    DateType,
    DayTimeIntervalType,
    DecimalType,
    DoubleType,
    FloatType,
    FractionalType,
    IntegralType,
    NullType,
    NumericType,
    StringType,
    StructField,
    StructType,
    TimestampNTZType,
    TimestampType,
    TimeType,
    YearMonthIntervalType,
    same_type,
)  # fmt: skip

_INTERVALS = (DayTimeIntervalType, YearMonthIntervalType, CalendarIntervalType)
_TIMESTAMPS = (TimestampType, TimestampNTZType)
_DATETIMES = (DateType, *_TIMESTAMPS)


@dataclass(frozen=True, slots=True)
class Operands:
    """Coerced operands, and the function that takes them where it is not the one named."""

    args: tuple[Expression, ...]
    function: str = ""
    name: Name | None = None
    result: DataType | None = None
    """What the function's result is cast to, where that is something else."""


Rule = Callable[[str, Typed, Typed, Name, bool, "QueryContext | None"], "Operands | None"]


# ---- arithmetic ------------------------------------------------------------------------------------
def arithmetic(
    operator: str, left: Typed, right: Typed, name: Name, ansi: bool, origin: QueryContext | None
) -> Operands | None:
    """Operands of + - * / % div pmod and their try_ forms."""
    symbol = SYMBOLS[operator]
    temporal = _temporal(operator, symbol, left, right, name, ansi, origin)
    if temporal is not None:
        return temporal
    a, b = left.expression, right.expression
    if ansi:
        promoted = promoted_string(left.dtype, right.dtype)
        if promoted is not None:
            a, b = cast_to(a, promoted, ansi), cast_to(b, promoted, ansi)
    else:
        a, b = _legacy_number(a), _legacy_number(b)
    if symbol in ("/", "%", "pmod") and isinstance(dtype_of(b), _INTERVALS):
        _refuse(symbol, a, b, name, origin)
    a, b = _nulls(symbol, a, b, ansi)
    pair = _decimals(a, b, ansi)
    if pair is None:
        pair = _numbers(symbol, a, b, ansi)
    if pair is None:
        _refuse(symbol, a, b, name, origin)
        return None
    _check(symbol, *pair, name, origin)
    return Operands(pair)


def _legacy_number(expression: Expression) -> Expression:
    return cast_to(expression, DOUBLE, False) if isinstance(dtype_of(expression), StringType) else expression


def _nulls(symbol: str, a: Expression, b: Expression, ansi: bool) -> tuple[Expression, Expression]:
    left, right = dtype_of(a), dtype_of(b)
    if isinstance(left, NullType) and isinstance(right, NullType):
        target = LONG if symbol == "div" else DOUBLE
        return cast_to(a, target, ansi), cast_to(b, target, ansi)
    if isinstance(left, NullType) and isinstance(right, (NumericType, *_INTERVALS)):
        return cast_to(a, right, ansi), b
    if isinstance(right, NullType) and isinstance(left, (NumericType, *_INTERVALS)):
        return a, cast_to(b, left, ansi)
    return a, b


def _decimals(a: Expression, b: Expression, ansi: bool) -> tuple[Expression, Expression] | None:
    left, right = dtype_of(a), dtype_of(b)
    if not (isinstance(left, DecimalType) or isinstance(right, DecimalType)):
        return None
    if not (isinstance(left, NumericType) and isinstance(right, NumericType)):
        return None
    if isinstance(left, (FloatType, DoubleType)) or isinstance(right, (FloatType, DoubleType)):
        return cast_to(a, DOUBLE, ansi), cast_to(b, DOUBLE, ansi)
    return _as_decimal(a, ansi), _as_decimal(b, ansi)


def _as_decimal(expression: Expression, ansi: bool) -> Expression:
    dtype = dtype_of(expression)
    if isinstance(dtype, DecimalType):
        return expression
    if isinstance(expression, Literal) and expression.value is not None:
        return cast_to(expression, decimal_of_literal(expression.value), ansi)
    decimal = decimal_of(dtype)
    assert decimal is not None
    return cast_to(expression, decimal, ansi)


def _numbers(symbol: str, a: Expression, b: Expression, ansi: bool) -> tuple[Expression, Expression] | None:
    left, right = dtype_of(a), dtype_of(b)
    if isinstance(left, NumericType) and isinstance(right, NumericType):
        if symbol == "/":
            return cast_to(a, DOUBLE, ansi), cast_to(b, DOUBLE, ansi)
        common = tightest_common_type(left, right, ansi)
        assert common is not None
        if symbol == "div" and isinstance(common, IntegralType):
            common = LONG
        return cast_to(a, common, ansi), cast_to(b, common, ansi)
    if isinstance(left, _INTERVALS) and isinstance(right, _INTERVALS):
        common = tightest_common_type(left, right, ansi)
        return None if common is None else (cast_to(a, common, ansi), cast_to(b, common, ansi))
    return None


def _refuse(symbol: str, a: Expression, b: Expression, name: Name, origin: QueryContext | None) -> None:
    left, right = dtype_of(a), dtype_of(b)
    if same_type(left, right):
        raise _wrong_type(symbol, left, name, origin)
    raise mismatch("BINARY_OP_DIFF_TYPES", text_of(name), origin, left=shown_type(left), right=shown_type(right))


ACCEPTED = {
    "+": '("NUMERIC" or "INTERVAL DAY TO SECOND" or "INTERVAL YEAR TO MONTH" or "INTERVAL")',
    "-": '("NUMERIC" or "INTERVAL DAY TO SECOND" or "INTERVAL YEAR TO MONTH" or "INTERVAL")',
    "*": '"NUMERIC"',
    "%": '"NUMERIC"',
    "pmod": '"NUMERIC"',
    "/": '("DOUBLE" or "DECIMAL")',
    "div": '("BIGINT" or "DECIMAL" or "INTERVAL YEAR TO MONTH" or "INTERVAL DAY TO SECOND")',
}


def _wrong_type(symbol: str, dtype: DataType, name: Name, origin: QueryContext | None) -> Exception:
    return mismatch(
        "BINARY_OP_WRONG_TYPE",
        text_of(name),
        origin,
        inputType=ACCEPTED.get(symbol, '"NUMERIC"'),
        actualDataType=shown_type(dtype),
    )


def _check(symbol: str, a: Expression, b: Expression, name: Name, origin: QueryContext | None) -> None:
    dtype = dtype_of(a)
    intervals = _INTERVALS if symbol in ("+", "-") else (DayTimeIntervalType, YearMonthIntervalType)
    allowed = (NumericType, *intervals) if symbol in ("+", "-", "div") else (NumericType,)
    if symbol == "div" and isinstance(dtype, FractionalType) and not isinstance(dtype, DecimalType):
        raise _wrong_type(symbol, dtype, name, origin)
    if not isinstance(dtype, allowed):
        raise _wrong_type(symbol, dtype, name, origin)


SYMBOLS = {
    "+": "+", "-": "-", "*": "*", "/": "/", "%": "%", "div": "div", "mod": "%", "pmod": "pmod", "try_add": "+",
    "try_subtract": "-", "try_multiply": "*", "try_divide": "/", "try_mod": "%",
}  # fmt: skip


# ---- dates, times and intervals ------------------------------------------------------------------------
def _temporal(
    operator: str, symbol: str, left: Typed, right: Typed, name: Name, ansi: bool, origin: QueryContext | None
) -> Operands | None:
    if symbol == "+":
        return _temporal_sum(left, right, ansi, origin)
    if symbol == "-":
        return _temporal_difference(left, right, name, ansi, origin)
    if symbol in ("*", "/"):
        return _scaled_interval(symbol, left, right, ansi, origin)
    return None


_MOMENTS = '"(TIMESTAMP OR TIMESTAMP WITHOUT TIME ZONE)"'
_DAYS = '("INT" or "SMALLINT" or "TINYINT")'
_SHIFTING = (DayTimeIntervalType, CalendarIntervalType)


def _unexpected(
    operand: Typed, position: str, required: str, name: Name, origin: QueryContext | None
) -> Exception:
    return mismatch(
        "UNEXPECTED_INPUT_TYPE", text_of(name), origin, paramIndex=position, requiredType=required,
        inputSql=f'"{operand.text}"', inputType=shown_type(operand.dtype),
    )  # fmt: skip


def _text_for_days(function: str, date: Typed, text: Typed, ansi: bool, origin: QueryContext | None) -> Exception:
    """Text is promoted (to a date, or without ANSI to a number) before anyone asks for days: it never fits."""
    promoted = replace(text, expression=cast_to(text.expression, DATE if ansi else DOUBLE, ansi))
    return _unexpected(promoted, "second", _DAYS, called(function, (date.name, text.name)), origin)


def _temporal_sum(left: Typed, right: Typed, ansi: bool, origin: QueryContext | None) -> Operands | None:
    a, b = left.dtype, right.dtype
    if _regular_intervals(a, b):
        return None
    times = (*_DATETIMES, TimeType)
    if isinstance(b, times) and not isinstance(a, times):
        if isinstance(a, (*_INTERVALS, NullType)) or (isinstance(b, DateType) and not isinstance(a, StringType)):
            return _moved(right, left, ansi, "", origin)
    if isinstance(a, StringType) and isinstance(b, DateType):
        if ansi:
            raise _unexpected(right, "second", _DAYS, called("date_add", (left.name, right.name)), origin)
        raise _text_for_days("date_add", right, left, ansi, origin)
    if isinstance(a, DateType) and isinstance(b, StringType):
        raise _text_for_days("date_add", left, right, ansi, origin)
    if isinstance(a, _SHIFTING) and not isinstance(b, (*times, *_SHIFTING)):
        return _moved(right, left, ansi, "", origin)
    return _moved(left, right, ansi, "", origin)


def _regular_intervals(a: DataType, b: DataType) -> bool:
    """Intervals of one kind (or NULL) are added and subtracted as numbers are."""
    kinds = (DayTimeIntervalType, YearMonthIntervalType)
    if (isinstance(a, NullType) and isinstance(b, kinds)) or (isinstance(b, NullType) and isinstance(a, kinds)):
        return True
    return any(isinstance(a, k) and isinstance(b, k) for k in _INTERVALS)


def _negated(interval: Expression) -> Expression:
    if isinstance(interval, Literal) and isinstance(interval.value, int):
        return Literal(-interval.value, interval.dtype)
    return Call("negative", (interval,), dtype_of(interval), nullable_of(interval))


def _moved(
    moment: Typed, by: Typed, ansi: bool, sign: str, origin: QueryContext | None
) -> Operands | None:
    """A date, time or timestamp moved by an interval or by days (``sign`` "-": back)."""
    a, b = moment.expression, by.expression
    name = rope(moment.name, " - " if sign else " + ", by.name)
    amount = _negated(b) if sign and isinstance(by.dtype, _INTERVALS) else b
    if isinstance(moment.dtype, DateType):
        return _moved_date(amount, moment, by, name, ansi, sign)
    if isinstance(moment.dtype, _TIMESTAMPS):
        if isinstance(by.dtype, YearMonthIntervalType):
            return Operands((a, amount), "timestamp_add_year_month_interval", name)
        if isinstance(by.dtype, _SHIFTING):
            return Operands((a, amount), "timestamp_add_interval", name)
        if isinstance(by.dtype, NullType):
            return Operands((a, Literal(None, DayTimeIntervalType())), "timestamp_add_interval", name)
        return None
    if isinstance(moment.dtype, TimeType) and isinstance(by.dtype, DayTimeIntervalType):
        return Operands((a, amount), "time_add_interval", name)
    if not isinstance(by.dtype, _SHIFTING):
        return None
    if isinstance(moment.dtype, (StringType, NullType)):
        return Operands((cast_to(a, TIMESTAMP, ansi), amount), "timestamp_add_interval", name, moment.dtype)
    shown = rope(moment.name, " + ", rope("(- ", by.name, ")") if sign else by.name)
    raise _unexpected(moment, "first", _MOMENTS, shown, origin)


def _moved_date(amount: Expression, moment: Typed, by: Typed, name: Name, ansi: bool, sign: str) -> Operands | None:
    a, b = moment.expression, by.expression
    if isinstance(by.dtype, YearMonthIntervalType):
        return Operands((a, amount), "date_add_year_month_interval", name)
    if isinstance(by.dtype, CalendarIntervalType):
        return Operands((a, amount), "date_add_interval", name)
    if isinstance(by.dtype, DayTimeIntervalType) and (by.dtype.startField, by.dtype.endField) == (0, 0):
        return _moved_by_days(amount, moment, by, sign)
    if isinstance(by.dtype, DayTimeIntervalType):
        return Operands((cast_to(a, TIMESTAMP, ansi), amount), "timestamp_add_interval", name)
    if isinstance(by.dtype, NullType):
        nothing = Literal(None, DayTimeIntervalType())
        return Operands((cast_to(a, TIMESTAMP, ansi), nothing), "timestamp_add_interval", name)
    function = "date_sub" if sign else "date_add"
    return Operands((a, b), function, called(function, (moment.name, by.name)))


def _moved_by_days(amount: Expression, moment: Typed, by: Typed, sign: str) -> Operands:
    days: Expression = Call("extract_days", (amount,), INTEGER, nullable_of(amount))
    if isinstance(amount, Literal) and amount.value is not None:
        days = Literal(amount.value // 86_400_000_000, INTEGER)
    shown: Name = called("extractansiintervaldays", (by.name,))
    if sign:
        shown = rope("(- ", shown, ")")
    return Operands((moment.expression, days), "date_add", called("date_add", (moment.name, shown)))


def _temporal_difference(
    left: Typed, right: Typed, name: Name, ansi: bool, origin: QueryContext | None
) -> Operands | None:
    a, b = left.expression, right.expression
    if _regular_intervals(left.dtype, right.dtype):
        return None
    if isinstance(left.dtype, TimeType) and isinstance(right.dtype, TimeType):
        return Operands((a, b), "subtract_times", name)
    if isinstance(right.dtype, _SHIFTING) or (
        isinstance(right.dtype, YearMonthIntervalType) and isinstance(left.dtype, _DATETIMES)
    ):
        return _moved(left, right, ansi, "-", origin)
    if isinstance(left.dtype, _TIMESTAMPS) or isinstance(right.dtype, _TIMESTAMPS):
        return _subtracted_timestamps(left, right, name, ansi, origin)
    if not ansi and isinstance(left.dtype, DateType) and isinstance(right.dtype, StringType):
        raise _text_for_days("date_sub", left, right, ansi, origin)
    if isinstance(right.dtype, DateType) or (
        isinstance(left.dtype, DateType) and isinstance(right.dtype, StringType)
    ):
        if not isinstance(left.dtype, (DateType, StringType, NullType)):
            raise _unexpected(left, "first", '"DATE"', name, origin)
        return Operands((cast_to(a, DATE, ansi), cast_to(b, DATE, ansi)), "subtract_dates", name)
    if isinstance(left.dtype, DateType) and isinstance(right.dtype, NullType):
        return Operands((a, cast_to(b, DATE, ansi)), "subtract_dates", name)
    if isinstance(left.dtype, DateType):
        return _moved(left, right, ansi, "-", origin)
    return None


def _subtracted_timestamps(
    left: Typed, right: Typed, name: Name, ansi: bool, origin: QueryContext | None
) -> Operands:
    taken = (*_DATETIMES, StringType, NullType)
    for operand, position in ((left, "first"), (right, "second")):
        if not isinstance(operand.dtype, taken):
            raise _unexpected(operand, position, _MOMENTS, name, origin)
    common = tightest_common_type(left.dtype, right.dtype, ansi)
    if common is None or isinstance(common, StringType):
        common = left.dtype if isinstance(left.dtype, _TIMESTAMPS) else right.dtype
    pair = cast_to(left.expression, common, ansi), cast_to(right.expression, common, ansi)
    return Operands(pair, "subtract_timestamps", name)


def _scaled_interval(
    symbol: str, left: Typed, right: Typed, ansi: bool, origin: QueryContext | None
) -> Operands | None:
    interval, number = left, right
    if symbol == "*" and isinstance(right.dtype, _INTERVALS) and not isinstance(left.dtype, _INTERVALS):
        interval, number = right, left
    if not isinstance(interval.dtype, _INTERVALS):
        return None
    function = "multiply_interval" if symbol == "*" else "divide_interval"
    calendar = isinstance(interval.dtype, CalendarIntervalType)
    name = (
        called(function, (interval.name, number.name)) if calendar
        else rope("(", interval.name, f" {symbol} ", number.name, ")")
    )  # fmt: skip
    if not isinstance(number.dtype, (NumericType, StringType, NullType)):
        raise _unexpected(number, "second", '"DOUBLE"' if calendar else '"NUMERIC"', name, origin)
    amount = number.expression
    if isinstance(number.dtype, (StringType, NullType)):
        amount = cast_to(amount, DOUBLE, ansi)
    return Operands((interval.expression, amount), function, name)


def _struct_of(left: DataType, right: DataType, ansi: bool) -> DataType | None:
    """Structs compare field by field, whatever the fields are called."""
    if not isinstance(left, StructType) or not isinstance(right, StructType) or len(left) != len(right):
        return None
    pairs = list(zip(left.fields, right.fields, strict=True))
    if not all(same_type(a.dataType, b.dataType) for a, b in pairs):
        return None
    return StructType([StructField(a.name, a.dataType, a.nullable or b.nullable) for a, b in pairs])


# ---- comparison ------------------------------------------------------------------------------------
def comparison(
    operator: str, left: Typed, right: Typed, name: Name, ansi: bool, origin: QueryContext | None
) -> Operands | None:
    """Operands of = <=> < <= > >=."""
    a, b = left.expression, right.expression
    common = _compared_as(a, b, ansi)
    if common is None:
        common = _struct_of(left.dtype, right.dtype, ansi)
    if common is None:
        raise mismatch(
            "BINARY_OP_DIFF_TYPES", text_of(name), origin, left=shown_type(left.dtype), right=shown_type(right.dtype)
        )
    if not is_orderable(common):
        symbol = "=" if operator == "==" else operator
        raise mismatch(
            "INVALID_ORDERING_TYPE", text_of(name), origin, functionName=f"`{symbol}`", dataType=shown_type(common)
        )
    return Operands((cast_to(a, common, ansi), cast_to(b, common, ansi)))


def _compared_as(a: Expression, b: Expression, ansi: bool) -> DataType | None:
    left, right = dtype_of(a), dtype_of(b)
    if same_type(left, right):
        return left
    common = tightest_common_type(left, right, ansi)
    if common is not None:
        return common
    if isinstance(left, NumericType) and isinstance(right, NumericType):
        return _compared_decimals(a, b, ansi)
    if ansi:
        promoted = promoted_string(left, right)
        return promoted if promoted is not None else wider_type(left, right, ansi)
    return _compared_legacy(left, right)


def _compared_decimals(a: Expression, b: Expression, ansi: bool) -> DataType | None:
    pair = _decimals(a, b, ansi)
    if pair is None:
        return None
    left, right = dtype_of(pair[0]), dtype_of(pair[1])
    if isinstance(left, DecimalType) and isinstance(right, DecimalType):
        return wider_decimal(left, right)
    return DOUBLE


def _compared_legacy(left: DataType, right: DataType) -> DataType | None:
    for one, other in ((left, right), (right, left)):
        if isinstance(one, StringType):
            if isinstance(other, DecimalType):
                return DOUBLE
            return implicit_cast(one, other, True) if not isinstance(other, NullType) else one
        if isinstance(one, BooleanType) and isinstance(other, NumericType):
            return None
    return wider_type(left, right, False)


RULES: dict[str, Rule] = {
    **dict.fromkeys(SYMBOLS, arithmetic),
    **dict.fromkeys(("==", "<=>", "<", "<=", ">", ">="), comparison),
}

__all__ = ["RULES", "Operands", "arithmetic", "comparison"]
