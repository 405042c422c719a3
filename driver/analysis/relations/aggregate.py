"""Group by: plain, rollup, cube, grouping sets, all; pivots are in ``pivot.py``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from voltray.driver.analysis.aggregation import (
    Frame,
    aggregate_select,
    check_group,
    finished,
    grouped,
    has_aggregate,
)  # fmt: skip
from voltray.driver.analysis.environment_flags import flag
from voltray.driver.analysis.errors import analysis_error
from voltray.driver.analysis.expressions.star import star_attributes
from voltray.driver.analysis.grouping import expanded, grouping_sets
from voltray.driver.analysis.lateral_aliases import GroupAliases
from voltray.driver.analysis.resolver import ExpressionResolver, Typed
from voltray.driver.analysis.scope import Resolved
from voltray.driver.analysis.select_list import Generated, Item, select_items
from voltray.driver.analysis.time_windows import naming_windows
from voltray.driver.plan import relations as r
from voltray.driver.plan.expressions import UnresolvedAttribute, UnresolvedStar
from voltray.proto.expressions import AggregateCall, Alias, Attribute, Expression, Literal, children_of
from voltray.proto.types import IntegerType

if TYPE_CHECKING:
    from voltray.driver.analysis.resolver import Analysis


def resolve_aggregate(relation: r.Aggregate, analysis: Analysis) -> Resolved:
    """Any aggregation with grouping expressions."""
    child = analysis.relation(relation.child)
    if relation.group_kind == "pivot":
        from voltray.driver.analysis.relations.pivot import resolve_pivot

        return resolve_pivot(relation, child, analysis)
    return aggregated(relation, child, analysis)


def aggregated(relation: r.Aggregate, child: Resolved, analysis: Analysis) -> Resolved:
    """The aggregation over a resolved input."""
    resolver = naming_windows(relation.groups, analysis.over(child.scope))
    items, lateral = select_items(relation.items, resolver)
    if relation.group_kind == "all":
        named = child.scope.find(("all",), analysis.environment.case_sensitive)[0]
        groups = [resolver.resolve(UnresolvedAttribute(("all",)))] if named else _all_groups(items)
        if not groups and any(_bare_columns(item) for item in items):
            raise analysis_error("UNRESOLVED_ALL_IN_GROUP_BY", relation.origin)
        return aggregate_select(child, groups, items, lateral, analysis, relation.origin)
    written = [_group(g, items, relation, resolver) for g in relation.groups]
    groups = [g for found in written for g in found]
    if relation.prepend_groups:
        items = (*[_group_item(g) for g in groups], *items)
    if relation.group_kind == "groupby":
        return aggregate_select(child, groups, items, lateral, analysis, relation.origin)
    return _multiple(relation, child, groups, items, lateral, resolver)


def _group_item(group: Typed) -> Alias | Attribute:
    return group.named()


def _group(
    expression: Expression, items: Sequence[Item], relation: r.Aggregate, resolver: ExpressionResolver
) -> list[Typed]:
    """A grouping expression: a position, a column of the input, or an alias of the select list."""
    if isinstance(expression, UnresolvedStar):
        return [Typed(a, a.name, a.name) for a in star_attributes(expression, resolver) if isinstance(a, Attribute)]
    if (
        isinstance(expression, Literal)
        and isinstance(expression.dtype, IntegerType)
        and not isinstance(expression.value, bool)
    ):
        return [_at_position(int(expression.value), items, relation)]
    if relation.prepend_groups or not flag(resolver.environment, "spark.sql.groupByAliases"):
        return [resolver.resolve(expression)]
    aliases = GroupAliases([i for i in items if isinstance(i, Alias)])
    return [replace(resolver, lateral=aliases).resolve(expression)]


def _at_position(position: int, items: Sequence[Item], relation: r.Aggregate) -> Typed:
    if any(isinstance(i, UnresolvedStar) for i in relation.items):
        raise analysis_error("STAR_GROUP_BY_POS", relation.origin)
    if not 1 <= position <= len(items):
        raise analysis_error("GROUP_BY_POS_OUT_OF_RANGE", relation.origin, index=position, size=len(items))
    item = items[position - 1]
    if has_aggregate(item):
        shown = item.name if isinstance(item, (Alias, Attribute)) else item.text
        raise analysis_error("GROUP_BY_POS_AGGREGATE", relation.origin, index=position, aggExpr=shown)
    return _item_group(item)


def _item_group(item: Item) -> Typed:
    if isinstance(item, Generated):
        return Typed(item.generator, item.text)
    if isinstance(item, Alias):
        return Typed(item.child, item.name, item.name)
    return Typed(item, item.name, item.name)


def _bare_columns(item: Expression | Generated) -> bool:
    """Whether columns stand in an item outside of its aggregate functions."""
    if isinstance(item, (Generated, AggregateCall)):
        return False
    return isinstance(item, Attribute) or any(_bare_columns(child) for child in children_of(item))


def _all_groups(items: Sequence[Item]) -> list[Typed]:
    return [_item_group(i) for i in items if not has_aggregate(i)]


# ---- grouping sets -----------------------------------------------------------------------------------
def _multiple(
    relation: r.Aggregate,
    child: Resolved,
    groups: list[Typed],
    items: Sequence[Item],
    lateral: bool,
    resolver: ExpressionResolver,
) -> Resolved:
    analysis = resolver.analysis
    given = [[_group(e, items, relation, resolver) for e in s] for s in relation.grouping_sets]
    for group_set in given:
        for found in group_set:
            groups += [g for g in found if not _among(g, groups, resolver)]
    for group in groups:
        check_group(group, group.expression)
    plan, available, frame = grouped(child, groups, items, analysis)
    frame.plain = False  # GROUPING SETS (()) groups, if by nothing
    available = plan.output
    sets = grouping_sets(relation.group_kind, _keys_of(groups, frame), _given_keys(given, frame))
    plan = expanded(plan, available, frame, sets)
    return finished(plan, child, frame, items, lateral, relation.origin)


def _among(group: Typed, groups: list[Typed], resolver: ExpressionResolver) -> bool:
    from voltray.driver.analysis.canonical import Keys

    keys = Keys()
    return keys.of(group.expression) in {keys.of(g.expression) for g in groups}


def _keys_of(groups: Sequence[Typed], frame: Frame) -> list[int]:
    return list(dict.fromkeys([frame.keys.of(g.expression) for g in groups]))


def _given_keys(given: Sequence[Sequence[Sequence[Typed]]], frame: Frame) -> list[list[int]]:
    return [[frame.keys.of(g.expression) for found in s for g in found] for s in given]

