"""``spark.sql``: a query is handed back to be part of a DataFrame, anything else is done at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql.connect.proto import base_pb2, commands_pb2, relations_pb2

from voltray.driver.connect.messages.relations import named_arguments, positional_arguments
from voltray.driver.connect.statements import immediate
from voltray.driver.connect.statements.catalogue import run_statement
from voltray.driver.connect.statements.rows import NOTHING, Rows
from voltray.driver.connect.statements.scripts import run_script
from voltray.driver.plan.logical import schema_of
from voltray.driver.plan.programs import ExecuteImmediate
from voltray.driver.plan.relations import Relation, SqlQuery
from voltray.driver.sql.markers import with_parameters
from voltray.driver.sql.scripts import is_script, parse_script
from voltray.proto.failures import spark_error
from voltray.proto.types import StructType, arrow_schema

if TYPE_CHECKING:
    from voltray.driver.connect.operations import Operation
    from voltray.driver.connect.session import Session
    from voltray.driver.plan.logical import LogicalPlan

Answer = Rows | SqlQuery | relations_pb2.Relation


def run_sql_command(session: Session, operation: Operation, command: commands_pb2.SqlCommand) -> None:
    """Answer with the relation that the text stands for."""
    message = command.input if command.HasField("input") else _relation_of(command)
    relation = message
    if message.WhichOneof("rel_type") == "sql":
        field = message.sql
        given = SqlQuery(field.query, named_arguments(field), positional_arguments(field))
        answer = run_text(session, operation, given)
        relation = message if answer is given else _message(answer, session)
    response = base_pb2.ExecutePlanResponse()
    response.sql_command_result.relation.CopyFrom(relation)
    operation.respond(response)


def run_text(session: Session, operation: Operation, given: SqlQuery) -> Answer:
    """Do what a text says; a query is only checked, and what it is (without EXECUTE IMMEDIATE) returned."""
    text, named, positional = given.text, given.named_arguments, given.positional_arguments
    if is_script(text):
        if positional:
            raise spark_error("UNSUPPORTED_FEATURE.SQL_SCRIPTING_WITH_POSITIONAL_PARAMETERS")
        script = parse_script(with_parameters(text, dict(named), ()))
        answer: Answer | None = run_script(session, script, lambda inside, part: _answer(inside, operation, part))
        return NOTHING if answer is None else answer
    parsed = immediate.parsed(session, text, named, positional)
    if isinstance(parsed, ExecuteImmediate):
        inner = SqlQuery(*immediate.expanded(session, parsed))
        outermost = session.outermost  # the text sees nothing of a script's variables
        if is_script(inner.text):
            raise spark_error("SQL_SCRIPT_IN_EXECUTE_IMMEDIATE", sqlString=inner.text.upper())
        if not parsed.targets:
            return run_text(outermost, operation, inner)
        relation = immediate.parsed(outermost, inner.text, inner.named_arguments, inner.positional_arguments)
        if not isinstance(relation, Relation):
            raise immediate.refuse_into(inner.text)
        immediate.store(session, parsed, relation)
        return NOTHING
    if isinstance(parsed, Relation):
        session.analyze(given)
        return given
    return run_statement(session, operation, parsed)


def _answer(session: Session, operation: Operation, text: str) -> relations_pb2.Relation | None:
    """What a query of a script answers with; it is run now, for later statements may change what it sees."""
    done = run_text(session, operation, SqlQuery(text))
    if isinstance(done, SqlQuery):
        return _data_message(session, operation, session.analyze(done))
    return done if isinstance(done, relations_pb2.Relation) else None


def _data_message(session: Session, operation: Operation, plan: LogicalPlan) -> relations_pb2.Relation:
    """A query's rows as a local relation."""
    schema = schema_of(plan)
    tables = [pa.ipc.open_stream(batch.data).read_all() for batch in session.execute(plan, operation).batches()]
    whole = pa.concat_tables(tables) if tables else arrow_schema(schema, session.time_zone).empty_table()
    return _local_message(schema, whole)


def _message(answer: Answer, session: Session) -> relations_pb2.Relation:
    """An answer as the relation that the client goes on with."""
    if isinstance(answer, relations_pb2.Relation):
        return answer
    if not isinstance(answer, SqlQuery):
        return _rows_message(answer, session)
    relation = relations_pb2.Relation()
    if not answer.named_arguments and not answer.positional_arguments:
        relation.sql.query = answer.text
    else:  # their values may be such that no text has them
        relation.cached_remote_relation.relation_id = session.keep_remote_relation(session.analyze(answer))
    return relation


def _rows_message(rows: Rows, session: Session) -> relations_pb2.Relation:
    """A statement's rows as a local relation, which the client shows as any DataFrame."""
    schema = arrow_schema(rows.schema, session.time_zone)
    columns = [pa.array([row[i] for row in rows.rows], f.type) for i, f in enumerate(schema)]
    return _local_message(rows.schema, pa.Table.from_arrays(columns, schema=schema) if columns else None)


def _local_message(schema: StructType, table: pa.Table | None) -> relations_pb2.Relation:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, pa.schema([]) if table is None else table.schema) as writer:
        if table is not None:
            writer.write_table(table)
    message = relations_pb2.Relation()
    message.local_relation.schema = schema.json()
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
