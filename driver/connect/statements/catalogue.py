"""Every statement, by exact type, with what does it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from voltray.driver.connect.statements import (
    alterations,
    caching,
    confs,
    functions,
    insertions,
    listings,
    partitions,
    resources,
    show_create,
    sql_functions,
    statistics,
    tables,
    variables,
    views,
)
from voltray.driver.connect.statements.rows import Rows
from voltray.driver.plan import statements as s
from voltray.driver.plan.programs import DeclareVariables, SetVariables
from voltray.driver.plan.routines import CreateSqlFunction
from voltray.proto.failures import ErrorKind, spark_error

if TYPE_CHECKING:
    from voltray.driver.connect.operations import Operation
    from voltray.driver.connect.session import Session

Runner = Callable[[Any, Any, Any], Rows]


def run_statement(session: Session, operation: Operation, statement: s.Statement) -> Rows:
    """Do a statement and return its rows."""
    return STATEMENTS[type(statement)](session, operation, statement)


def _not_supported(session: Session, operation: Operation, statement: s.NotSupported) -> Rows:
    raise spark_error(
        "UNSUPPORTED_FEATURE",
        ErrorKind.UNSUPPORTED,
        sqlstate="0A000",
        message=f"[UNSUPPORTED_FEATURE] Voltray does not support {statement.what}. SQLSTATE: 0A000",
        feature=statement.what,
    )


STATEMENTS: Mapping[type[s.Statement], Runner] = {
    s.SetConf: confs.set_conf,
    s.ResetConf: confs.reset_conf,
    DeclareVariables: variables.declare_variables,
    SetVariables: variables.set_variables,
    s.DropVariable: variables.drop_variable,
    s.Use: tables.use,
    s.CreateDatabase: tables.create_database,
    s.DropDatabase: tables.drop_database,
    s.CreateView: views.create_view,
    s.CreateTemporaryViewUsing: tables.create_temporary_view_using,
    s.DropView: tables.drop_view,
    s.CreateTable: tables.create_table,
    s.DropTable: tables.drop_table,
    s.TruncateTable: tables.truncate_table,
    s.Insert: insertions.insert,
    s.InsertAll: insertions.insert_all,
    s.Show: listings.show,
    s.Describe: listings.describe,
    s.Explain: listings.explain,
    s.CacheTable: caching.cache_table,
    s.UncacheTable: caching.uncache_table,
    s.RefreshTable: caching.refresh_table,
    s.CreateFunction: functions.create_function,
    CreateSqlFunction: sql_functions.create_sql_function,
    s.DropFunction: functions.drop_function,
    s.NotSupported: _not_supported,
    s.Alter: alterations.alter,
    s.AlterDatabase: alterations.alter_database,
    s.AnalyzeTable: statistics.analyze_table,
    s.AnalyzeTables: statistics.analyze_tables,
    s.ShowPartitions: partitions.show_partitions,
    s.ShowTableExtended: listings.show_table_extended,
    s.ShowCreateTable: show_create.show_create_table,
    s.ChangeRows: resources.change_rows,
    s.SetCatalog: resources.set_catalog,
    s.Resources: resources.resources,
    s.RefreshFunction: resources.refresh_function,
    s.InsertDirectory: insertions.insert_directory,
}
