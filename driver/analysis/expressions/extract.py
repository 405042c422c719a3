"""``child[extraction]`` and ``child.field``: a struct's field, an array's element or a map's value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voltray.driver.analysis.casts import cast_to, eval_mode
from voltray.driver.analysis.errors import analysis_error, mismatch, shown_type
from voltray.driver.analysis.names import Name, rope, text_of
from voltray.driver.analysis.resolver import Typed
from voltray.driver.plan.expressions import UnresolvedExtract
from voltray.driver.plan.identifiers import quote
from voltray.proto.coercion import implicit_cast, is_orderable
from voltray.proto.expressions import Call, Expression, Literal, nullable_of
from voltray.proto.failures import QueryContext
from voltray.proto.types import (
    INTEGER,
    STRING,
    ArrayType,
    DataType,
    IntegralType,
    MapType,
    NullType,
    StringType,
    StructField,
    StructType,
    UserDefinedType,
    VariantType,
)  # fmt: skip

if TYPE_CHECKING:
    from voltray.driver.analysis.resolver import ExpressionResolver


def resolve_extract(expression: UnresolvedExtract, resolver: ExpressionResolver) -> Typed:
    """``child[extraction]``; a constant name may mean a field."""
    child, extraction = resolver.resolve(expression.child), expression.extraction
    if isinstance(extraction, Literal) and isinstance(extraction.dtype, StringType) and extraction.value is not None:
        if _has_fields(child.dtype):
            return extract_field(child, str(extraction.value), resolver, expression.origin)
    key = resolver.resolve(extraction)
    return extract_element(child, key, resolver, expression.origin)


def _has_fields(dtype: DataType) -> bool:
    if isinstance(dtype, UserDefinedType):
        dtype = dtype.sqlType()
    return isinstance(dtype, StructType) or (isinstance(dtype, ArrayType) and isinstance(dtype.elementType, StructType))


def _find_field(fields: list[StructField], name: str, resolver: ExpressionResolver, origin: QueryContext | None) -> int:
    sensitive = resolver.environment.case_sensitive
    found = [i for i, f in enumerate(fields) if f.name == name or (not sensitive and f.name.lower() == name.lower())]
    if not found:
        shown = ", ".join(quote(f.name) for f in fields)
        raise analysis_error("FIELD_NOT_FOUND", origin, fieldName=quote(name), fields=shown)
    if len(found) > 1:
        raise analysis_error("AMBIGUOUS_REFERENCE_TO_FIELDS", origin, field=quote(name), count=len(found))
    return found[0]


def extract_field(child: Typed, name: str, resolver: ExpressionResolver, origin: QueryContext | None) -> Typed:
    """``child.name``: a field, that field of each element, or a map's value."""
    dtype = child.dtype
    if isinstance(dtype, UserDefinedType):
        dtype = dtype.sqlType()
    shown = rope(child.name, ".", name)
    if isinstance(dtype, StructType):
        ordinal = _find_field(dtype.fields, name, resolver, origin)
        return _struct_field(child, dtype.fields[ordinal], ordinal)
    if isinstance(dtype, ArrayType) and isinstance(dtype.elementType, StructType):
        fields = dtype.elementType.fields
        ordinal = _find_field(fields, name, resolver, origin)
        field = fields[ordinal]
        result = ArrayType(field.dataType, dtype.containsNull or field.nullable)
        call = Call("get_array_struct_fields", (child.expression,), result, child.nullable, options=_field(ordinal))
        return Typed(call, rope(child.name, ".", field.name))
    return extract_element(child, Typed(Literal(name, STRING), name), resolver, origin, shown)


def _field(ordinal: int) -> tuple[tuple[str, object], ...]:
    return (("field", ordinal),)


def _struct_field(child: Typed, field: StructField, ordinal: int) -> Typed:
    metadata = tuple((field.metadata or {}).items())
    nullable = child.nullable or field.nullable
    expression: Expression = Call("get_field", (child.expression,), field.dataType, nullable, options=_field(ordinal))
    return Typed(expression, rope(child.name, ".", field.name), None, metadata)


def extract_element(
    child: Typed, key: Typed, resolver: ExpressionResolver, origin: QueryContext | None, shown: Name | None = None
) -> Typed:
    """``child[key]`` of an array or a map."""
    dtype, ansi = child.dtype, resolver.environment.ansi
    name = rope(child.name, "[", key.name, "]")
    if isinstance(dtype, ArrayType):
        if isinstance(key.dtype, NullType):
            key = Typed(Literal(None, INTEGER), key.name)
        if not isinstance(key.dtype, IntegralType):
            raise _wrong_key(name, key, '"INTEGRAL"', origin)
        nullable = _element_nullable(child, key, dtype) if ansi else True
        args = (child.expression, key.expression)
        return Typed(Call("get_array_item", args, dtype.elementType, nullable, eval_mode(ansi)), name)
    if isinstance(dtype, MapType):
        target = implicit_cast(key.dtype, dtype.keyType, ansi)
        if target is None:
            raise _wrong_key(name, key, shown_type(dtype.keyType), origin)
        if not is_orderable(dtype.keyType):
            raise mismatch(
                "INVALID_ORDERING_TYPE", text_of(name), origin, functionName="`getmapvalue`",
                dataType=shown_type(dtype.keyType),
            )  # fmt: skip
        args = (child.expression, cast_to(key.expression, target, ansi))
        return Typed(Call("get_map_value", args, dtype.valueType, True, eval_mode(ansi)), name)
    if isinstance(dtype, VariantType) and isinstance(key.expression, Literal):
        path = f"$.{key.expression.value}" if isinstance(key.dtype, StringType) else f"$[{key.expression.value}]"
        args = (child.expression, Literal(path, STRING))
        return Typed(Call("variant_get", args, dtype, True, eval_mode(ansi)), shown or name)
    raise analysis_error("INVALID_EXTRACT_BASE_FIELD_TYPE", origin, base=f'"{child.text}"', other=shown_type(dtype))


def _element_nullable(child: Typed, key: Typed, dtype: ArrayType) -> bool:
    """Whether an element may be NULL; at a fixed place Spark knows it only of arrays made on the spot."""
    expression = child.expression
    if not isinstance(key.expression, Literal):
        return dtype.containsNull
    if isinstance(expression, Call) and expression.name == "array":
        position = key.expression.value
        if position is not None and 0 <= position < len(expression.args):
            return nullable_of(expression.args[position])
    return True


def _wrong_key(name: Name, key: Typed, required: str, origin: QueryContext | None) -> Exception:
    return mismatch(
        "UNEXPECTED_INPUT_TYPE",
        text_of(name),
        origin,
        paramIndex="second",
        requiredType=required,
        inputSql=f'"{key.text}"',
        inputType=shown_type(key.dtype),
    )
