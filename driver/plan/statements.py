"""SQL statements that are not queries: one frozen dataclass each, done at once by ``driver.connect.statements``."""

from __future__ import annotations

from dataclasses import dataclass

from voltray.driver.plan.relations import Relation
from voltray.driver.plan.table_changes import Change, NewColumn, PartitionSpec
from voltray.proto.expressions import Expression
from voltray.proto.types import DataType, StructType

Name = tuple[str, ...]
Options = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Statement:
    """Base of all statements."""


@dataclass(frozen=True, slots=True)
class SetConf(Statement):
    """``SET key = value``; without a value the conf is shown, without a key all that are set."""

    key: str | None = None
    value: str | None = None
    local_time_zone: bool = False
    """SET TIME ZONE LOCAL: the value is the machine's zone."""


@dataclass(frozen=True, slots=True)
class ResetConf(Statement):
    """``RESET [key]``."""

    key: str | None = None


@dataclass(frozen=True, slots=True)
class Use(Statement):
    """``USE [database]``."""

    name: Name


@dataclass(frozen=True, slots=True)
class CreateDatabase(Statement):
    """``CREATE DATABASE``."""

    name: Name
    if_not_exists: bool
    comment: str | None = None
    location: str | None = None
    properties: Options = ()


@dataclass(frozen=True, slots=True)
class DropDatabase(Statement):
    """``DROP DATABASE``."""

    name: Name
    if_exists: bool
    cascade: bool


@dataclass(frozen=True, slots=True)
class CreateView(Statement):
    """``CREATE [OR REPLACE] [[GLOBAL] TEMPORARY] VIEW``; ``scope`` is persistent, temporary or global."""

    name: Name
    query: Relation
    text: str
    scope: str
    replace: bool
    if_not_exists: bool
    columns: tuple[tuple[str, str | None], ...] = ()
    comment: str | None = None
    properties: Options = ()
    schema_mode: str = "COMPENSATION"


@dataclass(frozen=True, slots=True)
class CreateTemporaryViewUsing(Statement):
    """``CREATE TEMPORARY VIEW name [(columns)] USING format OPTIONS (...)``."""

    name: Name
    format: str
    schema: StructType | None
    options: Options
    replace: bool
    is_global: bool = False


@dataclass(frozen=True, slots=True)
class DropView(Statement):
    """``DROP VIEW``."""

    name: Name
    if_exists: bool


@dataclass(frozen=True, slots=True)
class CreateTable(Statement):
    """``CREATE TABLE`` in all its forms; a ``query`` makes it CREATE TABLE AS SELECT, ``like`` CREATE TABLE LIKE."""

    name: Name
    format: str | None
    if_not_exists: bool
    replace: bool = False
    external: bool = False
    partition_columns: tuple[str, ...] = ()
    bucket_columns: tuple[str, ...] = ()
    num_buckets: int | None = None
    options: Options = ()
    location: str | None = None
    comment: str | None = None
    properties: Options = ()
    query: Relation | None = None
    like: Name | None = None
    columns: tuple[NewColumn, ...] = ()
    sort_columns: tuple[str, ...] = ()
    transforms: tuple[str, ...] = ()
    clustering_columns: tuple[str, ...] = ()
    hive: bool = False
    """Whether it asks for a table of Hive."""


@dataclass(frozen=True, slots=True)
class DropTable(Statement):
    """``DROP TABLE``."""

    name: Name
    if_exists: bool


@dataclass(frozen=True, slots=True)
class TruncateTable(Statement):
    """``TRUNCATE TABLE``."""

    name: Name
    partition: PartitionSpec | None = None


@dataclass(frozen=True, slots=True)
class Insert(Statement):
    """``INSERT INTO`` and ``INSERT OVERWRITE``; ``partition`` holds fixed values (None: dynamic)."""

    table: Name
    query: Relation
    overwrite: bool
    columns: tuple[str, ...] = ()
    by_name: bool = False
    partition: tuple[tuple[str, Expression | None], ...] = ()
    if_not_exists: bool = False
    replace_where: bool = False


@dataclass(frozen=True, slots=True)
class InsertAll(Statement):
    """``FROM ... INSERT ... INSERT ...``: one after the other."""

    inserts: tuple[Insert, ...]


@dataclass(frozen=True, slots=True)
class Show(Statement):
    """``SHOW`` what: databases, tables, views, columns, functions, catalogs, tblproperties, create_table."""

    what: str
    name: Name = ()
    pattern: str | None = None
    key: str | None = None
    scope: str = "all"


@dataclass(frozen=True, slots=True)
class Describe(Statement):
    """``DESCRIBE`` a table, database, function or query."""

    what: str
    name: Name = ()
    extended: bool = False
    query: Relation | None = None
    column: Name = ()
    partition: PartitionSpec | None = None
    as_json: bool = False


@dataclass(frozen=True, slots=True)
class Explain(Statement):
    """``EXPLAIN [mode]`` of a query's text, or of another statement's."""

    mode: str
    query: Relation | None
    statement: Statement | None = None
    text: str = ""
    """The statement's text, where it is no query."""


@dataclass(frozen=True, slots=True)
class CacheTable(Statement):
    """``CACHE [LAZY] TABLE name [AS query]``."""

    name: Name
    query: Relation | None = None
    lazy: bool = False


@dataclass(frozen=True, slots=True)
class UncacheTable(Statement):
    """``UNCACHE TABLE``; without a name ``CLEAR CACHE``."""

    name: Name | None
    if_exists: bool = False


@dataclass(frozen=True, slots=True)
class RefreshTable(Statement):
    """``REFRESH TABLE``; ``path`` for ``REFRESH path``."""

    name: Name
    path: str | None = None


@dataclass(frozen=True, slots=True)
class DeclareVariable(Statement):
    """``DECLARE [OR REPLACE] VARIABLE``."""

    name: Name
    dtype: DataType | None
    default: Expression | None
    replace: bool


@dataclass(frozen=True, slots=True)
class SetVariable(Statement):
    """``SET VARIABLE name = expression``."""

    name: Name
    value: Expression


@dataclass(frozen=True, slots=True)
class DropVariable(Statement):
    """``DROP TEMPORARY VARIABLE``."""

    name: Name
    if_exists: bool


@dataclass(frozen=True, slots=True)
class CreateFunction(Statement):
    """``CREATE FUNCTION name AS 'class'``: kept in the catalog; a call is refused, as there is no JVM to load it."""

    name: Name
    class_name: str
    temporary: bool
    replace: bool
    if_not_exists: bool


@dataclass(frozen=True, slots=True)
class DropFunction(Statement):
    """``DROP [TEMPORARY] FUNCTION``."""

    name: Name
    temporary: bool
    if_exists: bool


@dataclass(frozen=True, slots=True)
class NotSupported(Statement):
    """A statement that is understood and refused."""

    what: str


@dataclass(frozen=True, slots=True)
class Alter(Statement):
    """``ALTER TABLE`` and ``ALTER VIEW``, ``COMMENT ON TABLE``, ``MSCK REPAIR TABLE``."""

    name: Name
    change: Change
    view: bool = False


@dataclass(frozen=True, slots=True)
class AlterDatabase(Statement):
    """``ALTER DATABASE`` and ``COMMENT ON DATABASE``."""

    name: Name
    change: Change


@dataclass(frozen=True, slots=True)
class AnalyzeTable(Statement):
    """``ANALYZE TABLE``; ``columns`` None: no statistics of columns, empty: of all; no name: ANALYZE TABLES."""

    name: Name
    partition: PartitionSpec | None = None
    columns: tuple[str, ...] | None = None
    no_scan: bool = False


@dataclass(frozen=True, slots=True)
class AnalyzeTables(Statement):
    """``ANALYZE TABLES [IN database]``."""

    database: Name
    no_scan: bool = False


@dataclass(frozen=True, slots=True)
class ShowPartitions(Statement):
    """``SHOW PARTITIONS``."""

    name: Name
    partition: PartitionSpec | None = None


@dataclass(frozen=True, slots=True)
class ShowTableExtended(Statement):
    """``SHOW TABLE EXTENDED``."""

    database: Name
    pattern: str
    partition: PartitionSpec | None = None


@dataclass(frozen=True, slots=True)
class ShowCreateTable(Statement):
    """``SHOW CREATE TABLE [AS SERDE]``."""

    name: Name
    as_serde: bool = False


@dataclass(frozen=True, slots=True)
class ChangeRows(Statement):
    """``DELETE``, ``UPDATE`` and ``MERGE``, which no table of files takes; ``checks`` are queries that must resolve."""

    operation: str
    name: Name
    checks: tuple[Relation, ...] = ()


@dataclass(frozen=True, slots=True)
class SetCatalog(Statement):
    """``SET CATALOG name``."""

    name: str


@dataclass(frozen=True, slots=True)
class Resources(Statement):
    """``ADD`` and ``LIST`` of jars, files and archives."""

    verb: str
    kind: str
    paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RefreshFunction(Statement):
    """``REFRESH FUNCTION name``."""

    name: Name


@dataclass(frozen=True, slots=True)
class InsertDirectory(Statement):
    """``INSERT OVERWRITE DIRECTORY path USING format``."""

    path: str
    format: str
    options: Options
    query: Relation
