"""What arguments of aggregates have in common is computed once."""

from __future__ import annotations

from tests.driver.optimizer.plans import alias, column, plus
from voltray.executors.operators.aggregate_arguments import shared_arguments
from voltray.proto.expressions import AggregateCall, Alias, Call, Expression
from voltray.proto.types import BOOLEAN, LONG


def summed(argument: Expression, condition: Expression | None = None) -> Alias:
    """sum(argument)."""
    return alias(AggregateCall("sum", (argument,), LONG, True, filter=condition), "s")


def test_an_argument_inside_another_is_a_column_of_its_own() -> None:
    a, b, c = (column(n) for n in "abc")
    inner, outer = plus(a, b), plus(plus(a, b), c)
    aggregates, common = shared_arguments((summed(inner), summed(outer), summed(a)))
    [(attribute, value)] = common
    assert value == inner
    assert [x.child.args[0] for x in aggregates] == [attribute, plus(attribute, c), a]
    assert [x.expr_id for x in aggregates][2] > 0 > attribute.expr_id


def test_what_is_no_whole_argument_stays_where_it_is() -> None:
    a, b, c = (column(n) for n in "abc")
    aggregates = (summed(plus(plus(a, b), c)), summed(plus(plus(a, b), a)))
    assert shared_arguments(aggregates) == (aggregates, ())


def test_filtered_aggregates_keep_their_arguments_to_their_rows() -> None:
    a, b = column("a"), column("b")
    wanted = Call(">", (a, b), BOOLEAN, True)
    aggregates = (summed(plus(a, b), wanted), summed(plus(a, b), wanted))
    assert shared_arguments(aggregates) == (aggregates, ())
