"""``df.to(schema)``: columns reordered, cast and checked by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voltray.driver.analysis.casts import cast_to
from voltray.driver.analysis.errors import analysis_error, shown_type
from voltray.driver.analysis.expressions.extract import _struct_field
from voltray.driver.analysis.expressions.update_fields import make_struct
from voltray.driver.analysis.relations.project import projected
from voltray.driver.analysis.resolver import Typed
from voltray.driver.analysis.scope import Resolved
from voltray.driver.plan import relations as r
from voltray.driver.plan.identifiers import quote, quoted
from voltray.proto.coercion import can_store_assign
from voltray.proto.expressions import Alias, Attribute, Expression, Literal, new_id
from voltray.proto.types import ArrayType, DataType, MapType, StructField, StructType, same_type

if TYPE_CHECKING:
    from voltray.driver.analysis.resolver import Analysis


def resolve_to_schema(relation: r.ToSchema, analysis: Analysis) -> Resolved:
    """The child's columns as the schema lists them."""
    child = analysis.relation(relation.child)
    items: list[Alias | Attribute] = []
    sensitive = analysis.environment.case_sensitive
    for field in relation.schema.fields:
        found = [a for a in child.scope.attributes if _same(a.name, field.name, sensitive)]
        if len(found) > 1:
            names = sorted(quoted((*a.qualifier, a.name)) for a in found)
            raise analysis_error(
                "AMBIGUOUS_COLUMN_OR_FIELD", relation.origin, name=quote(field.name), n=len(found),
                referenceNames=", ".join(names),
            )  # fmt: skip
        if not found:
            items.append(_missing(field, child, relation))
            continue
        value = _matched(Typed(found[0], found[0].name), field, (), analysis, relation)
        metadata = tuple((field.metadata or {}).items()) or found[0].metadata
        items.append(Alias(value, field.name, new_id(), metadata))
    return projected(child, tuple(items))


def _same(left: str, right: str, sensitive: bool) -> bool:
    return left == right or (not sensitive and left.lower() == right.lower())


def _missing(field: StructField, child: Resolved, relation: r.ToSchema) -> Alias:
    if not field.nullable:
        from voltray.driver.analysis.errors import unresolved_column

        raise unresolved_column((field.name,), child.scope.attributes, relation.origin)
    return Alias(Literal(None, field.dataType), field.name, new_id(), tuple((field.metadata or {}).items()))


def _matched(
    value: Typed, field: StructField, path: tuple[str, ...], analysis: Analysis, relation: r.ToSchema
) -> Expression:
    here = (*path, field.name)
    if value.nullable and not field.nullable:
        raise analysis_error("NULLABLE_COLUMN_OR_FIELD", relation.origin, name=quoted(here))
    return _as_type(value, field.dataType, here, analysis, relation)


def _as_type(
    value: Typed, target: DataType, path: tuple[str, ...], analysis: Analysis, relation: r.ToSchema
) -> Expression:
    source = value.dtype
    if isinstance(source, StructType) and isinstance(target, StructType):
        return _struct(value, target, path, analysis, relation)
    if same_type(source, target):
        return value.expression
    nested = (ArrayType, MapType, StructType)
    if (isinstance(source, nested) or isinstance(target, nested)) and type(source) is not type(target):
        raise _mismatch(path, source, target, relation)
    if not can_store_assign(source, target):
        raise _mismatch(path, source, target, relation)
    return cast_to(value.expression, target, analysis.environment.ansi)


def _struct(
    value: Typed, target: StructType, path: tuple[str, ...], analysis: Analysis, relation: r.ToSchema
) -> Expression:
    assert isinstance(value.dtype, StructType)
    sensitive = analysis.environment.case_sensitive
    parts: list[tuple[str, Expression]] = []
    for wanted in target.fields:
        found = [(i, f) for i, f in enumerate(value.dtype.fields) if _same(f.name, wanted.name, sensitive)]
        if not found:
            if not wanted.nullable:
                raise analysis_error(
                    "FIELD_NOT_FOUND", relation.origin, fieldName=quoted((*path, wanted.name)),
                    fields=", ".join(quote(f.name) for f in value.dtype.fields),
                )  # fmt: skip
            parts.append((wanted.name, Literal(None, wanted.dataType)))
            continue
        i, field = found[0]
        inner = _struct_field(value, field, i)
        if field.nullable and not wanted.nullable:
            raise analysis_error("NULLABLE_COLUMN_OR_FIELD", relation.origin, name=quoted((*path, wanted.name)))
        parts.append((wanted.name, _as_type(inner, wanted.dataType, (*path, wanted.name), analysis, relation)))
    if target == value.dtype:
        return value.expression
    return make_struct(tuple(parts), value.expression)


def _mismatch(path: tuple[str, ...], source: DataType, target: DataType, relation: r.ToSchema) -> Exception:
    return analysis_error(
        "INVALID_COLUMN_OR_FIELD_DATA_TYPE", relation.origin, name=quoted(path), type=shown_type(source),
        expectedType=shown_type(target),
    )  # fmt: skip
