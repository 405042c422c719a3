"""What an expression mentions, before it is resolved."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from voltray.driver.analysis.errors import analysis_error
from voltray.driver.analysis.functions import find_function
from voltray.driver.plan.expressions import UnresolvedFunction
from voltray.executors.functions.registry import FunctionKind
from voltray.proto.expressions import Expression

if TYPE_CHECKING:
    from voltray.driver.analysis.resolver import Analysis


def parts_of(expression: Expression) -> Iterator[Expression]:
    """The expression and all that stands in it, but for subqueries' plans."""
    stack: list[object] = [expression]
    while stack:
        node = stack.pop()
        if isinstance(node, tuple):
            stack.extend(node)
        elif isinstance(node, Expression):
            yield node
            stack.extend(getattr(node, name) for name in node.__dataclass_fields__)


def mentions(expression: Expression, kind: type[Expression]) -> bool:
    """Whether an expression of a kind stands in it."""
    return any(isinstance(part, kind) for part in parts_of(expression))


def refuse_generators(expression: Expression, operator: str, analysis: Analysis) -> None:
    """UNSUPPORTED_GENERATOR.OUTSIDE_SELECT: generators stand in select lists and LATERAL VIEW alone."""
    for part in parts_of(expression):
        if not isinstance(part, UnresolvedFunction) or len(part.name) != 1:
            continue
        entry = find_function(part.name[0])
        if entry is not None and entry.kind is FunctionKind.GENERATOR:
            raise analysis_error("UNSUPPORTED_GENERATOR.OUTSIDE_SELECT", None, plan=operator)
