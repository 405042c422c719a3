"""Subquery expressions and lateral joins become joins; no outer reference is left in the plan."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from voltray.driver.optimizer.pull_up import PulledUp, pull_up
from voltray.driver.optimizer.traversal import (
    SUBQUERIES,
    has_subquery,
    map_expressions,
    outer_attributes,
    output_ids,
    transform_up,
)
from voltray.driver.optimizer.unnest import Domain, unnest
from voltray.driver.plan import logical
from voltray.driver.plan.logical import LogicalPlan, expressions_of
from voltray.driver.plan.predicates import (
    call_equals,
    call_is_null,
    call_null_safe_equals,
    call_or,
    conjunction,
    conjuncts,
    substitute,
)  # fmt: skip
from voltray.proto.expressions import (
    Alias,
    Attribute,
    Call,
    ExistsSubquery,
    Expression,
    InSubquery,
    Literal,
    OuterReference,
    PythonCall,
    ScalarSubquery,
    map_children,
    new_id,
    nullable_of,
    references,
    to_attribute,
    walk,
)  # fmt: skip
from voltray.proto.failures import spark_error
from voltray.proto.types import BOOLEAN


def rewrite_subqueries(plan: LogicalPlan, environment: Any) -> LogicalPlan:
    """Rewrite every subquery expression and lateral join of a plan, inner ones first."""
    return transform_up(plan, lambda node: _rewritten(node, environment))


def _rewritten(node: LogicalPlan, environment: Any) -> LogicalPlan:
    if isinstance(node, logical.Join) and node.lateral:
        return lateral_join(node)
    if not any(has_subquery(e) for e in expressions_of(node)):
        return node
    match node:
        case logical.Filter():
            return _filter(node, environment)
        case logical.Join():
            return _join_condition(node, environment)
        case logical.Leaf() | logical.Union() | logical.SetOperation():
            raise spark_error("UNSUPPORTED_SUBQUERY_EXPRESSION_CATEGORY", treeNode=type(node).__name__)
    return _any_node(node, environment)


@dataclass(slots=True)
class Attachment:
    """A plan growing by a join for each subquery whose value an expression needs."""

    plan: LogicalPlan
    environment: Any
    values: dict[int, Expression] = field(default_factory=dict)

    def replaced(self, expression: Expression) -> Expression:
        """The expression with its subqueries replaced by columns of the plan."""
        if isinstance(expression, Call) and expression.name == "not" and isinstance(expression.args[0], InSubquery):
            negated = self._existence(expression.args[0], null_aware=True)
            return replace(expression, args=(negated,))
        if isinstance(expression, SUBQUERIES):
            return self._value(expression)
        return map_children(expression, self.replaced)

    def _value(self, expression: Expression) -> Expression:
        known = self.values.get(id(expression))
        if known is not None:
            return known
        if isinstance(expression, ScalarSubquery):
            value = self._scalar(expression)
        else:
            value = self._existence(expression, null_aware=False)
        self.values[id(expression)] = value
        return value

    def _existence(self, expression: Any, *, null_aware: bool) -> Expression:
        values = tuple([self.replaced(v) for v in expression.values]) if isinstance(expression, InSubquery) else ()
        condition, right = _matching(self.plan, expression.plan, values, self.environment, null_aware=null_aware)
        exists = Attribute(new_id(), "exists", BOOLEAN, False)
        self.plan = logical.Join(self.plan, right, "existence", condition, exists=exists)
        return exists

    def _scalar(self, expression: ScalarSubquery) -> Expression:
        subquery = rewrite_subqueries(expression.plan, self.environment)
        value = subquery.output[0]
        side = independent(self.plan, subquery)
        default = side.defaults.get(value.expr_id)
        if not side.predicates:
            default = None  # the one row of a global aggregate is there for every outer row
        right, renamed = with_fresh_columns(side.plan, [value, *_columns_of(side)])
        condition = conjunction([_joined_predicate(p, self.plan, renamed) for p in side.predicates])
        column = replace(to_attribute(renamed[value.expr_id]), nullable=True)
        marker = Alias(Literal(True, BOOLEAN), "matched", new_id())
        if needs_default(default):
            right = logical.Project(right, (*right.output, marker))
        kind = "left" if has_one_row(side) else "left_single"
        if kind == "left" and condition is None:
            kind = "cross"
        self.plan = logical.Join(self.plan, right, kind, condition)
        if not needs_default(default):
            return column
        assert default is not None
        missing = call_is_null(replace(to_attribute(marker), nullable=True))
        return Call("if", (missing, default, column), column.dtype, nullable_of(expression))


def needs_default(default: Expression | None) -> bool:
    """Whether a row without a match has another value than NULL."""
    return default is not None and not (isinstance(default, Literal) and default.value is None)


def has_one_row(side: PulledUp) -> bool:
    """Whether each outer row surely has one match at most: an aggregate's groups are the keys of the join."""
    plan = side.plan
    while isinstance(plan, logical.Project):
        plan = plan.child
    if not isinstance(plan, logical.Aggregate):
        return False
    keys = {a.expr_id for p in side.predicates for part in _sides(p) if isinstance(part, Attribute) for a in (part,)}
    return all(g.expr_id in keys for g in plan.groups)


def _sides(predicate: Expression) -> tuple[Expression, ...]:
    is_equality = isinstance(predicate, Call) and predicate.name in ("==", "<=>")
    return predicate.args if is_equality else ()  # type: ignore[attr-defined]


def independent(outer: LogicalPlan, subquery: LogicalPlan, *, always_a_row: bool = False) -> PulledUp:
    """A subquery without references to the outer plan, and the predicates that tie them together.

    ``always_a_row``: a global aggregate's row must be there also for outer rows that meet nothing.
    """
    reads = outer_attributes(subquery)
    mine = {a.expr_id for a in outer.output}
    if not mine.intersection(reads):
        return PulledUp(subquery)
    side = pull_up(subquery)
    if side is not None and (not side.defaults or (side.predicates and not always_a_row)):
        return side
    domain = Domain(outer, tuple([a for i, a in reads.items() if i in mine]))
    unnested = unnest(subquery, domain)
    ties = [call_null_safe_equals(k, OuterReference(reads[i])) for i, k in unnested.keys.items()]
    kept = {a.expr_id: a for a in (*subquery.output, *unnested.keys.values())}
    return PulledUp(logical.Project(unnested.plan, tuple(kept.values())), tuple(ties))


def _columns_of(side: PulledUp) -> list[Attribute]:
    reads = frozenset().union(*[_inner_references(p) for p in side.predicates])
    return [a for a in side.plan.output if a.expr_id in reads]


def _inner_references(expression: Expression) -> frozenset[int]:
    from voltray.proto.expressions import references

    return references(expression)


def with_fresh_columns(plan: LogicalPlan, columns: Iterable[Attribute]) -> tuple[LogicalPlan, dict[int, Attribute]]:
    """The plan's columns under new ids: one subquery may be joined in more than once."""
    items = {c.expr_id: Alias(c, c.name, new_id()) for c in columns}
    return logical.Project(plan, tuple(items.values())), {i: to_attribute(a) for i, a in items.items()}


def _joined_predicate(predicate: Expression, outer: LogicalPlan, renamed: dict[int, Attribute]) -> Expression:
    mine = output_ids(outer)
    return _without_outer(substitute(predicate, renamed), mine)


def _without_outer(expression: Expression, mine: frozenset[int]) -> Expression:
    """References to the plan that is joined become plain; those further out stay."""
    if isinstance(expression, OuterReference):
        return expression.attribute if expression.attribute.expr_id in mine else expression
    return map_children(expression, lambda child: _without_outer(child, mine))


def _matching(
    outer: LogicalPlan, subquery: LogicalPlan, values: tuple[Expression, ...], environment: Any, *, null_aware: bool
) -> tuple[Expression | None, LogicalPlan]:
    """The condition under which a row of the subquery is a match, and the plan to join."""
    subquery = _without_idle_top(rewrite_subqueries(subquery, environment), bool(values))
    outputs = subquery.output[: len(values)]
    side = independent(outer, subquery, always_a_row=True)
    right, renamed = with_fresh_columns(side.plan, [*outputs, *_columns_of(side)])
    equal = [call_equals(v, renamed[o.expr_id]) for v, o in zip(values, outputs, strict=True)]
    if null_aware:
        equal = [call_or(e, call_is_null(e)) if nullable_of(e) else e for e in equal]
    ties = [_joined_predicate(p, outer, renamed) for p in side.predicates]
    return conjunction([*equal, *ties]), right


def _without_idle_top(plan: LogicalPlan, keep_columns: bool) -> LogicalPlan:
    """Order, and for EXISTS also columns and limits, of a subquery that is only asked for matches."""
    while True:
        if (
            isinstance(plan, logical.Sort)
            or (not keep_columns and isinstance(plan, logical.Project))
            or (
                not keep_columns
                and isinstance(plan, logical.Limit)
                and not plan.offset
                and (plan.limit is None or plan.limit > 0)
            )
        ):
            plan = plan.child
        else:
            return plan


def _filter(node: logical.Filter, environment: Any) -> LogicalPlan:
    """Conditions that are subqueries themselves become semi and anti joins; others get their value joined in."""
    plan = node.child
    rest: list[Expression] = []
    for part in conjuncts(node.condition):
        joined = _as_semi_join(plan, part, environment)
        if joined is None:
            rest.append(part)
        else:
            plan = joined
    condition = conjunction(rest)
    if condition is None:
        return plan
    if not has_subquery(condition):
        return logical.Filter(plan, condition)
    attachment = Attachment(plan, environment)
    replaced = attachment.replaced(condition)
    return logical.Project(logical.Filter(attachment.plan, replaced), node.output)


def _as_semi_join(plan: LogicalPlan, part: Expression, environment: Any) -> LogicalPlan | None:
    negated = isinstance(part, Call) and part.name == "not"
    inner = part.args[0] if isinstance(part, Call) and negated else part
    values: tuple[Expression, ...] = ()
    if isinstance(inner, InSubquery):
        if any(has_subquery(v) for v in inner.values):
            return None
        values = inner.values
    elif not isinstance(inner, ExistsSubquery):
        return None
    if not negated:
        condition, right = _matching(plan, inner.plan, values, environment, null_aware=False)
        return logical.Join(plan, right, "left_semi", condition)
    condition, right = _matching(plan, inner.plan, values, environment, null_aware=False)
    if not values:
        return logical.Join(plan, right, "left_anti", condition)
    if len(values) == 1 and len(conjuncts(condition)) == 1:
        null_aware = condition is not None and nullable_of(condition)
        return logical.Join(plan, right, "left_anti", condition, null_aware=null_aware)
    condition, right = _matching(plan, inner.plan, values, environment, null_aware=True)
    return logical.Join(plan, right, "left_anti", condition)


def _join_condition(node: logical.Join, environment: Any) -> LogicalPlan:
    """Each subquery of a join's condition reads one side, and its value is joined to that side."""
    assert node.condition is not None
    if node.kind in ("inner", "cross") and not node.lateral:
        parts = conjuncts(node.condition)
        moved = [p for p in parts if has_subquery(p)]
        for part in moved:
            _check_sides(part, node)
        kept = conjunction([p for p in parts if not has_subquery(p)])
        condition = conjunction(moved)
        assert condition is not None
        return _filter(logical.Filter(replace(node, condition=kept), condition), environment)
    left, right = Attachment(node.left, environment), Attachment(node.right, environment)
    of_right = output_ids(node.right)

    def replaced(expression: Expression) -> Expression:
        if not _is_predicate(expression):
            return map_children(expression, replaced)
        reads = _check_sides(expression, node)
        side = right if reads & of_right else left
        return side.replaced(expression)

    joined = replace(node, condition=replaced(node.condition), left=left.plan, right=right.plan)
    return logical.Project(joined, node.output)


def _is_predicate(expression: Expression) -> bool:
    """A subquery, or NOT IN, whose NULLs are looked at."""
    if isinstance(expression, Call) and expression.name == "not" and isinstance(expression.args[0], InSubquery):
        return True
    return isinstance(expression, SUBQUERIES)


def _check_sides(expression: Expression, node: logical.Join) -> frozenset[int]:
    """The columns that an expression's subqueries read; of both sides of a join they must not."""
    of_left = output_ids(node.left)
    of_right = output_ids(node.right)
    found: frozenset[int] = frozenset()
    for part in walk(expression):
        if not isinstance(part, SUBQUERIES):
            continue
        reads = frozenset(outer_attributes(part.plan)) & (of_left | of_right)
        if isinstance(part, ScalarSubquery) and reads:
            category = "UNSUPPORTED_SUBQUERY_EXPRESSION_CATEGORY.UNSUPPORTED_CORRELATED_SCALAR_SUBQUERY"
            raise spark_error(category, treeNode=f"Join {node.kind}")
        if isinstance(part, InSubquery):
            reads |= frozenset().union(*[references(v) for v in part.values])
        if reads & of_left and reads & of_right:
            category = "UNSUPPORTED_SUBQUERY_EXPRESSION_CATEGORY.UNSUPPORTED_CORRELATED_EXPRESSION_IN_JOIN_CONDITION"
            name = "IN" if isinstance(part, InSubquery) else "EXISTS"
            raise spark_error(category, subqueryExpression=f"{name} over both sides of a join")
        found |= reads
    return found


def _any_node(node: LogicalPlan, environment: Any) -> LogicalPlan:
    """The values of all subqueries are joined to the child; the output stays as it was."""
    attachment = Attachment(node.child, environment)  # type: ignore[attr-defined]
    replaced = map_expressions(node, attachment.replaced)
    rewritten = replace(replaced, child=attachment.plan)  # type: ignore[call-arg]
    before = tuple([a.expr_id for a in node.output])
    after = tuple([a.expr_id for a in rewritten.output])
    return rewritten if before == after else logical.Project(rewritten, node.output)


def lateral_join(node: logical.Join) -> LogicalPlan:
    """A lateral join as a plain one."""
    plain = replace(node, lateral=False, kind="inner" if node.kind == "cross" else node.kind)
    mine = output_ids(node.left)
    if not mine.intersection(outer_attributes(node.right)) and not makes_rows_in_python(node.right):
        return replace(node, lateral=False)
    computed = _lateral_rows(plain, mine)
    if computed is not None:
        return computed
    right = node.right
    side = pull_up(right)
    if side is None or side.defaults:
        reads = outer_attributes(right)
        domain = Domain(node.left, tuple([a for i, a in reads.items() if i in mine]))
        unnested = unnest(right, domain)
        ties: list[Expression] = [call_null_safe_equals(reads[i], k) for i, k in unnested.keys.items()]
        joined = replace(plain, right=unnested.plan, condition=conjunction([*ties, *conjuncts(node.condition)]))
        return logical.Project(joined, node.output)
    ties = [_without_outer(p, mine) for p in side.predicates]
    joined = replace(plain, right=side.plan, condition=conjunction([*ties, *conjuncts(node.condition)]))
    return logical.Project(joined, node.output)


def makes_rows_in_python(right: LogicalPlan) -> bool:
    """Whether a lateral side is a user's table function of values: it runs over the left rows, in one go."""
    while isinstance(right, logical.Project):
        right = right.child
    return isinstance(right, logical.TableFunctionInPython) and isinstance(right.child, logical.OneRow)


def _lateral_rows(node: logical.Join, mine: frozenset[int]) -> LogicalPlan | None:
    """Laterals that compute columns or generate rows from the left row alone need no second look at the left."""
    right = node.right
    if makes_rows_in_python(right):
        if node.kind == "left" and any(not isinstance(c, Literal) for c in conjuncts(node.condition)):
            return None
        # Without a condition Spark keeps no left row that the function makes nothing of, not even in a left join.
        node = replace(node, kind="inner")
    if isinstance(right, logical.TableFunctionInPython) and makes_rows_in_python(right):
        call = _without_outer(right.call, mine)
        assert isinstance(call, PythonCall)
        made: LogicalPlan = replace(right, child=node.left, call=call)
        return made if node.condition is None else logical.Filter(made, node.condition)
    if isinstance(right, logical.Project) and node.kind == "inner":
        below = lateral_join(replace(node, right=right.child, condition=None, lateral=True))
        items = tuple([_item(i, mine) for i in right.items])
        computed = logical.Project(below, (*node.left.output, *items))
        return computed if node.condition is None else logical.Filter(computed, node.condition)
    if isinstance(right, logical.Generate) and not mine.intersection(outer_attributes(right.child)):
        is_left = node.kind == "left"
        if node.kind != "inner" and not (
            is_left and isinstance(right.child, logical.OneRow) and node.condition is None
        ):
            return None
        below = logical.Join(node.left, right.child, "cross")
        generator = _without_outer(right.generator, mine)
        assert isinstance(generator, Call)
        rows: LogicalPlan = logical.Generate(below, generator, right.attributes, right.outer or is_left)
        return rows if node.condition is None else logical.Filter(rows, node.condition)
    return None


def _item(item: Alias | Attribute, mine: frozenset[int]) -> Alias | Attribute:
    return replace(item, child=_without_outer(item.child, mine)) if isinstance(item, Alias) else item
