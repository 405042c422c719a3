"""``df.explain`` in its modes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql.connect.proto import base_pb2

from voltray.driver.connect.messages.relations import relation_from_message
from voltray.driver.connect.plans import relation_of
from voltray.driver.plan.logical import CachedData, LogicalPlan, walk
from voltray.driver.plan.statistics import input_bytes
from voltray.driver.plan.streaming import is_streaming
from voltray.driver.plan.text import plan_text, schema_line

if TYPE_CHECKING:
    from voltray.driver.connect.session import Session
    from voltray.driver.plan.relations import Relation

Mode = base_pb2.AnalyzePlanRequest.Explain


def explain(
    session: Session, request: base_pb2.AnalyzePlanRequest.Explain, response: base_pb2.AnalyzePlanResponse
) -> None:
    """Answer with the plan as text."""
    relation = relation_from_message(relation_of(request.plan, session.backend.settings.max_message_bytes))
    response.explain.explain_string = explain_text(session, relation, request.explain_mode)


def explain_text(session: Session, relation: Relation, mode: int) -> str:
    """A relation's plans as text, in a mode of the protocol.

    There is no generated code: that mode shows the plans that there are. Costs are the bytes that a node's inputs have.
    """
    plan = session.analyze(relation)
    if is_streaming(plan):
        # Nothing is planned before a batch is there.
        return f"== Physical Plan ==\n{plan_text(plan)}\n\n"
    optimized = session.optimize(plan)
    physical = session.backend.scheduler.explain(optimized, session.evaluation_context())
    shown = f"== Physical Plan ==\n{physical.rstrip()}\n"
    if mode == Mode.EXPLAIN_MODE_COST:
        return f"== Optimized Logical Plan ==\n{plan_text(optimized, _statistics)}\n{shown}\n"
    if mode == Mode.EXPLAIN_MODE_EXTENDED:
        return (
            f"== Parsed Logical Plan ==\n{plan_text(relation)}\n"
            f"== Analyzed Logical Plan ==\n{schema_line(plan)}\n{plan_text(plan)}\n"
            f"== Optimized Logical Plan ==\n{plan_text(optimized)}\n{shown}"
        )
    return shown + "\n"


def _statistics(node: LogicalPlan) -> str:
    if any(isinstance(part, CachedData) for part in walk(node)):
        return ""
    return f", Statistics(sizeInBytes={input_bytes(node, lambda cache_id: 0)} B)"
