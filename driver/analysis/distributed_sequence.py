"""``distributed_sequence_id()``: rows numbered from 0 in the order they lie in, for pandas on Spark."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voltray.driver.analysis.functions import apply_function
from voltray.driver.analysis.resolver import Typed
from voltray.driver.plan.expressions import UnresolvedFunction
from voltray.proto.expressions import Call, Cast, FrameKind, Literal, WindowCall, WindowFrame
from voltray.proto.types import INTEGER, LONG

if TYPE_CHECKING:
    from voltray.driver.analysis.resolver import ExpressionResolver


def distributed_sequence(expression: UnresolvedFunction, resolver: ExpressionResolver) -> Typed:
    """The number of the row, over one window of all rows."""
    number = WindowCall(Call("row_number", (), INTEGER, False), (), (), WindowFrame(FrameKind.ROWS, None, 0))
    parts = (Typed(Cast(number, LONG, False), ""), Typed(Literal(1, LONG), "1"))
    return Typed(apply_function("-", parts, resolver).expression, "distributed_sequence_id()")
