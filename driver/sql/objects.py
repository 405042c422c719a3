"""DROP of anything, CREATE FUNCTION by a class, CACHE and UNCACHE TABLE."""

from __future__ import annotations

from voltray.driver.plan import statements as s
from voltray.driver.sql import clauses
from voltray.driver.sql.creations import padded_rest
from voltray.driver.sql.parser import parse_query
from voltray.driver.sql.words import Words


def drop(words: Words) -> s.Statement:
    """``DROP TABLE``, ``VIEW``, ``DATABASE`` and ``FUNCTION``."""
    words.expect("DROP")
    temporary = words.take("TEMPORARY|TEMP")
    kind = words.peek()
    words.take(kind)
    if kind not in ("TABLE", "VIEW", "DATABASE", "SCHEMA", "NAMESPACE", "FUNCTION") or (
        temporary and kind != "FUNCTION"
    ):
        words.position -= 1
        raise words.error()
    exists = words.take("IF", "EXISTS")
    name = words.name()
    statement: s.Statement
    if kind == "TABLE":
        words.take("PURGE")
        statement = s.DropTable(name, exists)
    elif kind == "VIEW":
        statement = s.DropView(name, exists)
    elif kind == "FUNCTION":
        statement = s.DropFunction(name, temporary, exists)
    else:
        cascade = words.take("CASCADE")
        words.take("RESTRICT")
        statement = s.DropDatabase(name, exists, cascade)
    words.end()
    return statement


def create_function(words: Words) -> s.Statement:
    """``CREATE [OR REPLACE] [TEMPORARY] FUNCTION name AS 'class' [USING JAR ...]``."""
    words.expect("CREATE")
    replacing = words.take("OR", "REPLACE")
    temporary = words.take("TEMPORARY|TEMP")
    words.expect("FUNCTION")
    exists = words.take("IF", "NOT", "EXISTS")
    name = words.name()
    words.expect("AS")
    class_name = words.string()
    if words.take("USING"):
        words.rest()
    words.end()
    return s.CreateFunction(name, class_name, temporary, replacing, exists)


def create_index(words: Words) -> s.Statement:
    """``CREATE INDEX``: no table of files has any."""
    words.expect("CREATE", "INDEX")
    words.take("IF", "NOT", "EXISTS")
    words.identifier()
    words.expect("ON")
    words.take("TABLE")
    name = words.name()
    words.rest()
    return s.ChangeRows("CREATE INDEX", name)


def cache_table(words: Words) -> s.Statement:
    """``CACHE [LAZY] TABLE name [OPTIONS (...)] [[AS] query]``."""
    words.expect("CACHE")
    lazy = words.take("LAZY")
    words.expect("TABLE")
    name = words.name()
    if words.take("OPTIONS"):
        clauses.properties(words)
    if words.at_end:
        return s.CacheTable(name, None, lazy)
    words.take("AS")
    if len(name) > 1:
        prefix = ".".join(name[:-1])
        message = f"A query is cached under a plain name: {prefix} cannot stand before it."
        raise words.failure("_LEGACY_ERROR_TEMP_0037", message=message, quoted=prefix)
    return s.CacheTable(name, parse_query(padded_rest(words)), lazy)


def uncache_table(words: Words) -> s.Statement:
    """``UNCACHE TABLE [IF EXISTS] name``."""
    words.expect("UNCACHE", "TABLE")
    exists = words.take("IF", "EXISTS")
    name = words.name()
    words.end()
    return s.UncacheTable(name, exists)
