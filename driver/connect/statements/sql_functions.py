"""CREATE FUNCTION with a body in SQL: the body is checked once, here, and kept as text."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from voltray.driver.analysis.expressions.catalogue import EXPRESSIONS
from voltray.driver.analysis.function_environment import RecordingEnvironment
from voltray.driver.analysis.functions import contains_aggregate
from voltray.driver.analysis.relations.catalogue import RELATIONS
from voltray.driver.analysis.resolver import Analysis, Typed
from voltray.driver.analysis.select_list import refuse_nested_generator
from voltray.driver.analysis.sql_functions import (
    cast_typed,
    default_value,
    parameter_attributes,
    scalar_body,
    table_body,
)
from voltray.driver.catalog.builtin_functions import builtin_functions
from voltray.driver.catalog.records import CATALOG, StoredFunction
from voltray.driver.connect.statements.rows import NOTHING, Rows
from voltray.driver.plan import relations as r
from voltray.driver.plan.expressions import UnresolvedAlias, UnresolvedAttribute, UnresolvedStar
from voltray.driver.plan.identifiers import quoted
from voltray.driver.plan.routines import CreateSqlFunction, SqlFunction, function_document, function_from_document
from voltray.proto.expressions import ExistsSubquery, InSubquery, ScalarSubquery, walk
from voltray.proto.failures import ErrorKind, SparkError, spark_error
from voltray.proto.types import DataType, StructField, StructType, sql_type

if TYPE_CHECKING:
    from voltray.driver.connect.operations import Operation
    from voltray.driver.connect.session import Session

SQL_FUNCTION = "sqlFunction."
"""What stands for the class of a function that is defined in SQL."""
_DOCUMENT = "definition"
_KEPT_CONFS = ("spark.sql.ansi.enabled", "spark.sql.session.timeZone", "spark.sql.caseSensitive")


def create_sql_function(session: Session, operation: Operation, statement: CreateSqlFunction) -> Rows:
    """Check a function's definition and keep it."""
    catalog = session.catalog
    name = statement.function.name
    full: tuple[str, ...]
    shown: tuple[str, ...]
    _check_parameters(statement.function)
    if statement.temporary:
        known = session.functions.get(name[0].lower())
        exists = known is not None or name[0].lower() in builtin_functions()
        full, shown = (name[0],), name
    else:
        database, own = catalog.qualified(name)
        database = catalog.existing_database(database).name
        stored = catalog.store.function(database, own)
        exists, full, shown = stored is not None, (CATALOG, database, own), (database, own)
        if stored is not None and statement.replace and stored.class_name != SQL_FUNCTION:
            raise spark_error("USER_DEFINED_FUNCTIONS.CANNOT_REPLACE_NON_SQL_UDF_WITH_SQL_UDF", name=quoted(shown))
    confs = tuple([(key, session.conf(key)) for key in _KEPT_CONFS])
    function = replace(
        statement.function, name=full, namespace=(CATALOG, catalog.current_database), confs=confs,
        created_at=int(time.time() * 1000),
    )  # fmt: skip
    if exists and not statement.replace:
        if statement.if_not_exists:
            return NOTHING
        raise spark_error("ROUTINE_ALREADY_EXISTS", existingRoutineType="routine", newRoutineType="routine",
                          routineName=quoted(shown))  # fmt: skip
    checked = _checked(session, function, shown)
    if statement.temporary:
        session.register_function(name[0], checked)
        return NOTHING
    record = StoredFunction(*catalog.qualified(name), SQL_FUNCTION, ((_DOCUMENT, function_document(checked)),))
    catalog.store.create_function(record, replacing=statement.replace)
    return NOTHING


def stored_sql_function(record: StoredFunction) -> SqlFunction | None:
    """The function defined in SQL that the catalog holds under a name, if it is one."""
    document = dict(record.properties).get(_DOCUMENT)
    return None if record.class_name != SQL_FUNCTION or document is None else function_from_document(document)


# ---- checks -----------------------------------------------------------------------------------------------
def _refused(kind: str, **parameters: object) -> SparkError:
    return spark_error(f"USER_DEFINED_FUNCTIONS.{kind}", ErrorKind.ANALYSIS, **parameters)  # type: ignore[arg-type]


def _check_parameters(function: SqlFunction) -> None:
    name = ".".join(function.name)
    if repeated := _repeated([p.name for p in function.parameters]):
        raise spark_error("DUPLICATE_ROUTINE_PARAMETER_NAMES", routineName=name, names=repeated)
    if isinstance(function.returns, StructType) and function.is_table:
        _check_columns(name, function.returns)
    for before, behind in zip(function.parameters, function.parameters[1:], strict=False):
        if before.default is not None and behind.default is None:
            raise _refused("NOT_A_VALID_DEFAULT_PARAMETER_POSITION", functionName=name, parameterName=before.name,
                           nextParameterName=behind.name)  # fmt: skip


def _repeated(names: Sequence[str]) -> str:
    folded = [n.lower() for n in names]
    return ", ".join(f"`{n}`" for n in dict.fromkeys(folded) if folded.count(n) > 1)


def _check_columns(name: str, returns: StructType) -> None:
    if repeated := _repeated([f.name for f in returns.fields]):
        raise spark_error("DUPLICATE_ROUTINE_RETURNS_COLUMNS", routineName=name, columns=repeated)


def _checked(session: Session, function: SqlFunction, shown: tuple[str, ...]) -> SqlFunction:
    """The function with what its body tells of it: its type, its determinism, whether it reads data."""
    environment = RecordingEnvironment(session, function)
    analysis = Analysis(environment, RELATIONS, EXPRESSIONS)
    for parameter in function.parameters:
        if parameter.default is not None:
            _check_default(function, parameter.name, parameter.dtype, parameter.default, analysis)
    returns = _table_type(function, analysis) if function.is_table else _scalar_type(function, analysis)
    if not function.is_temporary:
        for kind, name in environment.temporary:
            raise spark_error("INVALID_TEMP_OBJ_REFERENCE", obj="FUNCTION", objName=quoted(shown), tempObj=kind,
                              tempObjName=quoted(name))  # fmt: skip
    reads = bool(environment.tables) or any(f.contains_sql is False for f in environment.functions)
    if function.contains_sql and reads:
        raise spark_error("INVALID_SQL_FUNCTION_DATA_ACCESS")
    contains = not reads if function.contains_sql is None else function.contains_sql
    deterministic = True if function.deterministic is None else function.deterministic
    return replace(function, returns=returns, contains_sql=contains, deterministic=deterministic)


def _check_default(function: SqlFunction, name: str, dtype: DataType, text: str, analysis: Analysis) -> None:
    typed = default_value(text, analysis)
    if any(isinstance(n, (ScalarSubquery, ExistsSubquery, InSubquery)) for n in walk(typed.expression)):
        raise _refused("NOT_A_VALID_DEFAULT_EXPRESSION", functionName=".".join(function.name), parameterName=name)
    if contains_aggregate(typed.expression):
        raise _refused("CANNOT_CONTAIN_COMPLEX_FUNCTIONS", queryText=function.body)
    cast_typed(typed, dtype, analysis)


def _scalar_type(function: SqlFunction, analysis: Analysis) -> DataType:
    typed = scalar_body(function, parameter_attributes(function), analysis)
    refuse_nested_generator(Typed(typed.expression, typed.name))
    if contains_aggregate(typed.expression):
        raise _refused("CANNOT_CONTAIN_COMPLEX_FUNCTIONS", queryText=function.body)
    if function.returns is None:
        return typed.dtype
    cast_typed(typed, function.returns, analysis)
    return function.returns


def _table_type(function: SqlFunction, analysis: Analysis) -> StructType:
    columns = table_body(function, parameter_attributes(function), analysis).scope.attributes
    name = function.name[-1]
    if function.returns is None:
        if _has_nameless_column(analysis.environment.parse_query(function.body)):
            raise _refused("SQL_TABLE_UDF_MISSING_COLUMN_NAMES", functionName=f"`{name}`")
        returns = StructType([StructField(c.name, c.dtype, True) for c in columns])
        _check_columns(name, returns)
        return returns
    assert isinstance(function.returns, StructType)
    if len(columns) != len(function.returns.fields):
        raise _refused("RETURN_COLUMN_COUNT_MISMATCH", outputSize=len(columns), name=name,
                       returnParamSize=len(function.returns.fields))  # fmt: skip
    return function.returns


def _has_nameless_column(query: r.Relation) -> bool:
    items: tuple[object, ...] = ()
    below: object = query
    while isinstance(below, r.Relation):
        if isinstance(below, (r.Project, r.Aggregate)):
            items = below.items
            break
        below = getattr(below, "child", getattr(below, "left", None))
    return any(not isinstance(i, (UnresolvedAlias, UnresolvedAttribute, UnresolvedStar)) for i in items)


# ---- DESCRIBE ---------------------------------------------------------------------------------------------
def usage(function: SqlFunction) -> str:
    """What DESCRIBE FUNCTION shows of a function: its properties as JSON."""
    parts: dict[str, str] = {
        "sqlFunction.comment": function.comment or "",
        "sqlFunction.inputParam": ", ".join([_shown_parameter(p) for p in function.parameters]),
        "sqlFunction.returnType": _shown_type(function),
        "sqlFunction.isTableFunc": str(function.is_table).lower(),
        "sqlFunction.query" if function.is_query else "sqlFunction.expression": function.body,
        "sqlFunction.deterministic": str(function.deterministic is not False).lower(),
        "sqlFunction.containsSQL": str(function.contains_sql is not False).lower(),
        "sqlFunction.createTime": str(function.created_at),
        "catalogAndNamespace.numParts": str(len(function.namespace)),
        **{f"catalogAndNamespace.part.{i}": part for i, part in enumerate(function.namespace)},
        **{f"sqlConfig.{key}": value for key, value in function.confs},
    }
    return json.dumps({key: value for key, value in parts.items() if value}, separators=(",", ":"), ensure_ascii=False)


def _shown_parameter(parameter: object) -> str:
    from voltray.driver.plan.routines import SqlParameter

    assert isinstance(parameter, SqlParameter)
    default = f" DEFAULT {parameter.default}" if parameter.default is not None else ""
    comment = f" COMMENT '{parameter.comment}'" if parameter.comment is not None else ""
    return f"{parameter.name} {sql_type(parameter.dtype)}{default}{comment}"


def _shown_type(function: SqlFunction) -> str:
    if not isinstance(function.returns, StructType) or not function.is_table:
        return "" if function.returns is None else sql_type(function.returns)
    shown = []
    for field in function.returns.fields:
        comment = (field.metadata or {}).get("comment")
        shown.append(f"{field.name} {sql_type(field.dataType)}" + (f" COMMENT '{comment}'" if comment else ""))
    return ",".join(shown)
