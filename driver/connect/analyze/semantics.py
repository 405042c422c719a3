"""``df.sameSemantics`` and ``df.semanticHash``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql.connect.proto import base_pb2

from voltray.driver.connect.analyze.plan import analyzed
from voltray.driver.plan.canonical import plan_digest

if TYPE_CHECKING:
    from voltray.driver.connect.session import Session


def same_semantics(
    session: Session,
    request: base_pb2.AnalyzePlanRequest.SameSemantics,
    response: base_pb2.AnalyzePlanResponse,
) -> None:
    """Answer whether two plans compute the same."""
    target = plan_digest(analyzed(session, request.target_plan))
    other = plan_digest(analyzed(session, request.other_plan))
    response.same_semantics.result = target == other


def semantic_hash(
    session: Session,
    request: base_pb2.AnalyzePlanRequest.SemanticHash,
    response: base_pb2.AnalyzePlanResponse,
) -> None:
    """Answer with a number that plans have in common when they compute the same."""
    digest = bytes.fromhex(plan_digest(analyzed(session, request.plan)))
    response.semantic_hash.result = int.from_bytes(digest[:4], "big", signed=True)
