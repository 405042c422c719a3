"""CREATE and REPLACE TABLE, CREATE VIEW and CREATE DATABASE, read word by word."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from voltray.driver.plan import statements as s
from voltray.driver.plan.table_changes import NewColumn
from voltray.driver.sql import clauses
from voltray.driver.sql.alterations import check_reserved
from voltray.driver.sql.parser import parse_query
from voltray.driver.sql.words import Words
from voltray.proto.collations import is_collated, map_strings, string_type
from voltray.proto.types import StructField, StructType

_HIVE = ("ROW", "STORED", "SKEWED")


@dataclass(frozen=True, slots=True)
class _Clauses:
    """What stands between a table's columns and its query."""

    seen: tuple[str, ...] = ()
    values: dict[str, Any] = field(default_factory=dict)
    transforms: tuple[str, ...] = ()
    typed: tuple[NewColumn, ...] = ()

    def get(self, name: str, default: Any = None) -> Any:
        """A clause's value."""
        return self.values.get(name, default)


def padded_rest(words: Words) -> str:
    """The text that is left at the place where it stands, so that errors point into the whole statement."""
    if words.at_end:
        raise words.error()
    start = words.tokens[words.position].start
    rest = words.rest()
    return re.sub(r"[^\n]", " ", words.text[:start]) + rest


# ---- tables -----------------------------------------------------------------------------------------
def create_table(words: Words) -> s.Statement:
    """``CREATE [OR REPLACE] [TEMPORARY] [EXTERNAL] TABLE ...`` and ``REPLACE TABLE ...``."""
    replacing = not words.sees("CREATE")
    words.take("CREATE")
    or_replace = words.take("OR", "REPLACE") or (replacing and words.take("REPLACE"))
    temporary = words.take("TEMPORARY")
    external = words.take("EXTERNAL")
    words.expect("TABLE")
    exists = words.take("IF", "NOT", "EXISTS")
    name = words.name()
    if words.sees("LIKE") and not or_replace:
        return _create_like(words, name, exists)
    found: tuple[NewColumn, ...] = ()
    if words.sees("(") and (not words.sees("(", "SELECT|WITH|VALUES|FROM|(") or _is_column(words)):
        found = _elements(words)
    given = _table_clauses(words)
    found = tuple([_under_collation(column, given.get("DEFAULT COLLATION")) for column in found])
    query = None
    if not words.at_end:
        words.take("AS")
        query = parse_query(padded_rest(words))
    if temporary and query is not None:
        raise words.not_allowed("CREATE TEMPORARY TABLE ... AS ..., use CREATE TEMPORARY VIEW instead")
    if query is not None and found:
        verb = "Replace" if or_replace else "Create"
        short = "RTAS" if or_replace else "CTAS"
        raise words.not_allowed(f"Schema may not be specified in a {verb} Table As Select ({short}) statement")
    if temporary and exists:
        raise words.not_allowed("CREATE TEMPORARY TABLE IF NOT EXISTS is not supported yet")
    if temporary:
        schema = StructType([_plain_field(c) for c in found]) if found else None
        return s.CreateTemporaryViewUsing(name, given.get("USING", "parquet"), schema, given.get("OPTIONS", ()), False)
    return s.CreateTable(
        name,
        given.get("USING"),
        exists,
        replace=or_replace,
        external=external,
        partition_columns=given.get("PARTITIONED BY", ()),
        bucket_columns=given.get("CLUSTERED BY", ((), (), 0))[0],
        sort_columns=given.get("CLUSTERED BY", ((), (), 0))[1],
        num_buckets=given.get("CLUSTERED BY", ((), (), None))[2],
        options=given.get("OPTIONS", ()),
        location=given.get("LOCATION"),
        comment=given.get("COMMENT"),
        properties=given.get("TBLPROPERTIES", ()),
        query=query,
        columns=(*found, *given.typed) if found or given.typed else (),
        transforms=given.transforms,
        clustering_columns=given.get("CLUSTER BY", ()),
        hive=given.get("HIVE", False),
    )


def _under_collation(column: NewColumn, name: str | None) -> NewColumn:
    """A column's texts under the table's collation, where they name none of their own."""
    if name is None:
        return column
    wanted = string_type(name)
    return replace(column, dtype=map_strings(column.dtype, lambda t: t if is_collated(t) else wanted))


def _is_column(words: Words) -> bool:
    """Whether a word such as SELECT is a column's name here: a type follows it."""
    return words.kind(2) == "word" and words.peek(3) in (",", ")", "(", "<", "NOT", "COMMENT", "DEFAULT")


def _plain_field(column: NewColumn) -> StructField:
    metadata = {} if column.comment is None else {"comment": column.comment}
    return StructField(column.name[-1], column.dtype, column.nullable, metadata)


def _elements(words: Words) -> tuple[NewColumn, ...]:
    """Columns and constraints of a table."""
    words.expect("(")
    found: list[NewColumn] = []
    constrained = False
    while True:
        if words.sees("CONSTRAINT") or words.sees("PRIMARY|UNIQUE|FOREIGN|CHECK", "KEY|("):
            words.capture(lambda w: False)
            constrained = True
        else:
            found.append(clauses.column(words))
        if not words.take(","):
            break
    words.expect(")")
    if constrained and found:
        found[0] = replace(found[0], generated=found[0].generated or "CONSTRAINT")
    return tuple(found)


def _create_like(words: Words, name: tuple[str, ...], exists: bool) -> s.Statement:
    words.expect("LIKE")
    like = words.name()
    given = _table_clauses(words)
    words.end()
    return s.CreateTable(
        name, given.get("USING"), exists, location=given.get("LOCATION"), like=like,
        properties=given.get("TBLPROPERTIES", ()), hive=given.get("HIVE", False),
    )  # fmt: skip


def _table_clauses(words: Words) -> _Clauses:
    found = _Clauses()
    while not words.at_end:
        reader = next((r for form, r in _TABLE_CLAUSES if words.sees(*form.split())), None)
        if reader is None:
            break
        form = next(form for form, _ in _TABLE_CLAUSES if words.sees(*form.split()))
        title = "CREATE TABLE HIVE" if form in _HIVE else form
        if title in found.seen and title != "CREATE TABLE HIVE":
            raise words.failure("DUPLICATE_CLAUSES", clauseName=title)
        for _ in form.split():
            words.take(words.peek())
        found = replace(reader(words, found), seen=(*found.seen, title))
    return found


def _with(found: _Clauses, name: str, value: Any) -> _Clauses:
    return replace(found, values={**found.values, name: value})


def _using(words: Words, found: _Clauses) -> _Clauses:
    return _with(found, "USING", ".".join(words.name()))


def _partitioned(words: Words, found: _Clauses) -> _Clauses:
    words.expect("(")
    names: list[str] = []
    transforms: list[str] = []
    typed: list[NewColumn] = []
    while True:
        if words.peek(1) == "(":
            transforms.append(words.capture(lambda w: False))
        elif words.peek(1) in (",", ")", "."):
            names.append(".".join(words.name()))
        else:
            typed.append(clauses.column(words))
            names.append(typed[-1].name[-1])
        if not words.take(","):
            break
    words.expect(")")
    changed = replace(found, transforms=tuple(transforms), typed=tuple(typed))
    return _with(changed, "PARTITIONED BY", tuple(names))


def _clustered(words: Words, found: _Clauses) -> _Clauses:
    columns = tuple([n[-1] for n in clauses.names(words)])
    ordered: list[str] = []
    if words.take("SORTED", "BY"):
        words.expect("(")
        while True:
            ordered.append(words.identifier())
            if words.take("DESC"):
                raise words.not_allowed("Column ordering must be ASC, was 'DESC'")
            words.take("ASC")
            if not words.take(","):
                break
        words.expect(")")
    words.expect("INTO")
    count = words.integer()
    words.expect("BUCKETS")
    return _with(found, "CLUSTERED BY", (columns, tuple(ordered), count))


def _cluster(words: Words, found: _Clauses) -> _Clauses:
    return _with(found, "CLUSTER BY", tuple([".".join(n) for n in clauses.names(words)]))


def _properties(words: Words, found: _Clauses) -> _Clauses:
    given = clauses.properties(words)
    check_reserved(words, given)
    return _with(found, "TBLPROPERTIES", given)


def _hive(words: Words, found: _Clauses) -> _Clauses:
    while not words.at_end and not words.sees("AS|LOCATION|TBLPROPERTIES|COMMENT|STORED|SELECT"):
        words.take(words.peek())
    if words.sees("AS") and words.peek(1) not in ("SELECT", "WITH", "VALUES", "FROM", "("):
        words.take("AS")
        words.identifier()
    return _with(found, "HIVE", True)


_TABLE_CLAUSES: tuple[tuple[str, Callable[[Words, _Clauses], _Clauses]], ...] = (
    ("USING", _using),
    ("OPTIONS", lambda w, f: _with(f, "OPTIONS", clauses.properties(w))),
    ("PARTITIONED BY", _partitioned),
    ("CLUSTERED BY", _clustered),
    ("CLUSTER BY", _cluster),
    ("LOCATION", lambda w, f: _with(f, "LOCATION", w.string())),
    ("COMMENT", lambda w, f: _with(f, "COMMENT", w.string())),
    ("TBLPROPERTIES", _properties),
    ("DEFAULT COLLATION", lambda w, f: _with(f, "DEFAULT COLLATION", w.identifier())),
    ("ROW", _hive),
    ("STORED", _hive),
    ("SKEWED", _hive),
)


# ---- views ------------------------------------------------------------------------------------------
def create_view(words: Words) -> s.Statement:
    """``CREATE [OR REPLACE] [[GLOBAL] TEMPORARY] VIEW ...``."""
    words.expect("CREATE")
    replacing = words.take("OR", "REPLACE")
    is_global = words.take("GLOBAL")
    temporary = words.take("TEMPORARY|TEMP")
    words.expect("VIEW")
    exists = words.take("IF", "NOT", "EXISTS")
    name = words.name()
    if (temporary and words.sees("USING")) or (temporary and words.sees("(") and _is_typed(words)):
        return _create_view_using(words, name, replacing, is_global)
    columns = _view_columns(words) if words.sees("(") else ()
    seen: list[str] = []
    comment, mode = None, "COMPENSATION"
    properties: s.Options = ()
    while not words.take("AS"):
        title = next((t for t in ("COMMENT", "TBLPROPERTIES", "WITH SCHEMA", "DEFAULT COLLATION")
                      if words.sees(*t.split())), None)  # fmt: skip
        if title is None:
            raise words.error()
        if title in seen:
            raise words.failure("DUPLICATE_CLAUSES", clauseName=title)
        seen.append(title)
        words.expect(*title.split())
        if title == "COMMENT":
            comment = words.string()
        elif title == "TBLPROPERTIES":
            properties = clauses.properties(words)
            check_reserved(words, properties)
        elif title == "WITH SCHEMA":
            mode = _schema_mode(words)
        else:
            words.identifier()
    _check_view(words, seen, exists, replacing, temporary)
    scope = "global" if is_global else "temporary" if temporary else "persistent"
    padded = padded_rest(words)
    return s.CreateView(
        name, parse_query(padded), padded.strip(), scope, replacing, exists, columns, comment, properties, mode
    )


def _check_view(words: Words, seen: list[str], exists: bool, replacing: bool, temporary: bool) -> None:
    if exists and temporary:
        message = "A TEMPORARY view cannot be defined with IF NOT EXISTS."
        raise words.failure("_LEGACY_ERROR_TEMP_0053", message=message)
    if exists and replacing:
        raise words.not_allowed("CREATE VIEW with both IF NOT EXISTS and REPLACE is not allowed")
    if temporary and "TBLPROPERTIES" in seen:
        raise words.not_allowed("TBLPROPERTIES can't coexist with CREATE TEMPORARY VIEW")
    if temporary and "WITH SCHEMA" in seen:
        raise words.error()


def _schema_mode(words: Words) -> str:
    word = words.identifier().upper()
    if word == "TYPE" and words.take("EVOLUTION"):
        return "TYPE EVOLUTION"
    if word not in ("BINDING", "COMPENSATION", "EVOLUTION"):
        raise words.error()
    return word


def _is_typed(words: Words) -> bool:
    """Whether columns have types: then USING follows and no query."""
    return words.peek(2) not in (",", ")", "COMMENT")


def _view_columns(words: Words) -> tuple[tuple[str, str | None], ...]:
    words.expect("(")
    found: list[tuple[str, str | None]] = []
    while True:
        name = words.identifier()
        found.append((name, words.string() if words.take("COMMENT") else None))
        if not words.take(","):
            break
    words.expect(")")
    return tuple(found)


def _create_view_using(words: Words, name: tuple[str, ...], replacing: bool, is_global: bool) -> s.Statement:
    columns = clauses.columns(words) if words.sees("(") else ()
    words.expect("USING")
    source = ".".join(words.name())
    options = clauses.properties(words) if words.take("OPTIONS") else ()
    words.end()
    schema = StructType([_plain_field(c) for c in columns]) if columns else None
    return s.CreateTemporaryViewUsing(name, source, schema, options, replacing, is_global)


# ---- databases --------------------------------------------------------------------------------------
def create_database(words: Words) -> s.Statement:
    """``CREATE DATABASE [IF NOT EXISTS] name ...``."""
    words.expect("CREATE", "DATABASE|SCHEMA|NAMESPACE")
    exists = words.take("IF", "NOT", "EXISTS")
    name = words.name()
    comment, location = None, None
    properties: s.Options = ()
    seen: list[str] = []
    while not words.at_end:
        title = "WITH DBPROPERTIES" if words.sees("WITH", "DBPROPERTIES|PROPERTIES") else words.peek()
        if title in seen:
            raise words.failure("DUPLICATE_CLAUSES", clauseName=title)
        seen.append(title)
        if words.take("COMMENT"):
            comment = words.string()
        elif words.take("LOCATION"):
            location = words.string()
        elif words.take("WITH", "DBPROPERTIES|PROPERTIES"):
            properties = clauses.properties(words)
            check_reserved(words, properties, "NAMESPACE")
        elif words.take("DEFAULT", "COLLATION"):
            raise words.failure("UNSUPPORTED_FEATURE.SCHEMA_LEVEL_COLLATIONS")
        else:
            raise words.error()
    return s.CreateDatabase(name, exists, comment, location, properties)
