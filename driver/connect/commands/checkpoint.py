"""``df.checkpoint`` and ``df.localCheckpoint``: a plan's data, kept under an id of the session."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from pyspark.sql.connect.proto import base_pb2, commands_pb2

from voltray.driver.plan.logical import CachedData

if TYPE_CHECKING:
    from voltray.driver.connect.operations import Operation
    from voltray.driver.connect.session import Session


def checkpoint(session: Session, operation: Operation, command: commands_pb2.CheckpointCommand) -> None:
    """Compute the relation now, keep its data, and answer with the id. A lazy checkpoint is computed at once too."""
    plan = session.analyze_message(command.relation)
    cache_id = f"checkpoint-{uuid.uuid4()}"
    session.keep(plan, cache_id, operation)
    ids = tuple([a.expr_id for a in plan.output])
    relation_id = session.keep_remote_relation(CachedData(attributes=plan.output, cache_id=cache_id, column_ids=ids))
    response = base_pb2.ExecutePlanResponse()
    response.checkpoint_command_result.relation.relation_id = relation_id
    operation.respond(response)


def remove_checkpoint(
    session: Session, operation: Operation, command: commands_pb2.RemoveCachedRemoteRelationCommand
) -> None:
    """Let a checkpoint go: the client holds no DataFrame on it any more."""
    plan = session.remove_remote_relation(command.relation.relation_id)
    if plan is not None:
        session.caches.release_data_of(plan)
