"""Aggregation: groups computed below, bare aggregates in the middle, arithmetic over them above."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from voltray.driver.analysis.canonical import Keys
from voltray.driver.analysis.errors import analysis_error, mismatch, shown_type, unresolved_column
from voltray.driver.analysis.exposing import exposed, with_aggregates
from voltray.driver.analysis.functions import find_function
from voltray.driver.analysis.projection import exposed_for, project
from voltray.driver.analysis.resolver import ExpressionResolver, Typed
from voltray.driver.analysis.scope import AggregateInfo, Resolved, Scope, scope_over
from voltray.driver.analysis.select_list import Generated, Item
from voltray.driver.plan import logical
from voltray.driver.plan.expressions import UnresolvedFunction
from voltray.executors.functions.registry import FunctionKind
from voltray.proto.coercion import is_groupable
from voltray.proto.expressions import (
    AggregateCall,
    Alias,
    Attribute,
    Call,
    Expression,
    Literal,
    ScalarSubquery,
    WindowCall,
    children_of,
    dtype_of,
    map_children,
    new_id,
    to_attribute,
    walk,
)  # fmt: skip
from voltray.proto.failures import QueryContext
from voltray.proto.types import DataType

if TYPE_CHECKING:
    from voltray.driver.analysis.resolver import Analysis


_GROUPING = frozenset({"grouping", "grouping_id"})


def has_aggregate(item: Item | Expression) -> bool:
    """Whether an item holds an aggregate function that is not itself a window function."""
    root = item.generator if isinstance(item, Generated) else item
    if isinstance(root, Attribute):
        return False
    stack: list[Expression] = [root]
    while stack:
        node = stack.pop()
        if isinstance(node, AggregateCall) or (isinstance(node, Call) and node.name in _GROUPING):
            return True
        stack.extend(_inner(node))
    return False


def _inner(node: Expression) -> list[Expression]:
    if isinstance(node, WindowCall):
        return [*children_of(node.function), *node.partition_by, *node.order_by]
    return list(children_of(node))


@dataclass(eq=False)
class Frame:
    """An aggregation being built: what its groups and aggregates are, and what they were made from."""

    source: Scope
    keys: Keys
    groups: dict[int, Attribute]
    """Canonical key of a grouping expression -> its attribute."""
    grouping_id: Attribute | None = None
    grouping_keys: tuple[int, ...] = ()
    """Canonical keys of grouping expressions in the order of the bits of the grouping id."""
    aggregates: dict[int, Alias] = field(default_factory=dict)
    resolver: ExpressionResolver | None = None
    plain: bool = True
    """Whether there are no grouping expressions at all (a global aggregate)."""
    group_names: dict[int, str] = field(default_factory=dict)

    def rewritten(self, expression: Expression) -> Expression:
        """The expression over the aggregation's output; new aggregates are added as they are met."""
        if not isinstance(expression, Literal):
            group = self.groups.get(self.keys.of(expression)) if self.groups else None
            if group is not None:
                return group
        if isinstance(expression, AggregateCall):
            return self._aggregate(expression)
        if isinstance(expression, Call) and expression.name in ("grouping", "grouping_id"):
            return self._grouping(expression)
        if isinstance(expression, WindowCall):
            return self._window(expression)
        return map_children(expression, self.rewritten)

    def _window(self, call: WindowCall) -> WindowCall:
        from dataclasses import replace

        function = map_children(call.function, self.rewritten)
        partitions = tuple([self.rewritten(p) for p in call.partition_by])
        orders = tuple([map_children(o, self.rewritten) for o in call.order_by])
        return replace(call, function=function, partition_by=partitions, order_by=orders)  # type: ignore[arg-type]

    def _aggregate(self, call: AggregateCall) -> Attribute:
        for child in children_of(call):
            if any(isinstance(node, AggregateCall) for node in walk(child)):
                raise analysis_error("NESTED_AGGREGATE_FUNCTION")
        key = self.keys.of(call)
        if key not in self.aggregates:
            self.aggregates[key] = Alias(call, call.name, new_id())
        return to_attribute(self.aggregates[key])

    def _grouping(self, call: Call) -> Expression:
        from voltray.driver.analysis.grouping import grouping_bit, grouping_vector

        if self.grouping_id is None:
            raise analysis_error("UNSUPPORTED_GROUPING_EXPRESSION")
        assert self.resolver is not None
        if call.name == "grouping_id":
            return grouping_vector(call, self)
        return grouping_bit(call, self)


# ---- building ---------------------------------------------------------------------------------------
def grouped(
    child: Resolved, groups: Sequence[Typed], items: Sequence[Item], analysis: Analysis
) -> tuple[logical.LogicalPlan, tuple[Attribute, ...], Frame]:
    """The input with its grouping expressions computed, and the frame of an aggregation over it."""
    frame = Frame(child.scope, Keys(), {}, resolver=analysis.over(child.scope), plain=not groups)
    needed: list[Expression] = [g.expression for g in groups]
    needed += [i.generator if isinstance(i, Generated) else i for i in items]
    plan, available = exposed_for(child.plan, child.scope.attributes, needed)
    computed: list[Alias] = []
    for group in groups:
        expression = group.expression
        if isinstance(expression, Alias):
            expression = expression.child
        check_group(group, expression)
        key = frame.keys.of(expression)
        if key in frame.groups:
            continue
        if isinstance(expression, Attribute):
            frame.groups[key] = expression
        else:
            alias = Alias(expression, group.field_name or group.text, new_id(), group.metadata)
            computed.append(alias)
            frame.groups[key] = to_attribute(alias)
        frame.group_names[key] = group.text
    if computed:
        plan = logical.Project(plan, available + tuple(computed))
    return plan, available, frame


def check_group(group: Typed, expression: Expression) -> None:
    """A grouping expression must be groupable and hold no aggregate."""
    if any(isinstance(n, AggregateCall) for n in walk(expression)):
        raise analysis_error("GROUP_BY_AGGREGATE", None, sqlExpr=aggregate_sql(expression) or group.text)
    if not is_groupable(dtype_of(expression)):
        raise analysis_error(
            "GROUP_EXPRESSION_TYPE_IS_NOT_ORDERABLE", None, sqlExpr=f'"{group.text}"',
            dataType=shown_type(dtype_of(expression)),
        )  # fmt: skip


def aggregate_select(
    child: Resolved,
    groups: Sequence[Typed],
    items: Sequence[Item],
    lateral: bool,
    analysis: Analysis,
    origin: QueryContext | None,
) -> Resolved:
    """A select list with aggregates over grouping expressions."""
    plan, _, frame = grouped(child, groups, items, analysis)
    return finished(plan, child, frame, items, lateral, origin)


def finished(
    plan: logical.LogicalPlan,
    child: Resolved,
    frame: Frame,
    items: Sequence[Item],
    lateral: bool,
    origin: QueryContext | None,
) -> Resolved:
    """The aggregation and the projection above it."""
    rewritten = [_rewritten_item(i, frame) for i in items]
    own = {i.expr_id for i in rewritten if isinstance(i, Alias)} if lateral else set()
    for item in rewritten:
        check_grouped(item, frame, own, origin)
    groups = _group_attributes(frame)
    aggregate = logical.Aggregate(plan, groups, tuple(frame.aggregates.values()))
    available = groups + tuple([to_attribute(a) for a in aggregate.aggregates])
    result, output = project(aggregate, available, rewritten, lateral)
    scope = scope_over(output, child.scope, hidden=(), inner=None, aggregate=AggregateInfo(frame))
    return Resolved(result, scope)


def _group_attributes(frame: Frame) -> tuple[Attribute, ...]:
    unique = {a.expr_id: a for a in frame.groups.values()}
    if frame.grouping_id is not None:
        unique[frame.grouping_id.expr_id] = frame.grouping_id
    return tuple(unique.values())


def _rewritten_item(item: Item, frame: Frame) -> Item:
    if isinstance(item, Generated):
        generator = frame.rewritten(item.generator)
        assert isinstance(generator, Call)
        return Generated(generator, item.attributes, item.outer, item.text)
    if isinstance(item, Attribute):
        group = frame.groups.get(frame.keys.of(item))
        if group is None or group.expr_id == item.expr_id:
            return item if group is None else group
        return Alias(group, item.name, new_id(), item.metadata)
    rewritten = frame.rewritten(item.child)
    return Alias(rewritten, item.name, item.expr_id, item.metadata)


def check_grouped(item: Item, frame: Frame, own: set[int], origin: QueryContext | None) -> None:
    """MISSING_AGGREGATION for a column that is neither grouped by nor inside an aggregate."""
    root = item.generator if isinstance(item, Generated) else item
    allowed = {a.expr_id for a in frame.groups.values()} | {a.expr_id for a in frame.aggregates.values()} | own
    if frame.grouping_id is not None:
        allowed.add(frame.grouping_id.expr_id)
    for node in walk(root):
        if isinstance(node, Attribute) and node.expr_id not in allowed:
            if frame.plain:
                raise analysis_error("MISSING_GROUP_BY", origin)
            name = item.name if isinstance(item, (Alias, Attribute)) else item.text
            raise analysis_error(
                "MISSING_AGGREGATION", origin, expression=f'"{node.name}"',
                expressionAnyValue=f'"any_value({node.name})"' if name else "",
            )  # fmt: skip
        if isinstance(node, ScalarSubquery):
            continue


def aggregate_sql(expression: Expression) -> str:
    """The first aggregate function in an expression with its columns' full names."""
    for node in walk(expression):
        if isinstance(node, AggregateCall) and all(isinstance(a, Attribute) for a in node.args):
            columns = [".".join((*a.qualifier, a.name)) for a in node.args if isinstance(a, Attribute)]
            return f"{node.name}({', '.join(columns)})"
    return ""


# ---- HAVING and ORDER BY over an aggregation --------------------------------------------------------
def resolve_over_aggregate(
    expression: Expression, child: Resolved, analysis: Analysis
) -> tuple[Typed, logical.LogicalPlan]:
    """An expression above an aggregation: over its output, else over its groups and (new) aggregates."""
    assert child.scope.aggregate is not None
    frame = child.scope.aggregate.frame
    assert isinstance(frame, Frame)
    source = analysis.over(frame.source)
    aggregate_ids: set[int] = set()

    def replaced(node: Expression, resolver: ExpressionResolver) -> Typed | None:
        if not isinstance(node, UnresolvedFunction) or resolver.lambdas:
            return None
        name = node.name[-1].lower()
        entry = find_function(name)
        if name in ("grouping", "grouping_id") or (entry is not None and entry.kind is FunctionKind.AGGREGATE):
            typed = _inner_aggregate(node, source, child, analysis)
            over = frame.rewritten(typed.expression)
            aggregate_ids.update(n.expr_id for n in walk(over) if isinstance(n, Attribute))
            return Typed(over, typed.name)
        return None

    before = set(frame.aggregates)
    scope = Scope(
        child.scope.attributes, child.scope.hidden, child.scope.qualified_only, child.scope.plans, frame.source
    )
    resolver = ExpressionResolver(analysis, scope, missing=True, replaced=replaced)
    typed = resolver.resolve(expression)
    output = child.scope.ids
    rewritten = _over_groups(typed.expression, frame, output | aggregate_ids)
    for node in walk(rewritten):
        if isinstance(node, Attribute) and node.expr_id not in output | aggregate_ids:
            if node.expr_id not in {a.expr_id for a in frame.groups.values()}:
                raise unresolved_column((node.name,), child.scope.attributes, None)
    added = tuple([alias for key, alias in frame.aggregates.items() if key not in before])
    plan = with_aggregates(child.plan, added) if added else child.plan
    return Typed(rewritten, typed.name, typed.field_name), plan


def _inner_aggregate(
    node: UnresolvedFunction, source: ExpressionResolver, child: Resolved, analysis: Analysis
) -> Typed:
    return source.resolve(node)


def _over_groups(expression: Expression, frame: Frame, output: frozenset[int] | set[int]) -> Expression:
    """Grouping expressions replaced by their attributes, as far as the output does not give them already."""
    if isinstance(expression, Attribute) and expression.expr_id in output:
        return expression
    if not isinstance(expression, Literal):
        group = frame.groups.get(frame.keys.of(expression))
        if group is not None:
            return group
    return map_children(expression, lambda c: _over_groups(c, frame, output))


def having(child: Resolved, condition: Expression, analysis: Analysis, origin: QueryContext | None) -> Resolved:
    """A filter right above an aggregation."""
    from voltray.driver.analysis.relations.filter import boolean_condition, trimmed

    typed, plan = resolve_over_aggregate(condition, child, analysis)
    test = boolean_condition(typed, analysis, origin)
    raised, available = exposed_over(plan, child, [test])
    filtered = logical.Filter(raised, test)
    scope = child.scope
    kept = Scope(scope.attributes, scope.hidden, scope.qualified_only, scope.plans, None, scope.aggregate)
    return Resolved(trimmed(filtered, available, scope.attributes), kept)


def exposed_over(
    plan: logical.LogicalPlan, child: Resolved, expressions: Sequence[Expression]
) -> tuple[logical.LogicalPlan, tuple[Attribute, ...]]:
    """The plan with what the expressions need of the aggregation brought up."""
    missing: set[int] = set()
    for expression in expressions:
        missing |= {n.expr_id for n in walk(expression) if isinstance(n, Attribute)} - child.scope.ids
    if not missing:
        return plan, child.scope.attributes
    raised = exposed(plan, frozenset(missing))
    return raised, raised.output


__all__ = [
    "DataType", "Frame", "aggregate_select", "check_grouped", "finished", "grouped", "has_aggregate", "having",
    "mismatch", "resolve_over_aggregate",
]  # fmt: skip
