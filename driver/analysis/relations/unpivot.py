"""``unpivot``: each row once for each value column."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voltray.driver.analysis.casts import cast_to
from voltray.driver.analysis.errors import analysis_error
from voltray.driver.analysis.scope import Resolved, scope_over
from voltray.driver.plan import logical
from voltray.driver.plan import relations as r
from voltray.driver.plan.expressions import UnresolvedAlias, UnresolvedStar
from voltray.driver.plan.identifiers import quoted
from voltray.proto.coercion import wider_type
from voltray.proto.expressions import Attribute, Expression, Literal, new_id
from voltray.proto.failures import QueryContext
from voltray.proto.types import STRING, DataType, NullType, StringType, type_name

if TYPE_CHECKING:
    from voltray.driver.analysis.resolver import Analysis


def resolve_unpivot(relation: r.Unpivot, analysis: Analysis) -> Resolved:
    """Ids stay, a column of names and one of values take the place of the value columns."""
    child = analysis.relation(relation.child)
    ids = _attributes(relation.ids, child, analysis)
    known = {a.expr_id for a in ids}
    if relation.values is None:
        values = [a for a in child.scope.attributes if a.expr_id not in known]
    else:
        values = _attributes(tuple([_unaliased(v) for v in relation.values]), child, analysis)
    if not values:
        raise analysis_error("UNPIVOT_REQUIRES_VALUE_COLUMNS", relation.origin)
    ansi = analysis.environment.ansi
    dtype = common_type(values, relation.origin, ansi)
    output = [Attribute(new_id(), a.name, a.dtype, a.nullable, a.qualifier, a.metadata) for a in ids]
    output.append(Attribute(new_id(), relation.variable_name, STRING, False))
    output.append(Attribute(new_id(), relation.value_name, dtype, any(v.nullable for v in values)))
    labels = [v.name for v in values] if relation.values is None else _labels(relation.values, values)
    pairs = zip(labels, values, strict=True)
    projections = tuple([(*ids, Literal(label, STRING), cast_to(v, dtype, ansi)) for label, v in pairs])
    plan = logical.Expand(child.plan, projections, tuple(output))
    return Resolved(plan, scope_over(plan.output, child.scope, hidden=()))


def _unaliased(expression: Expression) -> Expression:
    return expression.child if isinstance(expression, UnresolvedAlias) else expression


def _labels(expressions: tuple[Expression, ...], values: list[Attribute]) -> list[str]:
    """What the column of names says for each value column: its alias, or its name."""
    if len(expressions) != len(values):
        return [v.name for v in values]
    pairs = zip(expressions, values, strict=True)
    return [x.names[0] if isinstance(x, UnresolvedAlias) else v.name for x, v in pairs]


def _attributes(expressions: tuple[Expression, ...], child: Resolved, analysis: Analysis) -> list[Attribute]:
    found: list[Attribute] = []
    for expression in expressions:
        if isinstance(expression, UnresolvedStar):
            excluded = {parts[-1].lower() for parts in expression.except_names}
            found += [a for a in child.scope.attributes if a.name.lower() not in excluded]
            continue
        typed = analysis.over(child.scope).resolve(expression)
        if not isinstance(typed.expression, Attribute):
            raise analysis_error("UNPIVOT_REQUIRES_ATTRIBUTES", given="id", empty="value", expressions=typed.text)
        found.append(typed.expression)
    return found


def _wider(left: DataType, right: DataType, ansi: bool) -> DataType | None:
    """Strings take part in nothing here, whatever the session's mode."""
    one_is_null = isinstance(left, NullType) or isinstance(right, NullType)
    if isinstance(left, StringType) != isinstance(right, StringType) and not one_is_null:
        return None
    return wider_type(left, right, ansi)


def common_type(values: list[Attribute], origin: QueryContext | None, ansi: bool) -> DataType:
    """The one type of a value column; UNPIVOT_VALUE_DATA_TYPE_MISMATCH without one."""
    dtype: DataType | None = values[0].dtype
    for value in values[1:]:
        dtype = _wider(dtype, value.dtype, ansi) if dtype is not None else None
    if dtype is None:
        by_type: dict[str, list[str]] = {}
        for value in values:
            by_type.setdefault(type_name(value.dtype), []).append(quoted((value.name,)))
        shown = ", ".join([f"{name} ({', '.join(names)})" for name, names in sorted(by_type.items())])
        raise analysis_error("UNPIVOT_VALUE_DATA_TYPE_MISMATCH", origin, types=shown)
    return dtype
