"""A stub with a session of its own, and what it is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from connect_fakes import FakeBackend
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from pyspark.sql.connect.proto import base_pb2 as pb
from pyspark.sql.connect.proto import relations_pb2

from voltray.driver.connect.server import RunningServer


@dataclass
class Told:
    """What a client is told of a failure."""

    condition: str | None
    sqlstate: str | None
    parameters: dict[str, str]
    classes: list[str]
    message: str
    error_id: str | None
    code: grpc.StatusCode


@dataclass
class Wire:
    """A stub with a session of its own."""

    server: RunningServer
    backend: FakeBackend
    channel: grpc.Channel
    stub: Any
    session_id: str
    user: str = "ada"

    @property
    def who(self) -> dict[str, Any]:
        return {"session_id": self.session_id, "user_context": pb.UserContext(user_id=self.user)}

    def version(self, **fields: Any) -> pb.AnalyzePlanResponse:
        request = pb.AnalyzePlanRequest(**{**self.who, **fields}, spark_version={})
        return self.stub.AnalyzePlan(request)

    def execute(self, plan: pb.Plan, *, reattachable: bool = False, **fields: Any) -> Any:
        request = pb.ExecutePlanRequest(**self.who, plan=plan, **fields)
        if reattachable:
            request.request_options.add().reattach_options.reattachable = True
        return self.stub.ExecutePlan(request)

    def reattach(self, operation_id: str, last: str | None = None) -> Any:
        request = pb.ReattachExecuteRequest(**self.who, operation_id=operation_id, last_response_id=last)
        return self.stub.ReattachExecute(request)

    def release(self, operation_id: str, until: str | None = None) -> pb.ReleaseExecuteResponse:
        request = pb.ReleaseExecuteRequest(**self.who, operation_id=operation_id)
        if until is None:
            request.release_all.SetInParent()
        else:
            request.release_until.response_id = until
        return self.stub.ReleaseExecute(request)

    def told(self, action: Callable[[], Any]) -> Told:
        """Run an action that fails and return what it was told."""
        with pytest.raises(grpc.RpcError) as caught:
            result = action()
            if hasattr(result, "__next__"):
                list(result)
        status = rpc_status.from_call(caught.value)
        info = error_details_pb2.ErrorInfo()
        if status is not None:
            status.details[0].Unpack(info)
        data = info.metadata
        return Told(
            data.get("errorClass"),
            data.get("sqlState"),
            json.loads(data.get("messageParameters", "{}")),
            json.loads(data.get("classes", "[]")),
            caught.value.details(),
            data.get("errorId"),
            caught.value.code(),
        )


def range_plan(end: int, batch: int | None = None, step: int = 1) -> pb.Plan:
    message = relations_pb2.Range(start=0, end=end, step=step, num_partitions=batch)
    return pb.Plan(root=relations_pb2.Relation(range=message))
