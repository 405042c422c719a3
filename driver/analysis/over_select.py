"""Names above a select list: ORDER BY and HAVING see its output and what it was selected from, one before the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from voltray.driver.analysis.errors import unresolved_column
from voltray.driver.analysis.expressions.attribute import in_scope
from voltray.driver.analysis.resolver import Typed
from voltray.driver.plan import logical
from voltray.driver.plan.expressions import UnresolvedAttribute, UnresolvedExtract
from voltray.driver.plan.predicates import substitute
from voltray.proto.expressions import Alias, Expression, references
from voltray.proto.failures import SparkError

if TYPE_CHECKING:
    from voltray.driver.analysis.resolver import ExpressionResolver
    from voltray.driver.analysis.scope import Scope


def with_fallback(first: Callable[[], Typed | None], second: Callable[[], Typed | None]) -> Typed | None:
    """What the first way finds, else the second; the first one's error where neither finds anything."""
    try:
        found = first()
    except SparkError as error:
        try:
            found = second()
        except SparkError:
            raise error from None
        if found is None:
            raise
        return found
    return found if found is not None else second()


@dataclass(frozen=True, slots=True)
class OverSelect:
    """Names in ORDER BY over a plain select list: where the output's column does not fit, the input's may."""

    scope: Scope
    input_first: bool = False
    is_retry: bool = False

    def replaced(self, node: Expression, resolver: ExpressionResolver) -> Typed | None:
        """A column, or a field of one."""
        if resolver.lambdas:
            return None
        if isinstance(node, UnresolvedExtract) and not self.is_retry:
            return with_fallback(lambda: self._again(node, resolver, False), lambda: self._again(node, resolver, True))
        if isinstance(node, UnresolvedAttribute) and node.plan_id is None:
            return self._column(node, resolver)
        return None

    def _again(self, node: Expression, resolver: ExpressionResolver, input_first: bool) -> Typed:
        other = replace(self, input_first=input_first, is_retry=True)
        return replace(resolver, replaced=other.replaced).resolve(node)

    def _column(self, node: UnresolvedAttribute, resolver: ExpressionResolver) -> Typed | None:
        if self.input_first:
            return self._of_input(node, resolver)
        try:
            return with_fallback(
                lambda: in_scope(node.parts, self.scope, resolver, node.origin), lambda: self._of_input(node, resolver)
            )
        except SparkError as error:
            if error.condition != "AMBIGUOUS_REFERENCE":
                raise
            raise unresolved_column(node.parts, self.scope.attributes, node.origin) from None

    def _of_input(self, node: UnresolvedAttribute, resolver: ExpressionResolver) -> Typed | None:
        scope = self.scope.inner
        while scope is not None:
            typed = in_scope(node.parts, scope, resolver, node.origin)
            if typed is not None:
                return typed
            scope = scope.inner
        return None


def has_windows(plan: logical.LogicalPlan) -> bool:
    """Whether window functions stand between a select list and its aggregation."""
    while isinstance(plan, (logical.Project, logical.Window, logical.Generate)):
        if isinstance(plan, logical.Window):
            return True
        plan = plan.child
    return False


def filtered_below_windows(plan: logical.LogicalPlan, condition: Expression) -> logical.LogicalPlan:
    """HAVING filters groups before window functions look at them."""
    if isinstance(plan, logical.Project):
        values = {i.expr_id: i.child for i in plan.items if isinstance(i, Alias)}
        return replace(plan, child=filtered_below_windows(plan.child, substitute(condition, values)))
    if isinstance(plan, logical.Window):
        made = {i.expr_id: i.name for i in plan.items}
        read = [made[i] for i in references(condition) if i in made]
        if read:
            raise unresolved_column((read[0],), plan.child.output, None)
        return replace(plan, child=filtered_below_windows(plan.child, condition))
    return logical.Filter(plan, condition)
