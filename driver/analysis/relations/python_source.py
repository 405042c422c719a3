"""Users' Python data sources: made and asked for their schema when a plan is analysed, read once it is optimized."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voltray.driver.analysis.errors import analysis_error
from voltray.driver.analysis.python_planning import ask
from voltray.driver.analysis.scope import Resolved, leaf_scope
from voltray.driver.plan import logical
from voltray.driver.plan import relations as r
from voltray.proto.expressions import Attribute, new_id
from voltray.proto.failures import SparkError
from voltray.proto.python_planning import CreateDataSource, Options, PlanningReply, PlanningRequest
from voltray.proto.types import StructType

if TYPE_CHECKING:
    from voltray.driver.analysis.environment import Environment
    from voltray.driver.analysis.resolver import Analysis


@dataclass(frozen=True, slots=True)
class PythonDataSource:
    """A data source class that a client registered, as it was pickled."""

    name: str
    command: bytes
    python_version: str


def asked(
    request: PlanningRequest, python_version: str, environment: Environment, action: str, part: str
) -> PlanningReply:
    """The reply to a request; ``action`` and ``part`` say what failed where the user's code raises."""
    try:
        return ask(request, python_version, environment)
    except SparkError as error:
        if error.condition != "PYTHON_EXCEPTION":
            raise
        said = error.failure.message
    raise analysis_error("PYTHON_DATA_SOURCE_ERROR", action=action, type=part, msg=said)


def path_options(options: Options, paths: tuple[str, ...]) -> Options:
    """Options with the paths that were given beside them."""
    if not paths:
        return options
    kept = tuple([(k, v) for k, v in options if k.lower() not in ("path", "paths")])
    named = ("path", paths[0]) if len(paths) == 1 else ("paths", json.dumps(list(paths), separators=(",", ":")))
    return (*kept, named)


def resolve_python_source(source: PythonDataSource, relation: r.DataSource, analysis: Analysis) -> Resolved:
    """The rows of a data source; its columns are those asked for, or its own."""
    environment = analysis.environment
    schema = environment.parse_schema(relation.schema) if relation.schema else None
    options = path_options(relation.options, relation.paths)
    request = CreateDataSource(source.command, source.name, schema.json() if schema is not None else None, options)
    reply = asked(request, source.python_version, environment, "create", "instance")
    dtype = environment.parse_schema(reply.fact("schema")) if schema is None else schema
    if not isinstance(dtype, StructType):
        given = reply.fact("schema").strip('"')
        raise analysis_error(
            "INVALID_SCHEMA.NON_STRUCT_TYPE", inputSchema=f'"{given}"', dataType=f'"{dtype.simpleString().upper()}"'
        )
    attributes = tuple([Attribute(new_id(), f.name, f.dataType, f.nullable) for f in dtype.fields])
    return leaf_scope(logical.PythonSource(attributes, reply.parts[0], dtype, source.python_version))
