"""``spark.sql``: a query is handed back to be part of a DataFrame, anything else is done at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql.connect.proto import base_pb2, commands_pb2, relations_pb2

from voltray.driver.connect.messages.relations import named_arguments, positional_arguments
from voltray.driver.connect.statements.catalogue import run_statement
from voltray.driver.plan.relations import Relation, SqlQuery
from voltray.proto.types import arrow_schema

if TYPE_CHECKING:
    from voltray.driver.connect.operations import Operation
    from voltray.driver.connect.session import Session
    from voltray.driver.connect.statements.rows import Rows


def run_sql_command(session: Session, operation: Operation, command: commands_pb2.SqlCommand) -> None:
    """Answer with the relation that the text stands for."""
    from voltray.driver.sql.statements import parse_sql

    message = command.input if command.HasField("input") else _relation_of(command)
    relation = message
    if message.WhichOneof("rel_type") == "sql":
        field = message.sql
        parsed = parse_sql(field.query, named_arguments(field), positional_arguments(field))
        if isinstance(parsed, Relation):
            session.analyze(SqlQuery(field.query, named_arguments(field), positional_arguments(field)))
        else:
            relation = _rows_message(run_statement(session, operation, parsed), session)
    response = base_pb2.ExecutePlanResponse()
    response.sql_command_result.relation.CopyFrom(relation)
    operation.respond(response)


def _rows_message(rows: Rows, session: Session) -> relations_pb2.Relation:
    """A statement's rows as a local relation, which the client shows as any DataFrame."""
    schema = arrow_schema(rows.schema, session.time_zone)
    columns = [pa.array([row[i] for row in rows.rows], f.type) for i, f in enumerate(schema)]
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        if columns:
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))
    message = relations_pb2.Relation()
    message.local_relation.schema = rows.schema.json()
    message.local_relation.data = sink.getvalue().to_pybytes()
    return message


def _relation_of(command: commands_pb2.SqlCommand) -> relations_pb2.Relation:
    """The relation form of a command of clients before 4.0, which put the text into the command itself."""
    relation = relations_pb2.Relation()
    sql = relation.sql
    sql.query = command.sql
    for name, literal in command.args.items():
        sql.args[name].CopyFrom(literal)
    for name, expression in command.named_arguments.items():
        sql.named_arguments[name].CopyFrom(expression)
    sql.pos_args.extend(command.pos_args)
    sql.pos_arguments.extend(command.pos_arguments)
    return relation
