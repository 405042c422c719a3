"""Walking and rewriting plans, without recursion where a plan may be thousands of nodes deep."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from functools import lru_cache
from typing import Any

from voltray.driver.plan.logical import LogicalPlan, children_of, expressions_of, walk, with_children
from voltray.proto.expressions import (
    Attribute,
    ExistsSubquery,
    Expression,
    InSubquery,
    OuterReference,
    PythonCall,
    ScalarSubquery,
)  # fmt: skip
from voltray.proto.expressions import walk as walk_expression

SUBQUERIES = (ScalarSubquery, ExistsSubquery, InSubquery)


def transform_up(plan: LogicalPlan, function: Callable[[LogicalPlan], LogicalPlan]) -> LogicalPlan:
    """Rewrite every node, children first."""
    done: dict[int, LogicalPlan] = {}
    stack: list[tuple[LogicalPlan, bool]] = [(plan, False)]
    while stack:
        node, ready = stack.pop()
        children = children_of(node)
        if ready or not children:
            built = with_children(node, tuple([done[id(c)] for c in children])) if children else node
            done[id(node)] = function(built)
        else:
            stack.append((node, True))
            stack.extend((child, False) for child in children)
    return done[id(plan)]


def output_ids(plan: LogicalPlan) -> frozenset[int]:
    """Ids of the columns that a plan gives."""
    return frozenset([a.expr_id for a in plan.output])


@lru_cache(maxsize=64)
def _field_names(node_type: Any) -> tuple[str, ...]:
    left_out = ("attributes", "child", "left", "right", "children", "data")
    return tuple([f.name for f in fields(node_type) if f.name not in left_out])


def map_expressions(plan: LogicalPlan, function: Callable[[Expression], Any]) -> LogicalPlan:
    """The node with a function applied to each expression that stands in it; itself where nothing changed."""
    changes: dict[str, Any] = {}
    node_type: Any = type(plan)
    for name in _field_names(node_type):
        value = getattr(plan, name)
        mapped = _mapped(value, function)
        if mapped is not value:
            changes[name] = mapped
    return replace(plan, **changes) if changes else plan


def _mapped(value: Any, function: Callable[[Expression], Any]) -> Any:
    if isinstance(value, Expression):
        return function(value)
    if isinstance(value, tuple) and value:
        mapped = tuple([_mapped(v, function) for v in value])
        return mapped if any(a is not b for a, b in zip(mapped, value, strict=True)) else value
    return value


def has_subquery(expression: Expression) -> bool:
    """Whether a subquery stands anywhere in an expression."""
    if isinstance(expression, Attribute):
        return False
    return any(isinstance(node, SUBQUERIES) for node in walk_expression(expression))


def outer_attributes(plan: LogicalPlan) -> dict[int, Attribute]:
    """Attributes of enclosing queries that a plan reads, by id."""
    found: dict[int, Attribute] = {}
    for node in walk(plan):
        for expression in expressions_of(node):
            for part in walk_expression(expression):
                if isinstance(part, OuterReference):
                    found.setdefault(part.attribute.expr_id, part.attribute)
    return found


def has_python(expression: Expression) -> bool:
    """Whether a user's Python function stands anywhere in an expression: too costly to compute twice."""
    return any(isinstance(part, PythonCall) for part in walk_expression(expression))
