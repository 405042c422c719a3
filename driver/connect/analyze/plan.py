"""The plan that an AnalyzePlan request is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql.connect.proto import base_pb2

from voltray.driver.connect.plans import relation_of

if TYPE_CHECKING:
    from voltray.driver.connect.session import Session
    from voltray.driver.plan.logical import LogicalPlan


def analyzed(session: Session, plan: base_pb2.Plan) -> LogicalPlan:
    """The resolved plan of a request."""
    return session.analyze_message(relation_of(plan, session.backend.settings.max_message_bytes))
