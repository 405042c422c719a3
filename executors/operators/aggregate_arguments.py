"""Arguments that several aggregates need, as columns of their own: sum(a * b) beside sum(a * b * c)."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from voltray.proto.expressions import (
    AggregateCall,
    Alias,
    Attribute,
    Call,
    Cast,
    Expression,
    Literal,
    map_children,
    nullable_of,
    walk,
)
from voltray.proto.types import AtomicType

Column = tuple[Attribute, Expression]


def shared_arguments(aggregates: tuple[Alias, ...]) -> tuple[tuple[Alias, ...], tuple[Column, ...]]:
    """The aggregates with what their arguments have in common as columns, and those columns.

    Only whole arguments are shared: they are computed for every row anyway, so that no error comes up which would
    not have come up.
    """
    computed = [a for alias in aggregates for a in _arguments(alias) if isinstance(a, Call) and _is_plain(a)]
    if len(computed) < 2:
        return aggregates, ()
    uses = Counter(part for argument in computed for part in walk(argument) if isinstance(part, Call))
    common = [a for a in dict.fromkeys(computed) if uses[a] > 1]
    if not common:
        return aggregates, ()
    # Ids of the plan are positive: these cannot be among them.
    columns = {v: Attribute(-1 - i, "shared", v.dtype, nullable_of(v)) for i, v in enumerate(common)}
    return tuple([_over(alias, columns) for alias in aggregates]), tuple((a, v) for v, a in columns.items())


def _is_plain(argument: Call) -> bool:
    """Made of numbers and columns: users' functions may differ each time, and values of parts have no hash."""
    return all(
        isinstance(part, Attribute | Call | Cast) or (isinstance(part, Literal) and isinstance(part.dtype, AtomicType))
        for part in walk(argument)
    )


def _arguments(alias: Alias) -> tuple[Expression, ...]:
    """The arguments that are computed for every row, as they are."""
    call = alias.child
    return call.args if isinstance(call, AggregateCall) and call.filter is None else ()


def _over(alias: Alias, columns: dict[Call, Attribute]) -> Alias:
    call = alias.child
    if not isinstance(call, AggregateCall) or call.filter is not None:
        return alias
    arguments = tuple([_replaced(a, columns) for a in call.args])
    return alias if arguments == call.args else replace(alias, child=replace(call, args=arguments))


def _replaced(expression: Expression, columns: dict[Call, Attribute]) -> Expression:
    if isinstance(expression, Call) and expression in columns:
        return columns[expression]
    return map_children(expression, lambda child: _replaced(child, columns))
