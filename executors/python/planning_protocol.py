"""What ``pyspark.sql.worker``'s modules read and write, for the version of pyspark that is pinned."""

from __future__ import annotations

import io
import pickle
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from voltray.executors.python.protocol import END_OF_STREAM, encode_bool, encode_int, encode_text
from voltray.proto.python_planning import (
    AnalyzeTableFunction,
    CommitDataSourceWrite,
    CreateDataSource,
    PlanDataSourceRead,
    PlanDataSourceWrite,
    PlanningReply,
    PlanningRequest,
)
from voltray.proto.types import BinaryType, StructField, StructType

PLANNING_MARK = -2
"""Stands where a task has its partition's number."""
_MESSAGES = StructType([StructField("message", BinaryType(), True)]).json()
_PARTITIONS = StructType([StructField("partition", BinaryType(), True)]).json()


@dataclass(frozen=True, slots=True)
class PlanningTask:
    """A request with the surroundings that the pool gives every task."""

    request: PlanningRequest
    python_version: str
    confs: tuple[tuple[str, str], ...] = ()
    files_folder: str = ""
    includes: tuple[str, ...] = ()

    def encoded(self) -> bytes:
        """All that the worker reads."""
        module, encode, _ = _KINDS[type(self.request)]
        parts = [
            encode_int(PLANNING_MARK),
            encode_text(_module(module, self.request)),
            encode_text(self.python_version),
            encode_text(self.files_folder),
            encode_int(len(self.includes)),
            *[encode_text(i) for i in self.includes],
            encode_bool(False),
            encode_int(0),  # broadcasts
            encode(self.request),
            encode_int(END_OF_STREAM),
        ]
        return b"".join(parts)


def decoded(request: PlanningRequest, data: bytes) -> PlanningReply:
    """What the worker wrote, as a reply."""
    decode: Callable[[Any, _Reader], PlanningReply] = _KINDS[type(request)][2]
    return decode(request, _Reader(data))


def _module(module: str, request: PlanningRequest) -> str:
    if isinstance(request, PlanDataSourceRead) and request.filters is not None:
        return "data_source_pushdown_filters"
    return module


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._source = io.BytesIO(data)

    def number(self) -> int:
        return int(struct.unpack("!i", self._source.read(4))[0])

    def data(self) -> bytes:
        return self._source.read(self.number())

    def text(self) -> str:
        return self.data().decode()


# ---- table functions ----------------------------------------------------------------------------------
def _encode_analyze(request: AnalyzeTableFunction) -> bytes:
    parts = [encode_text(request.name), encode_text(request.command), encode_int(len(request.arguments))]
    for argument in request.arguments:
        parts.extend((encode_text(argument.data_type), encode_bool(argument.is_constant)))
        if argument.is_constant:
            parts.append(encode_text(pickle.dumps(argument.value)))
        parts.extend((encode_bool(argument.is_table), encode_bool(argument.name is not None)))
        if argument.name is not None:
            parts.append(encode_text(argument.name))
    return b"".join(parts)


_NULLS_FIRST = {0: None, 1: True, 2: False}


def _decode_analyze(request: AnalyzeTableFunction, reader: _Reader) -> PlanningReply:
    schema, pickled, single = reader.text(), reader.data(), reader.number() == 1
    partitions = tuple([reader.text() for _ in range(reader.number())])
    orders = tuple(
        [(reader.text(), reader.number() == 1, _NULLS_FIRST[reader.number()]) for _ in range(reader.number())]
    )
    select = tuple([(reader.text(), reader.text()) for _ in range(reader.number())])
    facts = (
        ("schema", schema),
        ("single", single),
        ("partitions", partitions),
        ("orders", orders),
        ("select", select),
    )
    return PlanningReply((pickled,), facts)


# ---- data sources -------------------------------------------------------------------------------------
def _encode_options(options: tuple[tuple[str, str], ...]) -> bytes:
    return encode_int(len(options)) + b"".join(encode_text(k) + encode_text(v) for k, v in options)


def _encode_create(request: CreateDataSource) -> bytes:
    parts = [encode_text(request.command), encode_text(request.provider), encode_bool(request.schema is not None)]
    if request.schema is not None:
        parts.append(encode_text(request.schema))
    return b"".join(parts) + _encode_options(request.options)


def _decode_create(request: CreateDataSource, reader: _Reader) -> PlanningReply:
    pickled, is_ddl, schema = reader.data(), reader.number() == 1, reader.text()
    return PlanningReply((pickled,), (("is_ddl", is_ddl), ("schema", schema)))


def _encode_read(request: PlanDataSourceRead) -> bytes:
    if request.filters is not None:
        return b"".join(
            (
                encode_text(request.source),
                encode_text(request.schema),
                encode_text(request.filters),
                encode_int(request.batch_rows),
                encode_bool(True),  # binary as bytes
            )
        )
    return b"".join(
        (
            encode_text(request.source),
            encode_text(_PARTITIONS),
            encode_text(request.schema),
            encode_int(request.batch_rows),
            encode_bool(request.pushdown),
            encode_bool(False),  # not streaming
            encode_bool(True),  # binary as bytes
        )
    )


def _decode_read(request: PlanDataSourceRead, reader: _Reader) -> PlanningReply:
    parts = [reader.data()]
    parts.extend([reader.data() for _ in range(reader.number())])
    supported: tuple[int, ...] = ()
    if request.filters is not None:
        supported = tuple([reader.number() for _ in range(reader.number())])
    return PlanningReply(tuple(parts), (("supported", supported),))


def _encode_write(request: PlanDataSourceWrite) -> bytes:
    parts = (
        encode_text(request.command),
        encode_text(request.provider),
        encode_text(request.schema),
        encode_text(_MESSAGES),
        _encode_options(request.options),
        encode_bool(request.overwrite),
        encode_bool(False),  # not streaming
        encode_bool(True),  # binary as bytes
    )
    return b"".join(parts)


def _decode_write(request: PlanDataSourceWrite, reader: _Reader) -> PlanningReply:
    return PlanningReply((reader.data(), reader.data()))


def _encode_commit(request: CommitDataSourceWrite) -> bytes:
    none = pickle.dumps(None)
    messages = [encode_text(none if m is None else m) for m in request.messages]
    return b"".join((encode_text(request.writer), encode_int(len(messages)), *messages, encode_bool(request.abort)))


def _decode_commit(request: CommitDataSourceWrite, reader: _Reader) -> PlanningReply:
    return PlanningReply()


_KINDS: dict[type[PlanningRequest], tuple[str, Callable[[Any], bytes], Callable[..., PlanningReply]]] = {
    AnalyzeTableFunction: ("analyze_udtf", _encode_analyze, _decode_analyze),
    CreateDataSource: ("create_data_source", _encode_create, _decode_create),
    PlanDataSourceRead: ("plan_data_source_read", _encode_read, _decode_read),
    PlanDataSourceWrite: ("write_into_data_source", _encode_write, _decode_write),
    CommitDataSourceWrite: ("commit_data_source_write", _encode_commit, _decode_commit),
}
