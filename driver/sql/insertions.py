"""INSERT in all its forms, DELETE, UPDATE and MERGE, read word by word."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from voltray.driver.plan import statements as s
from voltray.driver.plan.relations import Relation
from voltray.driver.plan.table_changes import PartitionSpec
from voltray.driver.sql import clauses
from voltray.driver.sql.creations import padded_rest
from voltray.driver.sql.parser import parse_query
from voltray.driver.sql.words import Words

_QUERY = "SELECT|WITH|VALUES|FROM|TABLE|(|MAP|REDUCE"
_TAIL = ("WHERE", "GROUP", "HAVING", "ORDER", "SORT", "CLUSTER", "DISTRIBUTE", "LIMIT", "WINDOW", "LATERAL")


@dataclass(frozen=True, slots=True)
class _Target:
    """What stands between INSERT and its query."""

    table: tuple[str, ...]
    overwrite: bool
    columns: tuple[str, ...] = ()
    by_name: bool = False
    partition: PartitionSpec = ()
    if_not_exists: bool = False
    replace_where: bool = False

    def insert(self, query: Relation) -> s.Insert:
        """The statement with its query."""
        return s.Insert(
            self.table, query, self.overwrite, self.columns, self.by_name, self.partition, self.if_not_exists,
            self.replace_where,
        )  # fmt: skip


def insert(words: Words) -> s.Statement:
    """``INSERT {INTO | OVERWRITE} ... query``."""
    if words.sees("INSERT", "OVERWRITE", "DIRECTORY") or words.sees("INSERT", "OVERWRITE", "LOCAL", "DIRECTORY"):
        return _directory(words)
    target = _target(words)
    return target.insert(parse_query(padded_rest(words)))


def _target(words: Words) -> _Target:
    words.expect("INSERT")
    overwrite = words.take("OVERWRITE")
    if not overwrite:
        words.expect("INTO")
    words.take("TABLE")
    name = words.name()
    if words.take("REPLACE", "WHERE"):
        words.capture(lambda w: w.sees("SELECT|WITH|VALUES|FROM|TABLE"))
        return _Target(name, True, replace_where=True)
    if words.take("REPLACE", "ON") or words.take("REPLACE", "USING"):
        raise words.error()
    if words.kind() == "word" and words.sees("WITH", "("):
        words.take("WITH")
        clauses.properties(words)
    partition = clauses.optional_partition(words, complete=False) or ()
    if_not_exists = words.take("IF", "NOT", "EXISTS")
    if if_not_exists and not overwrite:
        raise words.failure("INVALID_STATEMENT_OR_CLAUSE", operation="INSERT INTO ... IF NOT EXISTS")
    dynamic = [n for n, value in partition if value is None]
    if if_not_exists and dynamic:
        raise words.not_allowed(f"IF NOT EXISTS with dynamic partitions: {', '.join(dynamic)}")
    by_name = words.take("BY", "NAME")
    columns: tuple[str, ...] = ()
    if words.sees("(") and words.peek(1) not in _QUERY.split("|"):
        columns = tuple([n[-1] for n in clauses.names(words)])
    return _Target(name, overwrite, columns, by_name, partition, if_not_exists)


def _directory(words: Words) -> s.Statement:
    words.expect("INSERT", "OVERWRITE")
    words.take("LOCAL")
    words.expect("DIRECTORY")
    path = words.string() if words.kind() == "string" else ""
    if words.sees("STORED|ROW"):
        raise words.failure("NOT_SUPPORTED_COMMAND_WITHOUT_HIVE_SUPPORT",
                            cmd="INSERT OVERWRITE DIRECTORY with the Hive format")  # fmt: skip
    words.expect("USING")
    source = ".".join(words.name())
    options = clauses.properties(words) if words.take("OPTIONS") else ()
    path = path or dict(options).get("path", "")
    return s.InsertDirectory(path, source, options, parse_query(padded_rest(words)))


def _place_of_insert(words: Words) -> int | None:
    """Where INSERT stands outside of brackets."""
    depth = 0
    for place in range(len(words.tokens)):
        token = words.peek(place)
        depth += (token == "(") - (token == ")")
        if depth == 0 and place and token == "INSERT" and words.peek(place + 1) in ("INTO", "OVERWRITE"):
            return place
    return None


def insert_behind(words: Words) -> s.Statement | None:
    """``WITH ... INSERT ...`` and ``FROM ... INSERT ... SELECT ... [INSERT ...]``; None for a query."""
    place = _place_of_insert(words)
    if place is None:
        return None
    prefix = words.text[words.tokens[0].start : words.tokens[place - 1].stop]
    if words.sees("WITH"):
        words.position = place
        target = _target(words)
        return target.insert(parse_query(f"{prefix} {words.rest()}"))
    words.position = place
    found: list[s.Insert] = []
    while words.sees("INSERT"):
        target = _target(words)
        items = _captured(words, _ends_items)
        tail = "" if words.at_end or words.sees("INSERT") else _until_insert(words)
        found.append(target.insert(parse_query(f"{items} {prefix} {tail}")))
    words.end()
    return s.InsertAll(tuple(found))


def _ends_items(words: Words) -> bool:
    return words.kind() == "word" and words.peek() in (*_TAIL, "INSERT")


def _until_insert(words: Words) -> str:
    first = words.position
    while not words.at_end and not words.sees("INSERT", "INTO|OVERWRITE"):
        words.position += 1
    return words.text[words.tokens[first].start : words.tokens[words.position - 1].stop]


# ---- rows of tables that cannot change --------------------------------------------------------------
def delete(words: Words) -> s.Statement:
    """``DELETE FROM name [alias] [WHERE condition]``."""
    words.expect("DELETE", "FROM")
    start = words.position
    name = words.name()
    checked = _text(words, start, words.position)
    return s.ChangeRows("DELETE", name, (parse_query(f"SELECT * FROM {checked} {words.rest()}"),))


def update(words: Words) -> s.Statement:
    """``UPDATE name [alias] SET column = value, ... [WHERE condition]``."""
    words.expect("UPDATE")
    start = words.position
    name = words.name()
    if not words.sees("SET"):
        words.take("AS")
        words.identifier()
    relation = _text(words, start, words.position)
    words.expect("SET")
    columns, values = _assignments(words)
    items = ", ".join([*columns, *[v for v in values if v.upper() != "DEFAULT"]])
    return s.ChangeRows("UPDATE TABLE", name, (parse_query(f"SELECT {items} FROM {relation} {words.rest()}"),))


def _text(words: Words, start: int, stop: int) -> str:
    return words.text[words.tokens[start].start : words.tokens[stop - 1].stop]


def _assignments(words: Words) -> tuple[list[str], list[str]]:
    columns, values = [], []
    while True:
        start = words.position
        words.name()
        columns.append(_text(words, start, words.position))
        words.expect("=")
        values.append(words.capture(lambda w: w.kind() == "word" and w.sees("WHERE|WHEN")))
        if not words.take(","):
            return columns, values


def merge(words: Words) -> s.Statement:
    """``MERGE INTO name USING source ON condition WHEN ...``."""
    words.expect("MERGE")
    words.take("WITH", "SCHEMA", "EVOLUTION")
    words.expect("INTO")
    start = words.position
    name = words.name()
    target = _text(words, start, words.position)
    tail = _captured(words, lambda w: w.sees("USING"))
    words.expect("USING")
    source = _captured(words, lambda w: w.sees("ON"))
    words.expect("ON")
    condition = _captured(words, lambda w: w.sees("WHEN"))
    if not words.rest():
        raise words.failure("MERGE_WITHOUT_WHEN")
    sources = parse_query(f"SELECT * FROM {source}")
    joined = parse_query(f"SELECT 1 FROM {target} {tail} JOIN {source} ON {condition}")
    return s.ChangeRows("MERGE INTO TABLE", name, (sources, joined))


def _captured(words: Words, stop: Callable[[Words], bool]) -> str:
    first, depth = words.position, 0
    while not words.at_end and (depth or not (words.kind() == "word" and stop(words))):
        token = words.peek()
        depth += (token == "(") - (token == ")")
        words.position += 1
    return _text(words, first, words.position) if words.position > first else ""
