"""What the driver has Python workers find out before a query runs; it never unpickles what users send."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import Any, cast

Options = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class PlanningRequest:
    """Base of all requests."""


@dataclass(frozen=True, slots=True)
class AnalyzeArgument:
    """An argument of a table function: Spark's JSON of its type, and its value where it is constant."""

    data_type: str
    value: Any = None
    is_constant: bool = False
    is_table: bool = False
    name: str | None = None


@dataclass(frozen=True, slots=True)
class AnalyzeTableFunction(PlanningRequest):
    """Call a table function's ``analyze``."""

    name: str
    command: bytes
    arguments: tuple[AnalyzeArgument, ...]


@dataclass(frozen=True, slots=True)
class CreateDataSource(PlanningRequest):
    """Make a data source of its class; its schema, where none is given."""

    command: bytes
    provider: str
    schema: str | None
    options: Options


@dataclass(frozen=True, slots=True)
class PlanDataSourceRead(PlanningRequest):
    """Have a data source say how it is read; ``filters`` is Spark's JSON of what may be left out."""

    source: bytes
    schema: str
    filters: str | None
    batch_rows: int
    pushdown: bool = False


@dataclass(frozen=True, slots=True)
class PlanDataSourceWrite(PlanningRequest):
    """Have a data source say how rows are written."""

    command: bytes
    provider: str
    schema: str
    options: Options
    overwrite: bool


@dataclass(frozen=True, slots=True)
class CommitDataSourceWrite(PlanningRequest):
    """Commit or abort a write, with the messages of its tasks."""

    writer: bytes
    messages: tuple[bytes | None, ...]
    abort: bool


@dataclass(frozen=True, slots=True)
class PlanningReply:
    """What came back: pickled parts, and facts by name."""

    parts: tuple[bytes, ...] = ()
    facts: tuple[tuple[str, Any], ...] = ()

    def fact(self, name: str, default: Any = None) -> Any:
        """One of the facts."""
        return dict(self.facts).get(name, default)

    def encoded(self) -> bytes:
        """The reply as an executor hands it to the driver."""
        return pickle.dumps(self)

    @staticmethod
    def decoded(data: bytes) -> PlanningReply:
        """A reply; what users pickled is plain bytes in it and stays so."""
        return cast(PlanningReply, pickle.loads(data))
