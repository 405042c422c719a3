"""``withField`` and ``dropFields``: a struct with a field replaced, added or left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voltray.driver.analysis.errors import analysis_error, mismatch, shown_type
from voltray.driver.analysis.expressions.extract import extract_field
from voltray.driver.analysis.names import rope
from voltray.driver.analysis.resolver import Typed
from voltray.driver.plan.expressions import UpdateFields
from voltray.driver.plan.identifiers import split_identifier
from voltray.proto.expressions import Call, Expression, Literal, dtype_of, nullable_of
from voltray.proto.failures import QueryContext
from voltray.proto.types import BOOLEAN, StructField, StructType

if TYPE_CHECKING:
    from voltray.driver.analysis.resolver import ExpressionResolver

Parts = tuple[tuple[str, Expression], ...]


def resolve_update_fields(expression: UpdateFields, resolver: ExpressionResolver) -> Typed:
    """One field of a struct set or dropped; dots in its name lead into nested structs."""
    struct = resolver.resolve(expression.struct)
    path = split_identifier(expression.field_name)
    if expression.value is None:
        shown = rope("update_fields(", struct.name, ", dropfield())")
        _check_struct(struct, Typed(struct.expression, shown).text, expression.origin)
        return Typed(drop_field(struct, path, resolver, expression.origin).expression, shown)
    value = resolver.resolve(expression.value)
    shown = rope("update_fields(", struct.name, ", WithField(", value.name, "))")
    _check_struct(struct, Typed(struct.expression, shown).text, expression.origin)
    return Typed(_with_field(struct, path, value, resolver, expression.origin), shown)


def _check_struct(struct: Typed, sql: str, origin: QueryContext | None) -> None:
    if not isinstance(struct.dtype, StructType):
        raise mismatch(
            "UNEXPECTED_INPUT_TYPE", sql, origin, paramIndex="first", requiredType='"STRUCT"',
            inputSql=f'"{struct.text}"', inputType=shown_type(struct.dtype),
        )  # fmt: skip


def make_struct(parts: Parts, nullable_from: Expression | None = None) -> Expression:
    """A struct of named values; NULL where another struct is NULL, if one is given."""
    fields = [StructField(name, dtype_of(value), nullable_of(value)) for name, value in parts]
    names = tuple([name for name, _ in parts])
    values = tuple([value for _, value in parts])
    dtype = StructType(fields)
    made: Expression = Call("named_struct", values, dtype, False, options=(("names", names),))
    if nullable_from is None or not nullable_of(nullable_from):
        return made
    test = Call("isnull", (nullable_from,), BOOLEAN, False)
    return Call("if", (test, Literal(None, dtype), made), dtype, True)


def _parts(struct: Typed) -> list[tuple[str, Expression]]:
    """The fields as they are where the struct is not NULL (the only rows that a rebuilt struct is made for)."""
    assert isinstance(struct.dtype, StructType)
    return [
        (f.name, Call("get_field", (struct.expression,), f.dataType, f.nullable, options=(("field", i),)))
        for i, f in enumerate(struct.dtype.fields)
    ]


def _same(left: str, right: str, resolver: ExpressionResolver) -> bool:
    return left == right or (not resolver.environment.case_sensitive and left.lower() == right.lower())


def _with_field(
    struct: Typed, path: tuple[str, ...], value: Typed, resolver: ExpressionResolver, origin: QueryContext | None
) -> Expression:
    parts = _parts(struct)
    name = path[0]
    if len(path) > 1:
        inner = extract_field(struct, name, resolver, origin)
        if not isinstance(inner.dtype, StructType):
            _check_struct(inner, inner.text, origin)
        new = _with_field(inner, path[1:], value, resolver, origin)
    else:
        new = value.expression
    found = [i for i, (existing, _) in enumerate(parts) if _same(existing, name, resolver)]
    for i in found:
        parts[i] = (name if len(path) == 1 else parts[i][0], new)
    if not found:
        parts.append((name, new))
    return make_struct(tuple(parts), struct.expression)


def drop_field(
    struct: Typed, path: tuple[str, ...], resolver: ExpressionResolver, origin: QueryContext | None
) -> Typed:
    """The struct without a (nested) field."""
    parts = _parts(struct)
    name = path[0]
    if len(path) > 1:
        inner = extract_field(struct, name, resolver, origin)
        new = drop_field(inner, path[1:], resolver, origin).expression
        parts = [(n, new if _same(n, name, resolver) else v) for n, v in parts]
    else:
        parts = [(n, v) for n, v in parts if not _same(n, name, resolver)]
        if not parts:
            raise analysis_error(
                "DATATYPE_MISMATCH.CANNOT_DROP_ALL_FIELDS", origin,
                sqlExpr=f'"update_fields({struct.text}, dropfield())"',
            )  # fmt: skip
    return Typed(make_struct(tuple(parts), struct.expression), struct.name)
