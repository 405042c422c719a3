"""Spark's lattice of types: which types widen to one, which casts are made unasked, which are allowed at all.

``ansi`` chooses between the rules of ``spark.sql.ansi.enabled`` true and false. Nothing here touches data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal

from voltray.proto.types import (
    BINARY,
    BOOLEAN,
    BYTE,
    DATE,
    DOUBLE,
    FLOAT,
    INTEGER,
    LONG,
    MAX_DECIMAL_PRECISION,
    NULL,
    SHORT,
    STRING,
    TIMESTAMP,
    TIMESTAMP_NTZ,
    ArrayType,
    AtomicType,
    BinaryType,
    BooleanType,
    ByteType,
    CalendarIntervalType,
    CharType,
    DataType,
    DateType,
    DayTimeIntervalType,
    DecimalType,
    DoubleType,
    FloatType,
    FractionalType,
    IntegerType,
    IntegralType,
    LongType,
    MapType,
    NullType,
    NumericType,
    ShortType,
    StringType,
    StructField,
    StructType,
    TimestampNTZType,
    TimestampType,
    TimeType,
    UserDefinedType,
    VarcharType,
    VariantType,
    YearMonthIntervalType,
    same_type,
)  # fmt: skip

SYSTEM_DECIMAL = DecimalType(38, 18)
USER_DECIMAL = DecimalType(10, 0)
MINIMUM_ADJUSTED_SCALE = 6

_PRECEDENCE: tuple[type[DataType], ...] = (ByteType, ShortType, IntegerType, LongType, FloatType, DoubleType)
_NUMERIC: dict[type[DataType], DataType] = {
    ByteType: BYTE, ShortType: SHORT, IntegerType: INTEGER, LongType: LONG, FloatType: FLOAT, DoubleType: DOUBLE,
}  # fmt: skip
_DECIMAL_OF: dict[type[DataType], DecimalType] = {
    ByteType: DecimalType(3, 0),
    ShortType: DecimalType(5, 0),
    IntegerType: DecimalType(10, 0),
    LongType: DecimalType(20, 0),
    FloatType: DecimalType(14, 7),
    DoubleType: DecimalType(30, 15),
}
_DATETIME = (DateType, TimestampType, TimestampNTZType)
_ANSI_INTERVAL = (DayTimeIntervalType, YearMonthIntervalType)

Widen = Callable[[DataType, DataType], "DataType | None"]


# ---- decimals ------------------------------------------------------------------------------------
def decimal_of(dtype: DataType) -> DecimalType | None:
    """The decimal type that holds every value of a numeric type (floats: the usual digits)."""
    return dtype if isinstance(dtype, DecimalType) else _DECIMAL_OF.get(type(dtype))


def decimal_of_literal(value: int | Decimal) -> DecimalType:
    """The narrowest decimal type of a constant."""
    _, digits, exponent = Decimal(value).as_tuple()
    assert isinstance(exponent, int)
    scale = max(-exponent, 0)
    precision = len(digits) + max(exponent, 0)
    return bounded_decimal(max(precision, scale, 1), scale)


def bounded_decimal(precision: int, scale: int) -> DecimalType:
    """Cut to 38 digits, whole digits first to stay."""
    if precision <= MAX_DECIMAL_PRECISION:
        return DecimalType(precision, scale)
    return DecimalType(MAX_DECIMAL_PRECISION, max(0, scale - (precision - MAX_DECIMAL_PRECISION)))


def adjusted_decimal(precision: int, scale: int) -> DecimalType:
    """Cut to 38 digits at the cost of scale, but not below 6 fractional digits (arithmetic results)."""
    if precision <= MAX_DECIMAL_PRECISION:
        return DecimalType(precision, scale)
    whole = precision - scale
    least = min(scale, MINIMUM_ADJUSTED_SCALE)
    return DecimalType(MAX_DECIMAL_PRECISION, max(MAX_DECIMAL_PRECISION - whole, least))


def wider_decimal(left: DecimalType, right: DecimalType) -> DecimalType:
    """The decimal that holds the values of both."""
    scale = max(left.scale, right.scale)
    whole = max(left.precision - left.scale, right.precision - right.scale)
    return bounded_decimal(whole + scale, scale)


def exact_decimal_result(operator: str, left: DecimalType, right: DecimalType) -> DecimalType:
    """:func:`decimal_result` where no fractional digit may give way (allowPrecisionLoss = false)."""
    p1, s1, p2, s2 = left.precision, left.scale, right.precision, right.scale
    scale = max(s1, s2)
    match operator:
        case "+" | "-":
            return bounded_exactly(max(p1 - s1, p2 - s2) + scale + 1, scale)
        case "*":
            return bounded_exactly(p1 + p2 + 1, s1 + s2)
        case "/":
            whole = min(MAX_DECIMAL_PRECISION, p1 - s1 + s2)
            fraction = min(MAX_DECIMAL_PRECISION, max(MINIMUM_ADJUSTED_SCALE, s1 + p2 + 1))
            beyond = whole + fraction - MAX_DECIMAL_PRECISION
            if beyond > 0:
                fraction -= beyond // 2 + 1
                whole = MAX_DECIMAL_PRECISION - fraction
            return bounded_exactly(whole + fraction, fraction)
        case "%" | "pmod":
            return bounded_exactly(min(p1 - s1, p2 - s2) + scale, scale)
    return decimal_result(operator, left, right)


def bounded_exactly(precision: int, scale: int) -> DecimalType:
    """Precision and scale each cut to 38."""
    return DecimalType(min(precision, MAX_DECIMAL_PRECISION), min(scale, MAX_DECIMAL_PRECISION))


def decimal_result(operator: str, left: DecimalType, right: DecimalType) -> DecimalType:
    """The type of ``left operator right`` for + - * / % div (div: the decimal before it becomes a bigint) and pmod."""
    p1, s1, p2, s2 = left.precision, left.scale, right.precision, right.scale
    match operator:
        case "+" | "-":
            scale = max(s1, s2)
            return adjusted_decimal(max(p1 - s1, p2 - s2) + scale + 1, scale)
        case "*":
            return adjusted_decimal(p1 + p2 + 1, s1 + s2)
        case "/":
            scale = max(MINIMUM_ADJUSTED_SCALE, s1 + p2 + 1)
            return adjusted_decimal(p1 - s1 + s2 + scale, scale)
        case "%" | "pmod":
            scale = max(s1, s2)
            return adjusted_decimal(min(p1 - s1, p2 - s2) + scale, scale)
        case "div":
            whole = p1 - s1 + s2
            return adjusted_decimal(whole if whole > 0 else 1, 0)
    raise ValueError(f"no decimal arithmetic for {operator}")


def is_wider_decimal(decimal: DecimalType, other: DataType) -> bool:
    """Whether a decimal holds every value of an integral or decimal type."""
    held = decimal_of(other)
    if held is None or not isinstance(other, (IntegralType, DecimalType)):
        return False
    return decimal.precision - decimal.scale >= held.precision - held.scale and decimal.scale >= held.scale


# ---- common types ----------------------------------------------------------------------------------
def tightest_common_type(left: DataType, right: DataType, ansi: bool = True) -> DataType | None:
    """The common type without loss of precision and without strings, or None."""
    if left == right:
        return left
    if isinstance(left, NullType):
        return right
    if isinstance(right, NullType):
        return left
    if isinstance(left, (StringType, CharType, VarcharType)) and isinstance(right, (StringType, CharType, VarcharType)):
        return None if isinstance(left, StringType) and isinstance(right, StringType) else STRING
    if isinstance(left, NumericType) and isinstance(right, NumericType):
        return _tightest_numeric(left, right, ansi)
    if isinstance(left, _DATETIME) and isinstance(right, _DATETIME):
        return _wider_datetime(left, right)
    if isinstance(left, DayTimeIntervalType) and isinstance(right, DayTimeIntervalType):
        start, end = min(left.startField, right.startField), max(left.endField, right.endField)
        return DayTimeIntervalType(start, end)
    if isinstance(left, YearMonthIntervalType) and isinstance(right, YearMonthIntervalType):
        start, end = min(left.startField, right.startField), max(left.endField, right.endField)
        return YearMonthIntervalType(start, end)
    if isinstance(left, TimeType) and isinstance(right, TimeType):
        return left if left.precision >= right.precision else right
    return _complex_type(left, right, lambda a, b: tightest_common_type(a, b, ansi))


def _tightest_numeric(left: DataType, right: DataType, ansi: bool) -> DataType | None:
    if isinstance(left, DecimalType) or isinstance(right, DecimalType):
        if isinstance(right, DecimalType) and isinstance(left, IntegralType) and is_wider_decimal(right, left):
            return right
        if isinstance(left, DecimalType) and isinstance(right, IntegralType) and is_wider_decimal(left, right):
            return left
        return None
    wider = max(_PRECEDENCE.index(type(left)), _PRECEDENCE.index(type(right)))
    if _PRECEDENCE[wider] is FloatType and ansi:
        return DOUBLE
    return _NUMERIC[_PRECEDENCE[wider]]


def _wider_datetime(left: DataType, right: DataType) -> DataType:
    if isinstance(left, TimestampType) or isinstance(right, TimestampType):
        return TIMESTAMP
    return TIMESTAMP_NTZ if isinstance(left, TimestampNTZType) or isinstance(right, TimestampNTZType) else DATE


def _complex_type(left: DataType, right: DataType, widen: Widen) -> DataType | None:
    match left, right:
        case (ArrayType(), ArrayType()):
            element = widen(left.elementType, right.elementType)
            if element is None:
                return None
            nullable = left.containsNull or right.containsNull
            nullable = nullable or _force_nullable(left.elementType, element)
            return ArrayType(element, nullable or _force_nullable(right.elementType, element))
        case (MapType(), MapType()):
            key, value = widen(left.keyType, right.keyType), widen(left.valueType, right.valueType)
            if key is None or value is None:
                return None
            if _force_nullable(left.keyType, key) or _force_nullable(right.keyType, key):
                return None
            nullable = left.valueContainsNull or right.valueContainsNull
            nullable = nullable or _force_nullable(left.valueType, value) or _force_nullable(right.valueType, value)
            return MapType(key, value, nullable)
        case (StructType(), StructType()):
            return _common_struct(left, right, widen)
    return None


def _common_struct(left: StructType, right: StructType, widen: Widen) -> DataType | None:
    if len(left.fields) != len(right.fields):
        return None
    fields: list[StructField] = []
    for a, b in zip(left.fields, right.fields, strict=True):
        if a.name.lower() != b.name.lower():
            return None
        dtype = widen(a.dataType, b.dataType)
        if dtype is None:
            return None
        forced = _force_nullable(a.dataType, dtype) or _force_nullable(b.dataType, dtype)
        fields.append(StructField(a.name, dtype, a.nullable or b.nullable or forced))
    return StructType(fields)


def _wider_with_decimal(left: DataType, right: DataType) -> DataType | None:
    if not (isinstance(left, DecimalType) or isinstance(right, DecimalType)):
        return None
    if isinstance(left, (FloatType, DoubleType)) or isinstance(right, (FloatType, DoubleType)):
        return DOUBLE
    a, b = decimal_of(left), decimal_of(right)
    return wider_decimal(a, b) if a is not None and b is not None else None


def promoted_string(left: DataType, right: DataType) -> DataType | None:
    """The type to which a string and another atomic type go under ANSI: the other (bigint, double for numbers)."""
    if isinstance(left, StringType):
        other = right
    elif isinstance(right, StringType):
        other = left
    else:
        return None
    if isinstance(other, IntegralType):
        return LONG
    if isinstance(other, FractionalType | DecimalType):
        return DOUBLE
    if isinstance(other, (*_ANSI_INTERVAL, NullType, StringType)) or not _is_atomic(other):
        return None
    return other


def _string_promotion_legacy(left: DataType, right: DataType) -> DataType | None:
    for one, other in ((left, right), (right, left)):
        kept = (BinaryType, BooleanType, StringType)
        if isinstance(one, StringType) and _is_atomic(other) and not isinstance(other, kept):
            return STRING
    return None


def wider_type(left: DataType, right: DataType, ansi: bool = True) -> DataType | None:
    """The common type of two branches (CASE, coalesce, UNION, IN): decimals may lose range, strings take part."""
    common = tightest_common_type(left, right, ansi)
    if common is None:
        common = _wider_with_decimal(left, right)
    if common is None:
        common = promoted_string(left, right) if ansi else _string_promotion_legacy(left, right)
    if common is None:
        common = _complex_type(left, right, lambda a, b: wider_type(a, b, ansi))
    return common


def wider_types_without_strings(types: Iterable[DataType], ansi: bool = True) -> DataType | None:
    """The common type of types none of which becomes a string or stops being one (``greatest``, ``least``)."""
    result: DataType = NULL
    for dtype in types:
        common = tightest_common_type(result, dtype, ansi) or _wider_with_decimal(result, dtype)
        if common is None:
            return None
        result = common
    return result


def wider_types(types: Iterable[DataType], ansi: bool = True) -> DataType | None:
    """The common type of any number of branches."""
    ordered = list(types)
    if not ansi:  # strings first, so that the order of the others does not matter
        ordered.sort(key=lambda t: not isinstance(t, StringType))
    result: DataType | None = NULL
    for dtype in ordered:
        if result is None:
            return None
        result = wider_type(result, dtype, ansi)
    return result


# ---- casts made unasked --------------------------------------------------------------------------
def _is_atomic(dtype: DataType) -> bool:
    return isinstance(dtype, (AtomicType, DayTimeIntervalType, YearMonthIntervalType, VariantType)) and not isinstance(
        dtype, (ArrayType, MapType, StructType, NullType, CalendarIntervalType)
    )


def implicit_cast(source: DataType, target: DataType, ansi: bool = True) -> DataType | None:
    """The type to which a function's argument is cast without being asked, or None where Spark refuses."""
    if same_type(source, target):
        return source
    if isinstance(source, NullType):
        return target
    if isinstance(source, StringType) and isinstance(target, StringType):
        return source  # whatever collation it is under
    match source, target:
        case (ArrayType(), ArrayType()):
            element = implicit_cast(source.elementType, target.elementType, ansi)
            return None if element is None else ArrayType(element, source.containsNull)
        case (MapType(), MapType()):
            key = implicit_cast(source.keyType, target.keyType, ansi)
            value = implicit_cast(source.valueType, target.valueType, ansi)
            return None if key is None or value is None else MapType(key, value, source.valueContainsNull)
    return (_implicit_ansi if ansi else _implicit_legacy)(source, target)


def _implicit_ansi(source: DataType, target: DataType) -> DataType | None:
    if isinstance(source, StringType):
        if isinstance(target, (*_ANSI_INTERVAL, TimeType)) or not _is_atomic(target):
            return target if isinstance(target, CalendarIntervalType) else None
        return target
    return target if can_store_assign(source, target) else None


def _implicit_legacy(source: DataType, target: DataType) -> DataType | None:
    if isinstance(source, NumericType) and isinstance(target, NumericType):
        return target
    if isinstance(source, _DATETIME) and isinstance(target, _DATETIME):
        return target
    if isinstance(target, StringType):
        return target if _is_atomic(source) or isinstance(source, CalendarIntervalType) else None
    if isinstance(source, StringType):
        kinds = (NumericType, *_DATETIME, BinaryType, *_ANSI_INTERVAL)
        return target if isinstance(target, kinds) else None
    if isinstance(source, _ANSI_INTERVAL) and type(source) is type(target):
        return target
    return None


def can_store_assign(source: DataType, target: DataType) -> bool:
    """Whether a value may be stored in a column of another type under the ANSI store assignment."""
    if same_type(source, target) or isinstance(source, NullType):
        return True
    if isinstance(target, (StringType, CharType, VarcharType)):
        return _is_atomic(source) or isinstance(source, CalendarIntervalType)
    if isinstance(source, NumericType) and isinstance(target, NumericType):
        return True
    if isinstance(source, _DATETIME) and isinstance(target, _DATETIME):
        return True
    if isinstance(source, (*_ANSI_INTERVAL, TimeType)) and type(source) is type(target):
        return True
    match source, target:
        case (ArrayType(), ArrayType()):
            nulls = target.containsNull or not source.containsNull
            return nulls and can_store_assign(source.elementType, target.elementType)
        case (MapType(), MapType()):
            nulls = target.valueContainsNull or not source.valueContainsNull
            keys = can_store_assign(source.keyType, target.keyType)
            return nulls and keys and can_store_assign(source.valueType, target.valueType)
        case (StructType(), StructType()):
            return len(source.fields) == len(target.fields) and all(
                (b.nullable or not a.nullable) and can_store_assign(a.dataType, b.dataType)
                for a, b in zip(source.fields, target.fields, strict=True)
            )
        case (UserDefinedType(), _):
            return can_store_assign(source.sqlType(), target)
    return False


# ---- casts asked for --------------------------------------------------------------------------------
_TO_NUMBER_LEGACY = (StringType, BooleanType, DateType, TimestampType, NumericType)
_TO_NUMBER_ANSI = (StringType, BooleanType, TimestampType, NumericType)
_FROM_STRING = (
    BinaryType, BooleanType, *_DATETIME, TimeType, CalendarIntervalType, *_ANSI_INTERVAL, NumericType,
)  # fmt: skip


def _is_one_unit(dtype: DataType) -> bool:
    return isinstance(dtype, _ANSI_INTERVAL) and dtype.startField == dtype.endField


def _can_cast_atomic(source: DataType, target: DataType, ansi: bool) -> bool:
    if isinstance(target, (StringType, CharType, VarcharType)):
        return True
    if isinstance(source, (StringType, CharType, VarcharType)):
        return isinstance(target, _FROM_STRING)
    if isinstance(target, NumericType):
        if isinstance(source, TimeType):
            return isinstance(target, (IntegralType, DecimalType))
        if isinstance(source, _ANSI_INTERVAL):
            return isinstance(target, (IntegralType, DecimalType))
        return isinstance(source, _TO_NUMBER_ANSI if ansi else _TO_NUMBER_LEGACY)
    match target:
        case BinaryType():
            return isinstance(source, IntegralType) and not ansi
        case BooleanType():
            return isinstance(source, NumericType) or (not ansi and isinstance(source, (DateType, TimestampType)))
        case TimestampType():
            numbers = isinstance(source, NumericType) or (isinstance(source, BooleanType) and not ansi)
            return numbers or isinstance(source, _DATETIME)
        case TimestampNTZType() | DateType():
            return isinstance(source, _DATETIME)
        case DayTimeIntervalType() | YearMonthIntervalType():
            return type(source) is type(target) or isinstance(source, (IntegralType, DecimalType))
        case TimeType():
            return isinstance(source, (TimeType, TimestampNTZType, TimestampType))
    return False


def can_cast(source: DataType, target: DataType, ansi: bool = True) -> bool:
    """Whether ``CAST`` between two types is allowed at all (its values may still fail)."""
    if source == target or isinstance(source, NullType):
        return True
    if isinstance(target, VariantType):
        return _variant_holds(source)
    if isinstance(source, VariantType):
        return _variant_gives(target)
    match source, target:
        case (ArrayType(), ArrayType()):
            nulls = _nulls_fit(source.elementType, target.elementType, source.containsNull, target.containsNull, ansi)
            return nulls and can_cast(source.elementType, target.elementType, ansi)
        case (MapType(), MapType()):
            keys = can_cast(source.keyType, target.keyType, ansi)
            keys = keys and (ansi or not _force_nullable(source.keyType, target.keyType))
            has, takes = source.valueContainsNull, target.valueContainsNull
            fit = _nulls_fit(source.valueType, target.valueType, has, takes, ansi)
            return keys and fit and can_cast(source.valueType, target.valueType, ansi)
        case (StructType(), StructType()):
            return len(source.fields) == len(target.fields) and all(
                _nulls_fit(a.dataType, b.dataType, a.nullable, b.nullable, ansi)
                and can_cast(a.dataType, b.dataType, ansi)
                for a, b in zip(source.fields, target.fields, strict=True)
            )
        case (UserDefinedType(), _):
            return can_cast(source.sqlType(), target, ansi)
    return _can_cast_atomic(source, target, ansi)


def _nulls_fit(source: DataType, target: DataType, has_nulls: bool, takes_nulls: bool, ansi: bool) -> bool:
    return takes_nulls or not (has_nulls or (not ansi and _force_nullable(source, target)))


def _variant_holds(source: DataType) -> bool:
    match source:
        case ArrayType():
            return _variant_holds(source.elementType)
        case MapType():
            return isinstance(source.keyType, StringType) and _variant_holds(source.valueType)
        case StructType():
            return all(_variant_holds(f.dataType) for f in source.fields)
    return not isinstance(source, (CalendarIntervalType, *_ANSI_INTERVAL, TimeType, UserDefinedType))


def _variant_gives(target: DataType) -> bool:
    match target:
        case ArrayType():
            return _variant_gives(target.elementType)
        case MapType():
            return isinstance(target.keyType, StringType) and _variant_gives(target.valueType)
        case StructType():
            return all(_variant_gives(f.dataType) for f in target.fields)
    return not isinstance(target, (CalendarIntervalType, *_ANSI_INTERVAL, TimeType, UserDefinedType))


def _force_nullable(source: DataType, target: DataType) -> bool:
    return cast_gives_null(source, target)


def cast_gives_null(source: DataType, target: DataType) -> bool:
    """Whether a cast makes its result nullable whatever its input (Spark's ``forceNullable``, ANSI or not)."""
    if isinstance(source, NullType) or same_type(source, target):
        return False  # an untyped NULL is nullable itself; an empty array or map of them holds none
    if isinstance(source, (VariantType,)):
        return not isinstance(target, VariantType)
    if isinstance(target, VariantType):
        return False
    if isinstance(source, StringType):
        return not isinstance(target, (BinaryType, StringType))
    if isinstance(target, StringType):
        return False
    if isinstance(source, TimestampType) and isinstance(target, (ByteType, ShortType, IntegerType)):
        return True
    if isinstance(source, (FloatType, DoubleType)) and isinstance(target, TimestampType):
        return True
    if isinstance(target, DateType):
        return not isinstance(source, TimestampType)
    if isinstance(source, DateType):
        return not isinstance(target, TimestampType)
    if isinstance(target, CalendarIntervalType):
        return True
    if isinstance(target, DecimalType):
        boolean = isinstance(source, BooleanType) and target.precision > target.scale
        if isinstance(source, DecimalType) and target.precision - target.scale > source.precision - source.scale:
            return False  # rounding may add one digit before the point, and has room for it
        return not (boolean or is_wider_decimal(target, source))
    return isinstance(source, FractionalType) and isinstance(target, IntegralType)


def can_up_cast(source: DataType, target: DataType) -> bool:
    """Whether a cast never loses anything (used where Spark refuses lossy conversions)."""
    if same_type(source, target) or isinstance(source, NullType):
        return True
    if isinstance(source, NumericType) and isinstance(target, NumericType):
        if isinstance(target, DecimalType):
            return is_wider_decimal(target, source)
        if isinstance(source, DecimalType):
            return False
        return _PRECEDENCE.index(type(source)) <= _PRECEDENCE.index(type(target))
    if isinstance(target, StringType):
        return _is_atomic(source)
    if isinstance(source, DateType):
        return isinstance(target, (TimestampType, TimestampNTZType))
    if isinstance(source, (TimestampType, TimestampNTZType)):
        return isinstance(target, (TimestampType, TimestampNTZType))
    match source, target:
        case (ArrayType(), ArrayType()):
            nulls = target.containsNull or not source.containsNull
            return nulls and can_up_cast(source.elementType, target.elementType)
        case (MapType(), MapType()):
            nulls = target.valueContainsNull or not source.valueContainsNull
            return (
                nulls
                and can_up_cast(source.keyType, target.keyType)
                and can_up_cast(source.valueType, target.valueType)
            )
        case (StructType(), StructType()):
            return len(source.fields) == len(target.fields) and all(
                (b.nullable or not a.nullable) and can_up_cast(a.dataType, b.dataType)
                for a, b in zip(source.fields, target.fields, strict=True)
            )
    return False


# ---- kinds ---------------------------------------------------------------------------------------
def is_orderable(dtype: DataType) -> bool:
    """Whether values of a type may be compared by order (and sorted)."""
    match dtype:
        case ArrayType():
            return is_orderable(dtype.elementType)
        case StructType():
            return all(is_orderable(f.dataType) for f in dtype.fields)
        case MapType() | VariantType() | CalendarIntervalType():
            return False
        case UserDefinedType():
            return is_orderable(dtype.sqlType())
    return True


def is_groupable(dtype: DataType) -> bool:
    """Whether values of a type may be grouped by and made distinct."""
    match dtype:
        case ArrayType():
            return is_groupable(dtype.elementType)
        case StructType():
            return all(is_groupable(f.dataType) for f in dtype.fields)
        case MapType():
            return is_groupable(dtype.keyType) and is_groupable(dtype.valueType)
        case VariantType():
            return False
    return True


__all__ = [
    "BINARY", "BOOLEAN", "SYSTEM_DECIMAL", "USER_DECIMAL", "adjusted_decimal", "bounded_decimal", "can_cast",
    "can_store_assign", "can_up_cast", "cast_gives_null", "decimal_of", "decimal_of_literal", "decimal_result",
    "implicit_cast", "is_groupable", "is_orderable", "is_wider_decimal", "promoted_string",
    "tightest_common_type", "wider_decimal", "wider_type", "wider_types",
]  # fmt: skip
