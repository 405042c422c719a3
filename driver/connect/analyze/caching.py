"""``df.persist``, ``df.unpersist`` and ``df.storageLevel``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql.connect.proto import base_pb2

if TYPE_CHECKING:
    from voltray.driver.connect.session import Session


def persist(
    session: Session, request: base_pb2.AnalyzePlanRequest.Persist, response: base_pb2.AnalyzePlanResponse
) -> None:
    """Keep the relation's data from its next use on."""
    level = request.storage_level if request.HasField("storage_level") else None
    session.caches.persist(session.analyze_message(request.relation), level)
    response.persist.SetInParent()


def unpersist(
    session: Session, request: base_pb2.AnalyzePlanRequest.Unpersist, response: base_pb2.AnalyzePlanResponse
) -> None:
    """Let the relation's data go."""
    session.caches.unpersist(session.analyze_message(request.relation))
    response.unpersist.SetInParent()


def get_storage_level(
    session: Session,
    request: base_pb2.AnalyzePlanRequest.GetStorageLevel,
    response: base_pb2.AnalyzePlanResponse,
) -> None:
    """Answer how the relation is persisted."""
    level = session.caches.level(session.analyze_message(request.relation))
    answer = response.get_storage_level.storage_level
    answer.use_disk, answer.use_memory = level.use_disk, level.use_memory
    answer.use_off_heap, answer.deserialized = level.use_off_heap, level.deserialized
    answer.replication = level.replication
