"""Requests of the driver to workers: what a user's class says about itself."""

from __future__ import annotations

from typing import BinaryIO

from voltray.executors.functions.evaluation import EvaluationContext
from voltray.executors.python.planning_protocol import PlanningTask, decoded
from voltray.executors.python.pool import POOL
from voltray.proto.python_planning import PlanningRequest


def reply_to(request: PlanningRequest, python_version: str, context: EvaluationContext) -> bytes:
    """The reply to a request, encoded."""
    task = PlanningTask(request, python_version, context.confs)
    batches = list(POOL.run(context.session_id, context.query_id, task, _nothing))
    data = b"".join(cell.as_py() for batch in batches for cell in batch.column(0))
    return decoded(request, data).encoded()


def _nothing(sink: BinaryIO) -> None:
    """The whole request stands in the header."""
