"""Aggregation: groups computed below, bare aggregates in the middle, arithmetic over them above."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from voltray.driver.analysis.canonical import Keys
from voltray.driver.analysis.casts import cast_to
from voltray.driver.analysis.errors import analysis_error, mismatch, shown_type, unresolved_column
from voltray.driver.analysis.exposing import exposed, with_aggregates
from voltray.driver.analysis.expressions.attribute import in_scope
from voltray.driver.analysis.functions import find_function
from voltray.driver.analysis.over_select import filtered_below_windows, has_windows, with_fallback
from voltray.driver.analysis.projection import exposed_for, needed, project
from voltray.driver.analysis.python_functions import is_aggregate_in_python
from voltray.driver.analysis.resolver import ExpressionResolver, Typed
from voltray.driver.analysis.scope import AggregateInfo, PlanIndex, Resolved, Scope, scope_over
from voltray.driver.analysis.select_list import Generated, Item
from voltray.driver.plan import logical
from voltray.driver.plan.expressions import UnresolvedAttribute, UnresolvedExtract, UnresolvedFunction
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
    references,
    to_attribute,
    walk,
)  # fmt: skip
from voltray.proto.failures import QueryContext
from voltray.proto.types import BOOLEAN, BooleanType, DataType

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
    group_expressions: list[Expression] = field(default_factory=list)
    put_out: set[int] = field(default_factory=set)
    """Ids of groups and aggregates that the select list puts out as they are."""

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
        frame.group_expressions.append(expression)
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
    if isinstance(expression, Call) and (entry := find_function(expression.name)) is not None:
        if entry.kind is FunctionKind.GENERATOR:
            raise analysis_error("UNSUPPORTED_EXPR_FOR_OPERATOR", None, invalidExprSqls=f'"{group.text}"')
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
    for item in rewritten:
        value = item.child if isinstance(item, Alias) else item
        if isinstance(value, Attribute):
            frame.put_out.add(value.expr_id)
    is_direct = not has_windows(result)
    inner = None if is_direct else grouped_columns(frame)
    scope = scope_over(output, child.scope, hidden=(), inner=inner, aggregate=AggregateInfo(frame, is_direct))
    return Resolved(result, scope)


def grouped_columns(frame: Frame) -> Scope:
    """The input's columns that are grouped by as they are."""
    source = frame.source
    groups = [(a, frame.groups.get(frame.keys.of(a))) for a in source.attributes]
    columns = tuple([replace(g, name=a.name, qualifier=a.qualifier) for a, g in groups if g is not None])
    return Scope(columns)


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
            users = node.option("python")
            return f"{node.name if users is None else users.name}({', '.join(columns)})"
    return ""


# ---- HAVING and ORDER BY over an aggregation --------------------------------------------------------
def resolve_over_aggregate(
    expression: Expression, child: Resolved, analysis: Analysis, groups_first: bool = False
) -> tuple[Typed, logical.LogicalPlan]:
    """An expression above an aggregation: over its output, else over its groups and (new) aggregates.

    HAVING prefers the input's columns that are grouped by (``groups_first``), ORDER BY those put out.
    """
    assert child.scope.aggregate is not None
    frame = child.scope.aggregate.frame
    assert isinstance(frame, Frame)
    before = set(frame.aggregates)
    over = _OverAggregate(frame, child, analysis, groups_first)
    typed = over.resolver().resolve(expression)
    allowed = child.scope.ids | over.made
    rewritten = _over_groups(typed.expression, frame, allowed)
    grouped_ids = {a.expr_id for a in frame.groups.values()}
    for node in walk(rewritten):
        if isinstance(node, Attribute) and node.expr_id not in allowed and node.expr_id not in grouped_ids:
            raise unresolved_column((node.name,), child.scope.attributes, None)
    added = tuple([alias for key, alias in frame.aggregates.items() if key not in before])
    plan = with_aggregates(child.plan, added) if added else child.plan
    return Typed(rewritten, typed.name, typed.field_name), plan


class _OverAggregate:
    """How names and aggregate functions are found above an aggregation."""

    def __init__(
        self, frame: Frame, child: Resolved, analysis: Analysis, groups_first: bool, is_retry: bool = False
    ) -> None:
        self.frame = frame
        self.child = child
        self.groups_first = groups_first
        self.is_retry = is_retry
        self.source = analysis.over(frame.source)
        self.analysis = analysis
        self.made: set[int] = set()
        """Ids of aggregates that the expression uses."""

    def resolver(self) -> ExpressionResolver:
        """The resolver of the whole expression."""
        scope = self.child.scope
        above = Scope(scope.attributes, scope.hidden, scope.qualified_only, scope.plans, self._inner())
        return ExpressionResolver(
            self.analysis, above, missing=True, replaced=self.replaced, aggregated=self.frame.source
        )

    def _inner(self) -> Scope:
        """Columns of the input that may stand in a grouping expression."""
        source, frame = self.frame.source, self.frame
        used: set[int] = set()
        for expression in frame.group_expressions:
            used |= references(expression)
        attributes = tuple([a for a in source.attributes if a.expr_id in used])
        hidden = tuple([a for a in source.hidden if a.expr_id in used])
        return Scope(attributes, hidden, source.qualified_only, PlanIndex())

    def replaced(self, node: Expression, resolver: ExpressionResolver) -> Typed | None:
        """An aggregate function, or a column that is preferred as a grouping expression."""
        if resolver.lambdas:
            return None
        if self._is_aggregate(node):
            if resolver.windowed:
                return None
            typed = self.source.resolve(node)
            over = self.frame.rewritten(typed.expression)
            self.made.update(n.expr_id for n in walk(over) if isinstance(n, Attribute))
            return Typed(over, typed.name)
        if isinstance(node, UnresolvedExtract) and not self.is_retry:
            first = self.groups_first
            return with_fallback(
                lambda: self._again(node, resolver, first), lambda: self._again(node, resolver, not first)
            )
        if isinstance(node, UnresolvedAttribute) and node.plan_id is None:
            return self._column(node, resolver)
        return None

    def _is_aggregate(self, node: Expression) -> bool:
        if is_aggregate_in_python(node, self.analysis.environment):
            return True
        if not isinstance(node, UnresolvedFunction):
            return False
        name = node.name[-1].lower()
        entry = find_function(name)
        return name in _GROUPING or (entry is not None and entry.kind is FunctionKind.AGGREGATE)

    def _again(self, node: Expression, resolver: ExpressionResolver, groups_first: bool) -> Typed:
        """A field looked for with the other preference."""
        other = _OverAggregate(self.frame, self.child, self.analysis, groups_first, is_retry=True)
        other.made = self.made
        return replace(resolver, replaced=other.replaced).resolve(node)

    def _column(self, node: UnresolvedAttribute, resolver: ExpressionResolver) -> Typed | None:
        def group() -> Typed | None:
            return self._group(node, resolver)

        def output() -> Typed | None:
            return in_scope(node.parts, self.child.scope, resolver, node.origin)

        return with_fallback(group, output) if self.groups_first else with_fallback(output, group)

    def _group(self, node: UnresolvedAttribute, resolver: ExpressionResolver) -> Typed | None:
        """A column of the input that is itself grouped by (or a field of one)."""
        columns, _ = self.frame.source.find(node.parts, resolver.environment.case_sensitive)
        groups = [a for a in columns if self.frame.keys.of(a) in self.frame.groups]
        if len(groups) != 1:
            return None
        return in_scope(node.parts, self.frame.source, resolver, node.origin)


def grouping_call(node: Expression, child: Resolved, analysis: Analysis) -> Typed | None:
    """``grouping(...)`` in ORDER BY further above an aggregation, where other aggregates are not."""
    info = child.scope.aggregate
    if info is None or not isinstance(node, UnresolvedFunction) or node.name[-1].lower() not in _GROUPING:
        return None
    frame = info.frame
    assert isinstance(frame, Frame)
    typed = analysis.over(frame.source).resolve(node)
    return Typed(frame.rewritten(typed.expression), typed.name)


def _over_groups(expression: Expression, frame: Frame, output: frozenset[int] | set[int]) -> Expression:
    """Grouping expressions replaced by their attributes, as far as the output does not give them already."""
    if isinstance(expression, Attribute) and expression.expr_id in output:
        return expression
    if not isinstance(expression, Literal):
        group = frame.groups.get(frame.keys.of(expression))
        if group is not None:
            return group
    return map_children(expression, lambda c: _over_groups(c, frame, output))


def having(
    child: Resolved, condition: Expression, analysis: Analysis, origin: QueryContext | None, is_having: bool
) -> Resolved:
    """A filter right above an aggregation: HAVING's condition is cast to Boolean, a DataFrame's filter is not."""
    from voltray.driver.analysis.relations.filter import boolean_condition, trimmed

    typed, plan = resolve_over_aggregate(condition, child, analysis, groups_first=is_having)
    if is_having and not isinstance(typed.dtype, BooleanType):
        typed = Typed(cast_to(typed.expression, BOOLEAN, analysis.environment.ansi), typed.name)
    test = boolean_condition(typed, analysis, origin)
    scope = child.scope
    assert scope.aggregate is not None
    frame = scope.aggregate.frame
    assert isinstance(frame, Frame)
    is_direct = scope.aggregate.is_direct and needed(test) <= scope.ids | frame.put_out
    inner = None if is_direct else grouped_columns(frame)
    aggregate = AggregateInfo(frame, is_direct)
    kept = Scope(scope.attributes, scope.hidden, scope.qualified_only, scope.plans, inner, aggregate)
    if has_windows(plan):
        return Resolved(filtered_below_windows(plan, test), kept)
    raised, available = exposed_over(plan, child, [test])
    filtered = logical.Filter(raised, test)
    return Resolved(trimmed(filtered, available, scope.attributes), kept)


def exposed_over(
    plan: logical.LogicalPlan, child: Resolved, expressions: Sequence[Expression]
) -> tuple[logical.LogicalPlan, tuple[Attribute, ...]]:
    """The plan with what the expressions need of the aggregation brought up."""
    missing: set[int] = set()
    for expression in expressions:
        missing |= needed(expression) - child.scope.ids
    if not missing:
        return plan, child.scope.attributes
    raised = exposed(plan, frozenset(missing))
    return raised, raised.output


__all__ = [
    "DataType", "Frame", "aggregate_select", "check_grouped", "finished", "grouped", "has_aggregate", "having",
    "mismatch", "resolve_over_aggregate",
]  # fmt: skip
