"""Statements about tables and the session that hold no query: SHOW, DESCRIBE, ANALYZE, REFRESH, SET CATALOG, ..."""

from __future__ import annotations

from collections.abc import Callable

from voltray.driver.plan import statements as s
from voltray.driver.sql import clauses
from voltray.driver.sql.parser import parse_query
from voltray.driver.sql.words import Words

_QUERY_STARTS = "SELECT|WITH|VALUES|FROM|TABLE|MAP|REDUCE|("


# ---- DESCRIBE --------------------------------------------------------------------------------------
def describe(words: Words) -> s.Statement:
    """``DESCRIBE`` of a query, a database, a function, a table or a column."""
    words.expect("DESC|DESCRIBE")
    if words.take("QUERY"):
        return s.Describe("query", query=parse_query(words.rest()))
    if words.sees("FUNCTION") and words.kind(1):
        return _describe_function(words)
    if words.sees("DATABASE|SCHEMA|NAMESPACE") and words.kind(1) in ("word", "quoted"):
        words.take("DATABASE|SCHEMA|NAMESPACE")
        extended = words.sees("EXTENDED") and words.kind(1) != "" and words.take("EXTENDED")
        return _done(words, s.Describe("database", words.name(), extended))
    if words.sees("SELECT|WITH|VALUES|FROM|("):
        return s.Describe("query", query=parse_query(words.rest()))
    return _describe_table(words)


def _describe_function(words: Words) -> s.Statement:
    words.expect("FUNCTION")
    extended = words.take("EXTENDED")
    if words.kind() == "symbol":
        return s.Describe("function", (words.rest(),), extended)
    name = (words.string(),) if words.kind() == "string" else words.name()
    return _done(words, s.Describe("function", name, extended))


def _describe_table(words: Words) -> s.Statement:
    if words.sees("TABLE") and words.kind(1) in ("word", "quoted"):
        words.take("TABLE")
    extended = words.kind(1) in ("word", "quoted") and words.take("EXTENDED|FORMATTED")
    name = words.name()
    partition = clauses.optional_partition(words)
    column: tuple[str, ...] = ()
    if words.kind() in ("word", "quoted") and not words.sees("AS", "JSON"):
        column = words.name()
    as_json = words.take("AS", "JSON")
    words.end()
    if as_json and not extended:
        raise words.failure("DESCRIBE_JSON_NOT_EXTENDED", tableName=".".join(name))
    return s.Describe("table", name, extended, column=column, partition=partition, as_json=as_json)


def _done(words: Words, statement: s.Statement) -> s.Statement:
    words.end()
    return statement


# ---- SHOW ------------------------------------------------------------------------------------------
def _like(words: Words) -> str | None:
    if words.take("LIKE") or words.kind() == "string":
        return words.string()
    return None


def show_partitions(words: Words) -> s.Statement:
    """``SHOW PARTITIONS name [PARTITION (...)]``."""
    words.expect("SHOW", "PARTITIONS")
    return _done(words, s.ShowPartitions(words.name(), clauses.optional_partition(words)))


def show_table_extended(words: Words) -> s.Statement:
    """``SHOW TABLE EXTENDED [IN database] LIKE pattern [PARTITION (...)]``."""
    words.expect("SHOW", "TABLE", "EXTENDED")
    database = words.name() if words.take("IN|FROM") else ()
    words.expect("LIKE")
    return _done(words, s.ShowTableExtended(database, words.string(), clauses.optional_partition(words)))


def show_create_table(words: Words) -> s.Statement:
    """``SHOW CREATE TABLE name [AS SERDE]``."""
    words.expect("SHOW", "CREATE", "TABLE")
    return _done(words, s.ShowCreateTable(words.name(), words.take("AS", "SERDE")))


def show_columns(words: Words) -> s.Statement:
    """``SHOW COLUMNS IN name [IN database]``."""
    words.expect("SHOW", "COLUMNS", "IN|FROM")
    name = words.name()
    if words.take("IN|FROM"):
        database = words.name()
        if len(name) > 1 and tuple(p.lower() for p in name[:-1]) != tuple(p.lower() for p in database):
            given, held = (".".join(f"`{p}`" for p in parts) for parts in (database, name[:-1]))
            raise words.failure("SHOW_COLUMNS_WITH_CONFLICT_NAMESPACE", namespaceA=given, namespaceB=held)
        name = (*database, name[-1])
    return _done(words, s.Show("columns", name))


def show_functions(words: Words) -> s.Statement:
    """``SHOW [scope] FUNCTIONS [IN database] [[LIKE] pattern]``."""
    words.expect("SHOW")
    scope = "all"
    if not words.sees("FUNCTIONS"):
        scope = words.identifier().lower()
        if not words.sees("FUNCTIONS"):
            raise words.error()
        if scope not in ("all", "system", "user"):
            raise words.failure("INVALID_SQL_SYNTAX.SHOW_FUNCTIONS_INVALID_SCOPE", scope=f"`{scope}`")
    words.expect("FUNCTIONS")
    database = words.name() if words.take("IN|FROM") else ()
    if words.take("LIKE") or words.kind() == "string":
        pattern: str | None = words.string() if words.kind() == "string" else words.name()[-1]
    else:
        pattern = words.name()[-1] if words.kind() in ("word", "quoted") else None
    return _done(words, s.Show("functions", database, pattern, scope=scope))


def show_databases(words: Words) -> s.Statement:
    """``SHOW DATABASES [IN catalog] [[LIKE] pattern]``."""
    words.expect("SHOW", "DATABASES|SCHEMAS|NAMESPACES")
    name = words.name() if words.take("IN|FROM") else ()
    return _done(words, s.Show("databases", name, _like(words)))


# ---- ANALYZE, REFRESH, TRUNCATE --------------------------------------------------------------------
def analyze_table(words: Words) -> s.Statement:
    """``ANALYZE TABLE name [PARTITION (...)] COMPUTE STATISTICS [...]``."""
    words.expect("ANALYZE", "TABLE")
    name = words.name()
    partition = clauses.optional_partition(words, complete=False)
    words.expect("COMPUTE", "STATISTICS")
    columns: tuple[str, ...] | None = None
    no_scan = False
    if words.take("FOR", "ALL", "COLUMNS"):
        columns = ()
    elif words.take("FOR", "COLUMNS"):
        columns = tuple([n[-1] for n in clauses.names(words)])
    elif not words.at_end:
        no_scan = _no_scan(words)
    return _done(words, s.AnalyzeTable(name, partition, columns, no_scan))


def _no_scan(words: Words) -> bool:
    word = words.identifier()
    if word.upper() != "NOSCAN":
        raise words.failure("INVALID_SQL_SYNTAX.ANALYZE_TABLE_UNEXPECTED_NOSCAN", ctx=word)
    return True


def analyze_tables(words: Words) -> s.Statement:
    """``ANALYZE TABLES [IN database] COMPUTE STATISTICS [NOSCAN]``."""
    words.expect("ANALYZE", "TABLES")
    database = words.name() if words.take("IN|FROM") else ()
    words.expect("COMPUTE", "STATISTICS")
    return _done(words, s.AnalyzeTables(database, not words.at_end and _no_scan(words)))


def refresh(words: Words) -> s.Statement:
    """``REFRESH TABLE name``, ``REFRESH FUNCTION name`` and ``REFRESH path``."""
    words.expect("REFRESH")
    if words.sees("TABLE") and words.kind(1):
        words.take("TABLE")
        return _done(words, s.RefreshTable(words.name()))
    if words.sees("FUNCTION") and words.kind(1):
        words.take("FUNCTION")
        return _done(words, s.RefreshFunction(words.name()))
    return s.RefreshTable((), words.string() if words.kind() == "string" else words.rest())


def truncate_table(words: Words) -> s.Statement:
    """``TRUNCATE TABLE name [PARTITION (...)]``."""
    words.expect("TRUNCATE", "TABLE")
    return _done(words, s.TruncateTable(words.name(), clauses.optional_partition(words)))


def set_catalog(words: Words) -> s.Statement:
    """``SET CATALOG name``."""
    words.expect("SET", "CATALOG")
    name = words.string() if words.kind() == "string" else words.name()[-1]
    return _done(words, s.SetCatalog(name))


def use(words: Words) -> s.Statement:
    """``USE [DATABASE] name``."""
    words.expect("USE")
    if words.sees("DATABASE|SCHEMA|NAMESPACE") and words.kind(1):
        words.take("DATABASE|SCHEMA|NAMESPACE")
    return _done(words, s.Use(words.name()))


def resources(words: Words) -> s.Statement:
    """``{ADD | LIST} {JAR | FILE | ARCHIVE} [path ...]``."""
    verb = words.identifier().lower()
    kind = words.identifier().lower().rstrip("s")
    if kind not in ("jar", "file", "archive"):
        raise words.not_allowed(f"{verb.upper()} with resource type '{kind}'")
    paths: list[str] = []
    while not words.at_end:
        paths.append(words.string() if words.kind() == "string" else words.rest())
    return s.Resources(verb, kind, tuple(paths))


def load_data(words: Words) -> s.Statement:
    """``LOAD DATA``: for tables of Hive only."""
    words.expect("LOAD", "DATA")
    words.take("LOCAL")
    words.expect("INPATH")
    words.string()
    words.take("OVERWRITE")
    words.expect("INTO", "TABLE")
    name = words.name()
    words.rest()
    return s.ChangeRows("LOAD DATA", name)


def no_procedures(words: Words) -> s.Statement:
    """``CALL`` and ``SHOW PROCEDURES``: the session's catalog has none."""
    raise words.failure("MISSING_CATALOG_ABILITY.PROCEDURES", plugin="spark_catalog")


def invalid(operation: str) -> Callable[[Words], s.Statement]:
    """A statement of Hive that Spark's grammar reads and refuses."""

    def refused(words: Words) -> s.Statement:
        raise words.failure("INVALID_STATEMENT_OR_CLAUSE", operation=operation)

    return refused
