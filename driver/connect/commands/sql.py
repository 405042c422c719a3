"""``spark.sql``: a query is handed back to be part of a DataFrame, anything else is done at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql.connect.proto import base_pb2, commands_pb2, relations_pb2

if TYPE_CHECKING:
    from voltray.driver.connect.operations import Operation
    from voltray.driver.connect.session import Session


def run_sql_command(session: Session, operation: Operation, command: commands_pb2.SqlCommand) -> None:
    """Answer with the relation that the text stands for."""
    relation = command.input if command.HasField("input") else _relation_of(command)
    response = base_pb2.ExecutePlanResponse()
    response.sql_command_result.relation.CopyFrom(relation)
    operation.respond(response)


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
