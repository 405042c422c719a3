"""Execution progress for the client's progress bar."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyspark.sql.connect.proto import base_pb2

if TYPE_CHECKING:
    from voltray.driver.scheduler.query import StageProgress

Response = base_pb2.ExecutePlanResponse


def progress_response(stages: Sequence[StageProgress]) -> Response:
    """A progress message of where the stages stand."""
    response = Response()
    progress = response.execution_progress
    progress.SetInParent()
    for stage in stages:
        progress.stages.add(
            stage_id=stage.stage_id,
            num_tasks=stage.num_tasks,
            num_completed_tasks=stage.num_completed_tasks,
            input_bytes_read=stage.input_bytes_read,
            done=stage.done,
        )
    progress.num_inflight_tasks = sum(s.num_running_tasks for s in stages)
    return response
