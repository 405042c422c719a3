"""ALTER TABLE, ALTER VIEW, ALTER DATABASE, COMMENT ON and MSCK REPAIR TABLE."""

from __future__ import annotations

import re
from dataclasses import replace

from voltray.driver.plan import statements as s
from voltray.driver.plan import table_changes as c
from voltray.driver.sql import clauses
from voltray.driver.sql.parser import parse_query
from voltray.driver.sql.words import Words
from voltray.proto.failures import SparkError

# Forms of Hive that Spark's grammar reads and refuses; the words behind the table's name.
_INVALID = (
    "NOT CLUSTERED", "CLUSTERED BY", "NOT SORTED", "SKEWED BY", "NOT SKEWED", "NOT STORED AS DIRECTORIES",
    "SET SKEWED LOCATION", "EXCHANGE PARTITION", "ARCHIVE PARTITION", "UNARCHIVE PARTITION", "TOUCH", "COMPACT",
    "CONCATENATE", "SET FILEFORMAT", "REPLACE COLUMNS PARTITION",
)  # fmt: skip


def alter_table(words: Words) -> s.Statement:
    """``ALTER TABLE name ...``."""
    words.expect("ALTER", "TABLE")
    name = words.name()
    for form in _INVALID:
        if words.sees(*form.split()):
            raise words.failure("INVALID_STATEMENT_OR_CLAUSE", operation=f"ALTER TABLE {form}")
    change = _table_change(words, name)
    words.end()
    return s.Alter(name, change)


def alter_view(words: Words) -> s.Statement:
    """``ALTER VIEW name ...``."""
    words.expect("ALTER", "VIEW")
    name = words.name()
    change: c.Change
    if words.take("WITH", "SCHEMA"):
        mode = words.identifier().upper()
        mode = "TYPE EVOLUTION" if mode == "TYPE" and words.take("EVOLUTION") else mode
        if mode not in ("BINDING", "COMPENSATION", "EVOLUTION", "TYPE EVOLUTION"):
            raise words.error()
        change = c.SetViewSchemaMode(mode)
    elif words.sees("SET|UNSET|RENAME"):
        change = _table_change(words, name)
    else:
        words.take("AS")
        text = words.rest()
        change = c.SetViewQuery(parse_query(text), text)
    words.end()
    return s.Alter(name, change, view=True)


def _table_change(words: Words, table: tuple[str, ...]) -> c.Change:
    partition = clauses.optional_partition(words, complete=False)
    if words.take("RENAME"):
        return _rename(words, partition)
    if words.take("SET"):
        return _set(words, partition)
    if partition is not None and not words.sees("CHANGE|ALTER|REPLACE"):
        raise words.error()
    if words.take("UNSET", "TBLPROPERTIES"):
        words.take("IF", "EXISTS")
        return c.UnsetProperties(clauses.property_keys(words))
    if words.take("ADD"):
        return _add(words, table)
    if words.take("DROP"):
        return _drop(words, table)
    if words.take("RECOVER", "PARTITIONS"):
        return c.RecoverPartitions("ALTER TABLE RECOVER PARTITIONS")
    if words.take("REPLACE", "COLUMNS"):
        return c.ReplaceColumns(clauses.columns(words))
    if words.take("CHANGE") or words.take("ALTER"):
        return _change_columns(words)
    if words.take("CLUSTER", "BY"):
        return c.ClusterBy(() if words.take("NONE") else clauses.names(words))
    if words.take("DEFAULT", "COLLATION"):
        return c.SetCollation(words.identifier())
    raise words.error()


def _rename(words: Words, partition: c.PartitionSpec | None) -> c.Change:
    if words.take("COLUMN"):
        column = words.name()
        words.expect("TO")
        return c.RenameColumn(column, words.identifier())
    words.expect("TO")
    if partition is not None:
        return c.RenamePartition(_complete(partition, words), clauses.partition(words))
    return c.RenameTo(words.name())


def _complete(partition: c.PartitionSpec, words: Words) -> c.PartitionSpec:
    for name, value in partition:
        if value is None:
            raise words.failure("INVALID_SQL_SYNTAX.EMPTY_PARTITION_VALUE", partKey=f"`{name}`")
    return partition


def _set(words: Words, partition: c.PartitionSpec | None) -> c.Change:
    if words.take("LOCATION"):
        return c.SetLocation(words.string(), partition)
    if words.take("SERDE"):
        serde = words.string()
        given = clauses.properties(words) if words.take("WITH", "SERDEPROPERTIES") else ()
        return c.SetSerde(serde, given, partition)
    if words.take("SERDEPROPERTIES"):
        return c.SetSerde(None, clauses.properties(words), partition)
    if words.take("TBLPROPERTIES"):
        found = clauses.properties(words)
        check_reserved(words, found)
        return c.SetProperties(found)
    raise words.error()


def _add(words: Words, table: tuple[str, ...]) -> c.Change:
    if words.sees("CONSTRAINT|CHECK|PRIMARY|UNIQUE|FOREIGN"):
        words.rest()
        return c.RefusedChange("ADD CONSTRAINT")
    if words.take("COLUMN") or words.take("COLUMNS"):
        return _add_columns(words)
    if_not_exists = words.take("IF", "NOT", "EXISTS")
    found: list[tuple[c.PartitionSpec, str | None]] = []
    while words.sees("PARTITION"):
        partition = clauses.partition(words)
        found.append((partition, words.string() if words.take("LOCATION") else None))
        words.take(",")
    if not found:
        raise words.error()
    return c.AddPartitions(tuple(found), if_not_exists)


def _add_columns(words: Words) -> c.Change:
    inside = words.take("(")
    found: list[c.NewColumn] = []
    while True:
        found.append(clauses.column(words))
        if words.take("AFTER"):
            words.name()
        else:
            words.take("FIRST")
        if not words.take(","):
            break
    if inside:
        words.expect(")")
    return c.AddColumns(tuple(found))


def _drop(words: Words, table: tuple[str, ...]) -> c.Change:
    if words.sees("CONSTRAINT"):
        words.rest()
        return c.RefusedChange("DROP CONSTRAINT")
    if words.take("COLUMN") or words.take("COLUMNS"):
        if_exists = words.take("IF", "EXISTS")
        return c.DropColumns(clauses.names(words), if_exists)
    if_exists = words.take("IF", "EXISTS")
    found = [clauses.partition(words)]
    while words.take(","):
        found.append(clauses.partition(words))
    words.take("PURGE")
    return c.DropPartitions(tuple(found), if_exists)


def _change_columns(words: Words) -> c.Change:
    words.take("COLUMN")
    found = [_column_change(words)]
    while words.take(","):
        found.append(_column_change(words))
    return c.ChangeColumns(tuple(found))


def _column_change(words: Words) -> c.ColumnChange:
    name = words.name()
    change = c.ColumnChange(name)
    if words.at_end or words.sees(","):
        raise words.not_allowed(
            "ALTER TABLE table CHANGE COLUMN requires a TYPE, a SET/DROP, a COMMENT, or a FIRST/AFTER"
        )
    if words.kind() in ("word", "quoted") and not words.sees("TYPE|SET|DROP|COMMENT|FIRST|AFTER"):
        return _hive_change(words, name)
    if words.sees("TYPE") and words.peek(2) in ("COMMENT", "FIRST", "AFTER"):
        return _hive_change(words, name)  # a column is one action: more of them rename it to a column called TYPE
    return _one_action(words, change)


def _one_action(words: Words, change: c.ColumnChange) -> c.ColumnChange:
    if words.take("TYPE"):
        return replace(change, dtype=clauses.data_type(words))
    if words.take("COMMENT"):
        return replace(change, comment=words.string())
    if words.take("FIRST"):
        return replace(change, moved=True)
    if words.take("AFTER"):
        words.identifier()
        return replace(change, moved=True)
    if words.take("SET", "NOT", "NULL"):
        return replace(change, nullable=False)
    if words.take("DROP", "NOT", "NULL"):
        return replace(change, nullable=True)
    if words.take("SET", "DEFAULT"):
        return replace(change, default=clauses.default_text(words))
    if words.take("DROP", "DEFAULT"):
        return replace(change, drop_default=True)
    raise words.error()


def _hive_change(words: Words, name: tuple[str, ...]) -> c.ColumnChange:
    new = words.identifier()
    if new.lower() != name[-1].lower():
        raise _renaming(words)
    change = c.ColumnChange(name, clauses.data_type(words))
    while not words.at_end:
        change = _one_action(words, change)
    return change


def _renaming(words: Words) -> SparkError:
    message = "A column is renamed by RENAME COLUMN, not by ALTER COLUMN in Hive's style."
    return words.failure("_LEGACY_ERROR_TEMP_0034", message=message, operation="Renaming column")


# ---- databases, comments ---------------------------------------------------------------------------
def alter_database(words: Words) -> s.Statement:
    """``ALTER DATABASE name SET ...``."""
    words.expect("ALTER", "DATABASE|SCHEMA|NAMESPACE")
    name = words.name()
    change: c.Change
    if words.take("SET", "LOCATION"):
        change = c.SetLocation(words.string())
    elif words.take("SET", "DBPROPERTIES|PROPERTIES"):
        change = c.SetProperties(clauses.properties(words))
        check_reserved(words, change.properties, "NAMESPACE")
    elif words.take("UNSET", "DBPROPERTIES|PROPERTIES"):
        words.take("IF", "EXISTS")
        change = c.UnsetProperties(clauses.property_keys(words))
    elif words.take("DEFAULT", "COLLATION"):
        change = c.SetCollation(words.identifier())
    else:
        words.take("SET")
        raise words.error()
    words.end()
    return s.AlterDatabase(name, change)


def comment_on(words: Words) -> s.Statement:
    """``COMMENT ON {DATABASE | TABLE} name IS ...``."""
    words.expect("COMMENT", "ON")
    table = words.take("TABLE")
    if not table:
        words.expect("DATABASE|SCHEMA|NAMESPACE")
    name = words.name()
    words.expect("IS")
    change = c.SetComment(None if words.take("NULL") else words.string())
    words.end()
    return s.Alter(name, change) if table else s.AlterDatabase(name, change)


def repair_table(words: Words) -> s.Statement:
    """``[MSCK] REPAIR TABLE name [{ADD | DROP | SYNC} PARTITIONS]``."""
    words.take("MSCK")
    words.expect("REPAIR", "TABLE")
    name = words.name()
    if words.take("ADD|DROP|SYNC"):
        words.expect("PARTITIONS")
    words.end()
    return s.Alter(name, c.RecoverPartitions("MSCK REPAIR TABLE"))


_RESERVED = {
    "TABLE": {
        "provider": "please use the USING clause to specify it",
        "location": "please use the LOCATION clause to specify it",
        "owner": "it will be set to the current user",
        "external": "please use CREATE EXTERNAL TABLE",
        "is_managed_location": "it is set by the catalog",
    },
    "NAMESPACE": {
        "location": "please use the LOCATION clause to specify it",
        "owner": "it will be set to the current user",
    },
}


def check_reserved(words: Words, given: c.Options, kind: str = "TABLE") -> None:
    """Properties that clauses of their own set cannot be given as properties."""
    for key, _ in given:
        why = _RESERVED[kind].get(key.lower())
        if why is not None:
            raise words.failure(f"UNSUPPORTED_FEATURE.SET_{kind}_PROPERTY", property=key, msg=why)


def view_schema_mode(text: str) -> str:
    """The mode that ``WITH SCHEMA ...`` of a CREATE VIEW names; COMPENSATION where there is none."""
    match = re.search(r"\bWITH\s+SCHEMA\s+(BINDING|COMPENSATION|TYPE\s+EVOLUTION|EVOLUTION)\b", text, re.IGNORECASE)
    return " ".join(match[1].upper().split()) if match else "COMPENSATION"
