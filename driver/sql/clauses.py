"""Clauses that several statements share: properties, partitions, columns."""

from __future__ import annotations

from voltray.driver.plan.table_changes import NewColumn, Options, PartitionSpec
from voltray.driver.sql.parser import parse_expression
from voltray.driver.sql.schema import parse_type
from voltray.driver.sql.words import Words
from voltray.proto.expressions import Expression
from voltray.proto.failures import ErrorKind, QueryContext, SparkError, spark_error
from voltray.proto.types import DataType

_COLUMN_OPTIONS = ("NOT", "NULL", "COMMENT", "DEFAULT", "GENERATED", "PRIMARY", "UNIQUE", "CHECK", "REFERENCES",
                   "CONSTRAINT", "FIRST", "AFTER")  # fmt: skip


def properties(words: Words, *, values: bool = True) -> Options:
    """``(key [=] value, ...)``; keys are strings or names with dots."""
    words.expect("(")
    found: list[tuple[str, str]] = []
    while True:
        key = property_key(words)
        value = ""
        if not words.sees(",|)"):
            words.take("=")
            value = _property_value(words)
        elif values:
            raise words.not_allowed(f"Values must be specified for key(s): [{key}]")
        if any(k == key for k, _ in found):
            raise words.failure("DUPLICATE_KEY", keyColumn=f"`{key}`")
        found.append((key, value))
        if not words.take(","):
            break
    words.expect(")")
    return tuple(found)


def property_key(words: Words) -> str:
    """A property's key: a string, or parts with dots."""
    return words.string(joined=False) if words.kind() == "string" else ".".join(words.name())


def _property_value(words: Words) -> str:
    if words.kind() == "string":
        return words.string()
    text = words.capture(lambda w: False)
    return text.lower() if text.upper() in ("TRUE", "FALSE") else text


def property_keys(words: Words) -> tuple[str, ...]:
    """``(key, ...)``, keys alone."""
    pairs = properties(words, values=False)
    given = [key for key, value in pairs if value]
    if given:
        raise words.not_allowed(f"Values should not be specified for key(s): [{','.join(given)}]")
    return tuple([key for key, _ in pairs])


def partition(words: Words, *, complete: bool = True) -> PartitionSpec:
    """``PARTITION (a = 1, b)``; ``complete`` refuses a column without a value."""
    words.expect("PARTITION", "(")
    found: list[tuple[str, Expression | None]] = []
    while True:
        name = words.identifier()
        value = None
        if words.take("=") or words.take("=="):
            value = parse_expression(words.capture(lambda w: False))
        elif complete:
            raise words.failure("INVALID_SQL_SYNTAX.EMPTY_PARTITION_VALUE", partKey=f"`{name}`")
        found.append((name, value))
        if not words.take(","):
            break
    words.expect(")")
    return tuple(found)


def optional_partition(words: Words, *, complete: bool = True) -> PartitionSpec | None:
    """A partition where one is given."""
    return partition(words, complete=complete) if words.sees("PARTITION") else None


def data_type(words: Words) -> DataType:
    """A column's type."""
    first = words.position
    text = words.type_text()
    try:
        return parse_type(text)
    except SparkError as failure:
        if failure.condition == "UNSUPPORTED_DATATYPE":
            _refuse_more_statements(words)  # Spark reads the whole text before it looks at its types
            start = words.tokens[first].start
            context = QueryContext(text, start, start + len(text) - 1)
            raise spark_error(failure.condition, ErrorKind.PARSE, contexts=(context,),
                              extra=failure.failure.parameters) from None  # fmt: skip
        raise


def _refuse_more_statements(words: Words) -> None:
    for place, token in enumerate(words.tokens[:-1]):
        if token.text == ";":
            words.position = place + 1
            raise words.error()


def _starts_option(words: Words) -> bool:
    return words.kind() == "word" and words.peek() in _COLUMN_OPTIONS


def default_text(words: Words) -> str:
    """A default's expression, as it was written."""
    text = words.capture(lambda w: _starts_option(w) and w.peek() not in ("NOT", "NULL"))
    parse_expression(text)
    return text


def column(words: Words) -> NewColumn:
    """``name type [NOT NULL] [COMMENT '...'] [DEFAULT ...] ...``."""
    name = words.name()
    dtype = data_type(words)
    nullable, comment, default, generated = True, None, None, ""
    while not words.at_end and not words.sees(",|)|FIRST|AFTER"):
        if words.take("NOT", "NULL"):
            nullable = False
        elif words.take("NULL"):
            continue
        elif words.take("COMMENT"):
            comment = words.string()
        elif words.take("DEFAULT"):
            default = default_text(words)
        else:
            generated = _refused_option(words)
    return NewColumn(name, dtype, nullable, comment, default, generated)


def _refused_option(words: Words) -> str:
    """What tables of files do not have, as Spark names it."""
    what = "generated columns" if words.sees("GENERATED") else "CONSTRAINT"
    if not words.sees("GENERATED|PRIMARY|UNIQUE|CHECK|REFERENCES|CONSTRAINT"):
        raise words.error()
    if "IDENTITY" in words.capture(lambda w: False).upper():
        return "identity columns"
    return what


def columns(words: Words) -> tuple[NewColumn, ...]:
    """Columns with commas between them, in parentheses or without."""
    inside = words.take("(")
    found = [column(words)]
    while words.take(","):
        found.append(column(words))
    if inside:
        words.expect(")")
    return tuple(found)


def names(words: Words) -> tuple[tuple[str, ...], ...]:
    """Names with commas between them, in parentheses or without."""
    inside = words.take("(")
    found = [words.name()]
    while words.take(","):
        found.append(words.name())
    if inside:
        words.expect(")")
    return tuple(found)
