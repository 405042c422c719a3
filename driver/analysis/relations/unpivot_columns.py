"""SQL's UNPIVOT: sets of columns, each a row of one label and several values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voltray.driver.analysis.casts import cast_to
from voltray.driver.analysis.errors import analysis_error
from voltray.driver.analysis.relations.unpivot import common_type
from voltray.driver.analysis.scope import Resolved, scope_over
from voltray.driver.plan import logical
from voltray.driver.plan import pipes as p
from voltray.proto.expressions import Attribute, Call, Expression, Literal, new_id
from voltray.proto.types import BOOLEAN, STRING

if TYPE_CHECKING:
    from voltray.driver.analysis.resolver import Analysis


def resolve_unpivot_columns(relation: p.UnpivotColumns, analysis: Analysis) -> Resolved:
    """The columns of no set stay; a label and the values of a set stand beside them, a row for each set."""
    child = analysis.relation(relation.child)
    sets = [_columns(columns, child, analysis) for columns, _ in relation.sets]
    size = len(relation.value_names)
    if any(len(columns) != size for columns in sets):
        raise analysis_error("UNPIVOT_VALUE_SIZE_MISMATCH", relation.origin, names=size)
    used = {column.expr_id for columns in sets for column in columns}
    ids = [a for a in child.scope.attributes if a.expr_id not in used]
    ansi = analysis.environment.ansi
    types = [common_type([columns[i] for columns in sets], relation.origin, ansi) for i in range(size)]
    output = [Attribute(new_id(), a.name, a.dtype, a.nullable, a.qualifier, a.metadata) for a in ids]
    output.append(Attribute(new_id(), relation.variable_name, STRING, False))
    values = [
        Attribute(new_id(), name, types[i], any(columns[i].nullable for columns in sets))
        for i, name in enumerate(relation.value_names)
    ]
    projections = []
    for columns, (_, alias) in zip(sets, relation.sets, strict=True):
        label = alias if alias is not None else "_".join([c.name for c in columns])
        cells = [cast_to(column, dtype, ansi) for column, dtype in zip(columns, types, strict=True)]
        projections.append((*ids, Literal(label, STRING), *cells))
    plan: logical.LogicalPlan = logical.Expand(child.plan, tuple(projections), (*output, *values))
    if not relation.include_nulls:
        plan = logical.Filter(plan, _any_present(values))
    return Resolved(plan, scope_over(plan.output, child.scope, hidden=()))


def _any_present(values: list[Attribute]) -> Expression:
    found: Expression = Call("isnotnull", (values[0],), BOOLEAN, False)
    for value in values[1:]:
        found = Call("or", (found, Call("isnotnull", (value,), BOOLEAN, False)), BOOLEAN, False)
    return found


def _columns(expressions: tuple[Expression, ...], child: Resolved, analysis: Analysis) -> list[Attribute]:
    found: list[Attribute] = []
    for expression in expressions:
        typed = analysis.over(child.scope).resolve(expression)
        if not isinstance(typed.expression, Attribute):
            raise analysis_error(
                "UNPIVOT_REQUIRES_ATTRIBUTES", given="value", empty="id", expressions=f'"{typed.text}"'
            )
        found.append(typed.expression)
    return found
