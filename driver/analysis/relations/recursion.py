"""A name of WITH RECURSIVE: its first rows, the step that makes further ones, and where it may name itself."""

from __future__ import annotations

import uuid
from dataclasses import replace

from voltray.driver.analysis.casts import cast_to
from voltray.driver.analysis.errors import analysis_error, shown_type
from voltray.driver.analysis.relations.with_columns import with_column_names
from voltray.driver.analysis.resolver import Analysis, Definition, RecursiveLevel
from voltray.driver.analysis.scope import Resolved, Scope, leaf_scope
from voltray.driver.plan import logical
from voltray.driver.plan import relations as r
from voltray.driver.plan.recursion import Recursion, RecursionReference
from voltray.proto.coercion import wider_type
from voltray.proto.expressions import (
    Alias,
    Attribute,
    ExistsSubquery,
    InSubquery,
    ScalarSubquery,
    new_id,
    walk,
)  # fmt: skip
from voltray.proto.types import same_type

_LEVEL_LIMIT = "spark.sql.cteRecursionLevelLimit"
_ROW_LIMIT = "spark.sql.cteRecursionRowLimit"


def resolve_level(level: RecursiveLevel) -> Resolved:
    """The name inside its own definition: the rows of the level before."""
    attributes = tuple([replace(a, expr_id=new_id()) for a in level.attributes])
    return leaf_scope(RecursionReference(attributes, level.loop_id))


def resolve_recursion(definition: Definition) -> Resolved:
    """The loop over a definition of the form ``first rows UNION ALL step``."""
    union, analysis = _union(definition)
    anchor = analysis.relation(union.left)
    if definition.columns:
        anchor = with_column_names(anchor, definition.columns, None)
    loop_id = f"recursion {uuid.uuid4()}"
    columns = tuple([Attribute(new_id(), a.name, a.dtype, True) for a in anchor.scope.attributes])
    level = RecursiveLevel(columns, loop_id)
    inside = Definition(definition.relation, (), analysis, definition.name, level=level)
    definitions = {**analysis.definitions, definition.name.lower(): inside}
    step = replace(analysis, definitions=definitions).relation(union.right)
    check_places(step.plan, loop_id, allowed=True)
    output = tuple([replace(a, expr_id=new_id()) for a in columns])
    plan = Recursion(
        anchor.plan,
        _widened(step, columns, analysis),
        output,
        loop_id,
        _limit(definition.level_limit, _LEVEL_LIMIT, analysis),
        _limit(None, _ROW_LIMIT, analysis),
    )
    return Resolved(plan, Scope(output))


def _limit(given: int | None, conf: str, analysis: Analysis) -> int | None:
    limit = given if given is not None else int(analysis.environment.conf(conf))
    return None if limit < 0 else limit


def _union(definition: Definition) -> tuple[r.SetOperation, Analysis]:
    """The union of a recursive definition, and what names mean in it: those of WITH clauses on its top."""
    from voltray.driver.analysis.relations.common_tables import count_uses, with_definitions

    analysis, relation, name = definition.analysis, definition.relation, definition.name.lower()
    while isinstance(relation, r.With):
        if any(count_uses(query, name) for _, query, _ in relation.definitions):
            raise analysis_error("INVALID_RECURSIVE_CTE", None)
        analysis, relation = with_definitions(relation, analysis), relation.child
    if isinstance(relation, r.Deduplicate) and isinstance(relation.child, r.SetOperation):
        if relation.child.kind == "union":
            raise analysis_error("UNION_NOT_SUPPORTED_IN_RECURSIVE_CTE", definition.origin)
    if not (isinstance(relation, r.SetOperation) and relation.kind == "union" and relation.is_all):
        raise analysis_error("INVALID_RECURSIVE_CTE", None)
    if count_uses(relation.left, name):
        raise analysis_error("INVALID_RECURSIVE_CTE", None)
    return relation, analysis


def _widened(step: Resolved, columns: tuple[Attribute, ...], analysis: Analysis) -> logical.LogicalPlan:
    """The step's columns in the types that the first rows have."""
    found = step.scope.attributes
    if len(found) != len(columns):
        raise analysis_error("INTERNAL_ERROR", None, message="Found the unresolved operator: 'UnionLoop")
    items: list[Alias | Attribute] = []
    for column, wanted in zip(found, columns, strict=True):
        if same_type(column.dtype, wanted.dtype):
            items.append(column)
            continue
        common = wider_type(wanted.dtype, column.dtype, analysis.environment.ansi)
        if common is None or not same_type(common, wanted.dtype):
            left, right = shown_type(wanted.dtype), shown_type(column.dtype)
            raise analysis_error("CANNOT_MERGE_INCOMPATIBLE_DATA_TYPE", None, left=left, right=right)
        cast = cast_to(column, wanted.dtype, analysis.environment.ansi)
        items.append(Alias(cast, column.name, new_id()))
    return logical.Project(step.plan, tuple(items))


def check_places(plan: logical.LogicalPlan, loop_id: str, *, allowed: bool) -> None:
    """INVALID_RECURSIVE_REFERENCE.PLACE where a step names itself below what needs all rows at once."""
    if isinstance(plan, RecursionReference):
        if plan.loop_id == loop_id and not allowed:
            raise analysis_error("INVALID_RECURSIVE_REFERENCE.PLACE", None)
        return
    for expression in logical.expressions_of(plan):
        for part in walk(expression):
            if isinstance(part, (ScalarSubquery, ExistsSubquery, InSubquery)):
                check_places(part.plan, loop_id, allowed=allowed)
    for child, may_name in zip(logical.children_of(plan), _allowed(plan), strict=True):
        check_places(child, loop_id, allowed=allowed and may_name)


_JOINS = {
    "left": (True, False),
    "left_semi": (True, False),
    "left_anti": (True, False),
    "right": (False, True),
    "full": (False, False),
}


def _allowed(plan: logical.LogicalPlan) -> tuple[bool, ...]:
    """Which inputs of a node may hold a reference."""
    count = len(logical.children_of(plan))
    if isinstance(plan, logical.Join):
        return _JOINS.get(plan.kind, (True, True))
    if isinstance(plan, (logical.Aggregate, logical.Window, logical.Sort, logical.Limit)):
        return (False,) * count
    return (True,) * count
