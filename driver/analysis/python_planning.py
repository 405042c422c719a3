"""Questions to users' Python classes, answered by a worker of an executor: the driver runs none of their code."""

from __future__ import annotations

from voltray.driver.analysis.environment import Environment
from voltray.driver.plan import logical
from voltray.proto.expressions import Attribute, new_id
from voltray.proto.python_planning import PlanningReply, PlanningRequest
from voltray.proto.types import BinaryType


def ask(request: PlanningRequest, python_version: str, environment: Environment) -> PlanningReply:
    """The reply to a request."""
    reply = Attribute(new_id(), "reply", BinaryType(), False)
    rows = environment.collect(logical.PythonPlanning((reply,), request, python_version))
    return PlanningReply.decoded(rows.column(0)[0].as_py())
