"""Union, intersect and except: by position or name, columns widened to common types."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from voltray.driver.analysis.casts import cast_to
from voltray.driver.analysis.errors import analysis_error, ordinal, shown_type
from voltray.driver.analysis.expressions.extract import _struct_field
from voltray.driver.analysis.expressions.update_fields import make_struct
from voltray.driver.analysis.relations.rows import check_comparable
from voltray.driver.analysis.relations.with_columns import refuse_duplicates
from voltray.driver.analysis.resolver import Typed
from voltray.driver.analysis.scope import PlanIndex, Resolved, Scope, merged_plans
from voltray.driver.plan import logical
from voltray.driver.plan import relations as r
from voltray.proto.coercion import wider_type
from voltray.proto.expressions import Alias, Attribute, Expression, Literal, new_id, to_attribute
from voltray.proto.types import DataType, StructField, StructType, equal_structures, same_type

if TYPE_CHECKING:
    from voltray.driver.analysis.resolver import Analysis

Side = tuple[logical.LogicalPlan, tuple[Attribute, ...]]


def resolve_set_operation(relation: r.SetOperation, analysis: Analysis) -> Resolved:
    """All kinds; chains of unions are taken flat."""
    if relation.kind == "union":
        return _union(relation, analysis)
    left, right = analysis.relation(relation.left), analysis.relation(relation.right)
    sides = _named(relation, (left.plan, left.scope.attributes), (right.plan, right.scope.attributes), analysis)
    operator = f"{relation.kind.upper()}{' ALL' if relation.is_all else ''}"
    (first, second), _ = _widened(sides, operator, relation, analysis)
    for column in first[1]:
        check_comparable(column, relation.origin)
    plan = logical.SetOperation(first[0], second[0], relation.kind, relation.is_all)
    nullable = [
        replace(a, nullable=a.nullable and b.nullable) if relation.kind == "intersect" else a
        for a, b in zip(first[1], second[1], strict=True)
    ]
    plans = merged_plans(left.scope, right.scope)
    qualified = _with_qualifiers(tuple(nullable), left.scope.attributes)
    return Resolved(plan, Scope(qualified, plans=plans))


def _with_qualifiers(output: tuple[Attribute, ...], source: tuple[Attribute, ...]) -> tuple[Attribute, ...]:
    return tuple([replace(a, qualifier=s.qualifier) for a, s in zip(output, source, strict=True)])


def _union(relation: r.SetOperation, analysis: Analysis) -> Resolved:
    parts = [analysis.relation(p) for p in _flat(relation)]
    sides: list[Side] = [(p.plan, p.scope.attributes) for p in parts]
    if relation.by_name:
        sides = list(_named(relation, sides[0], sides[1], analysis))
    widened, types = _widened(sides, "UNION", relation, analysis)
    attributes: list[Attribute] = []
    for i, first in enumerate(widened[0][1]):
        nullable = any(columns[i].nullable for _, columns in widened)
        metadata = first.metadata
        attributes.append(Attribute(new_id(), first.name, types[i], nullable, (), metadata))
    plan = logical.Union(tuple([p for p, _ in widened]), tuple(attributes))
    plan_output = tuple(attributes)
    result: logical.LogicalPlan = plan
    if relation.by_name and not relation.is_all:
        for column in plan_output:
            check_comparable(column, relation.origin)
        result = logical.Deduplicate(plan, plan_output)
    elif not relation.is_all and not relation.by_name:
        result = plan
    plans = PlanIndex()
    plans.height = max(p.scope.plans.height for p in parts)
    return Resolved(result, Scope(plan_output, plans=plans))


def _flat(relation: r.SetOperation) -> list[r.Relation]:
    """Inputs of a chain of plain unions, left to right, without recursion."""
    if relation.by_name:
        return [relation.left, relation.right]
    found: list[r.Relation] = []
    stack: list[r.Relation] = [relation.right, relation.left]
    while stack:
        node = stack.pop()
        mergeable = isinstance(node, r.SetOperation) and node.kind == "union" and not node.by_name and node.is_all
        if mergeable and relation.is_all:
            assert isinstance(node, r.SetOperation)
            stack += [node.right, node.left]
        else:
            found.append(node)
    return found


# ---- by name ---------------------------------------------------------------------------------------
def _named(relation: r.SetOperation, left: Side, right: Side, analysis: Analysis) -> tuple[Side, Side]:
    if not relation.by_name:
        return left, right
    for _, columns in (left, right):
        refuse_duplicates([a.name for a in columns], analysis, relation.origin)
    sensitive = analysis.environment.case_sensitive
    others = {a.name if sensitive else a.name.lower(): a for a in right[1]}
    first: list[Alias | Attribute] = list(left[1])
    second: list[Alias | Attribute] = []
    for column in left[1]:
        match = others.pop(column.name if sensitive else column.name.lower(), None)
        if match is not None:
            second.append(_filled(match, column.dtype, relation, sensitive))
        elif relation.allow_missing_columns:
            second.append(Alias(Literal(None, column.dtype), column.name, new_id()))
        else:
            raise analysis_error(
                "_LEGACY_ERROR_TEMP_1201", relation.origin,
                colName=column.name, fieldNames=", ".join(a.name for a in right[1]),
            )  # fmt: skip
    if relation.allow_missing_columns:
        for column in others.values():
            first.append(Alias(Literal(None, column.dtype), column.name, new_id()))
            second.append(column)
        seconds = [to_attribute(s) for s in second]
        first = [_filled(to_attribute(f), s.dtype, relation, sensitive) if isinstance(f, Attribute) else f
                 for f, s in zip(first, seconds, strict=True)]  # fmt: skip
        second = [_reordered(s, to_attribute(f).dtype, sensitive) for f, s in zip(first, second, strict=True)]
    elif others:
        second += list(others.values())
    return _projected(left[0], left[1], first), _projected(right[0], right[1], second)


def _projected(plan: logical.LogicalPlan, columns: tuple[Attribute, ...], items: Sequence[Alias | Attribute]) -> Side:
    if tuple(items) == columns:
        return plan, columns
    return logical.Project(plan, tuple(items)), tuple([to_attribute(i) for i in items])


def _filled(column: Attribute, target: DataType, relation: r.SetOperation, sensitive: bool) -> Alias | Attribute:
    """A struct column with the fields that only the other side has (where missing ones are allowed)."""
    if not relation.allow_missing_columns or not isinstance(column.dtype, StructType):
        return column
    if not isinstance(target, StructType) or same_type(column.dtype, target):
        return column
    value = _with_fields(Typed(column, column.name), target, sensitive)
    return Alias(value, column.name, new_id(), column.metadata)


def _with_fields(struct: Typed, target: StructType, sensitive: bool) -> Expression:
    assert isinstance(struct.dtype, StructType)
    others = {f.name if sensitive else f.name.lower(): f for f in target.fields}
    parts: list[tuple[str, Expression]] = []
    for i, field in enumerate(struct.dtype.fields):
        inner = _struct_field(struct, field, i)
        match = others.pop(field.name if sensitive else field.name.lower(), None)
        if match is not None and isinstance(match.dataType, StructType) and isinstance(field.dataType, StructType):
            parts.append((field.name, _with_fields(inner, match.dataType, sensitive)))
        else:
            parts.append((field.name, inner.expression))
    parts += [(f.name, Literal(None, f.dataType)) for f in others.values()]
    return make_struct(tuple(parts), struct.expression)


def _reordered(item: Alias | Attribute, target: DataType, sensitive: bool) -> Alias | Attribute:
    """A struct column with its fields in the order of another."""
    column = to_attribute(item)
    if not isinstance(column.dtype, StructType) or not isinstance(target, StructType) or column.dtype == target:
        return item
    value = _in_order(Typed(item.child if isinstance(item, Alias) else item, column.name), target, sensitive)
    return Alias(value, column.name, new_id(), column.metadata)


def _in_order(struct: Typed, target: StructType, sensitive: bool) -> Expression:
    assert isinstance(struct.dtype, StructType)
    places = {f.name if sensitive else f.name.lower(): i for i, f in enumerate(struct.dtype.fields)}
    parts: list[tuple[str, Expression]] = []
    for wanted in target.fields:
        i = places.get(wanted.name if sensitive else wanted.name.lower())
        if i is None:
            parts.append((wanted.name, Literal(None, wanted.dataType)))
            continue
        field: StructField = struct.dtype.fields[i]
        inner = _struct_field(struct, field, i)
        if isinstance(field.dataType, StructType) and isinstance(wanted.dataType, StructType):
            parts.append((wanted.name, _in_order(inner, wanted.dataType, sensitive)))
        else:
            parts.append((wanted.name, inner.expression))
    return make_struct(tuple(parts), struct.expression)


# ---- types ---------------------------------------------------------------------------------------------
def _widened(
    sides: Sequence[Side], operator: str, relation: r.SetOperation, analysis: Analysis
) -> tuple[list[Side], list[DataType]]:
    ansi = analysis.environment.ansi
    width = len(sides[0][1])
    for position, (_, columns) in enumerate(sides):
        if len(columns) != width:
            raise analysis_error(
                "NUM_COLUMNS_MISMATCH", relation.origin, operator=operator, firstNumColumns=width,
                invalidOrdinalNum=ordinal(position), invalidNumColumns=len(columns),
            )  # fmt: skip
    types: list[DataType] = []
    for i in range(width):
        common: DataType = sides[0][1][i].dtype
        for position, (_, columns) in enumerate(sides[1:], 1):
            found = wider_type(common, columns[i].dtype, ansi)
            if found is None and equal_structures(common, columns[i].dtype):
                found = common
            if found is None:
                raise analysis_error(
                    "INCOMPATIBLE_COLUMN_TYPE", relation.origin, operator=operator, columnOrdinalNumber=ordinal(i),
                    tableOrdinalNumber=ordinal(position), dataType1=shown_type(columns[i].dtype),
                    dataType2=shown_type(common), hint="",
                )  # fmt: skip
            common = found
        types.append(common)
    return [_cast_side(side, types, ansi) for side in sides], types


def _cast_side(side: Side, types: list[DataType], ansi: bool) -> Side:
    plan, columns = side
    items: list[Alias | Attribute] = []
    seen: set[int] = set()
    for column, dtype in zip(columns, types, strict=True):
        cast = cast_to(column, dtype, ansi)
        if cast is column and column.expr_id not in seen:
            seen.add(column.expr_id)
            items.append(column)
        else:
            items.append(Alias(cast, column.name, new_id(), column.metadata))
    if all(isinstance(i, Attribute) for i in items):
        return side
    return logical.Project(plan, tuple(items)), tuple([to_attribute(i) for i in items])
