"""Which statements are read word by word: their first words, and what reads them."""

from __future__ import annotations

from collections.abc import Callable

from voltray.driver.plan import statements as s
from voltray.driver.sql import alterations, creations, insertions, objects, utilities
from voltray.driver.sql.words import Words

Reader = Callable[[Words], s.Statement]

# What Hive has and Spark's grammar reads to refuse.
_INVALID = (
    "CREATE ROLE", "DROP ROLE", "GRANT ROLE", "GRANT", "REVOKE ROLE", "REVOKE", "SHOW GRANT", "SHOW ROLE GRANT",
    "SHOW PRINCIPALS", "SHOW ROLES", "SHOW CURRENT ROLES", "EXPORT TABLE", "IMPORT TABLE", "SHOW COMPACTIONS",
    "SHOW TRANSACTIONS", "SHOW INDEXES", "SHOW LOCKS", "LOCK TABLE", "LOCK DATABASE", "UNLOCK TABLE",
    "UNLOCK DATABASE", "CREATE TEMPORARY MACRO", "DROP TEMPORARY MACRO", "START TRANSACTION", "COMMIT", "ROLLBACK",
    "DFS", "ALTER INDEX",
)  # fmt: skip

FORMS: tuple[tuple[str, Reader], ...] = (
    ("REPLACE TABLE", creations.create_table),
    ("INSERT", insertions.insert),
    ("DROP ROLE", utilities.invalid("DROP ROLE")),
    ("DROP", objects.drop),
    ("CACHE", objects.cache_table),
    ("UNCACHE", objects.uncache_table),
    ("DELETE", insertions.delete),
    ("UPDATE", insertions.update),
    ("MERGE", insertions.merge),
    ("ALTER TABLE", alterations.alter_table),
    ("ALTER VIEW", alterations.alter_view),
    ("ALTER DATABASE|SCHEMA|NAMESPACE", alterations.alter_database),
    ("COMMENT ON", alterations.comment_on),
    ("MSCK REPAIR", alterations.repair_table),
    ("REPAIR TABLE", alterations.repair_table),
    ("DESC|DESCRIBE", utilities.describe),
    ("SHOW PARTITIONS", utilities.show_partitions),
    ("SHOW TABLE EXTENDED", utilities.show_table_extended),
    ("SHOW CREATE TABLE", utilities.show_create_table),
    ("SHOW COLUMNS", utilities.show_columns),
    ("SHOW DATABASES|SCHEMAS|NAMESPACES", utilities.show_databases),
    ("SHOW FUNCTIONS", utilities.show_functions),
    ("SHOW PROCEDURES", utilities.no_procedures),
    ("EXPLAIN LOGICAL", utilities.invalid("EXPLAIN LOGICAL")),
    ("CALL", utilities.no_procedures),
    ("ANALYZE TABLES", utilities.analyze_tables),
    ("ANALYZE TABLE", utilities.analyze_table),
    ("REFRESH", utilities.refresh),
    ("TRUNCATE TABLE", utilities.truncate_table),
    ("SET CATALOG", utilities.set_catalog),
    ("USE", utilities.use),
    ("LIST", utilities.resources),
    ("ADD", utilities.resources),
    ("LOAD DATA", utilities.load_data),
    *((form, utilities.invalid(form)) for form in _INVALID),
)


def read_form(text: str) -> s.Statement | None:
    """The statement, where its first words are those of a form; None otherwise."""
    words = Words(text)
    if words.sees("WITH|FROM"):
        return insertions.insert_behind(words)
    if words.sees("CREATE"):
        return _read_create(words)
    if words.sees("SHOW") and words.kind(1) == "word" and words.sees("SHOW", words.peek(1), "FUNCTIONS"):
        return utilities.show_functions(words)
    for form, reader in FORMS:
        if words.sees(*form.split()):
            return reader(words)
    return None


_CREATED: tuple[tuple[str, Reader], ...] = (
    ("TABLE", creations.create_table),
    ("VIEW", creations.create_view),
    ("DATABASE|SCHEMA|NAMESPACE", creations.create_database),
    ("FUNCTION", objects.create_function),
    ("INDEX", objects.create_index),
)


def _read_create(words: Words) -> s.Statement | None:
    """CREATE of a table, view or database, behind the words that may stand between."""
    place = 1
    while words.peek(place) in ("OR", "REPLACE", "GLOBAL", "TEMPORARY", "TEMP", "EXTERNAL"):
        place += 1
    for kind, reader in _CREATED:
        if words.peek(place) in kind.split("|"):
            return reader(words)
    return next((reader(words) for form, reader in FORMS if words.sees(*form.split())), None)
