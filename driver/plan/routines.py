"""Functions defined in SQL: what their definition says, as the session and the catalog keep it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Any

from pyspark.sql.types import _parse_datatype_json_value as data_type_from_json

from voltray.driver.plan.statements import Name, Statement
from voltray.proto.types import DataType

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class SqlParameter:
    """A parameter: ``default`` is the text of its default, ``text`` the whole as Spark shows it."""

    name: str
    dtype: DataType
    default: str | None = None
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class SqlFunction:
    """``CREATE FUNCTION ... RETURN body``; ``returns`` is None until the body's type is known.

    A table function returns the columns of a struct. ``namespace`` is the database in which its names are resolved.
    """

    name: Name
    parameters: tuple[SqlParameter, ...]
    body: str
    is_query: bool
    is_table: bool
    returns: DataType | None = None
    deterministic: bool | None = None
    contains_sql: bool | None = None
    comment: str | None = None
    namespace: Name = ()
    confs: Pairs = ()
    created_at: int = 0

    @property
    def is_temporary(self) -> bool:
        """Whether it is the session's own."""
        return len(self.name) == 1

    @property
    def shown_name(self) -> str:
        """The full name as generated column names show it."""
        return ".".join(self.name)


@dataclass(frozen=True, slots=True)
class CreateSqlFunction(Statement):
    """``CREATE [OR REPLACE] [TEMPORARY] FUNCTION [IF NOT EXISTS] name (...) ... RETURN body``."""

    function: SqlFunction
    temporary: bool
    replace: bool
    if_not_exists: bool


def function_document(function: SqlFunction) -> str:
    """A function as JSON."""
    parameters = [{**asdict(replace(p, dtype=None)), "dtype": p.dtype.jsonValue()} for p in function.parameters]  # type: ignore[arg-type]
    held = asdict(replace(function, parameters=(), returns=None))
    returns = None if function.returns is None else function.returns.jsonValue()
    return json.dumps({**held, "parameters": parameters, "returns": returns})


def function_from_document(document: str) -> SqlFunction:
    """A function read back from JSON."""
    held: dict[str, Any] = json.loads(document)
    parameters = tuple([
        SqlParameter(p["name"], data_type_from_json(p["dtype"]), p["default"], p["comment"])
        for p in held.pop("parameters")
    ])  # fmt: skip
    returns = held.pop("returns")
    pairs = tuple([(str(k), str(v)) for k, v in held.pop("confs")])
    name, namespace = tuple(held.pop("name")), tuple(held.pop("namespace"))
    dtype = None if returns is None else data_type_from_json(returns)
    return SqlFunction(name=name, parameters=parameters, returns=dtype, namespace=namespace, confs=pairs, **held)
