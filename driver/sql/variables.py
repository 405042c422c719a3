"""Statements of session variables, and EXECUTE IMMEDIATE."""

from __future__ import annotations

from voltray.driver.plan import statements as s
from voltray.driver.plan.programs import DeclareVariables, ExecuteImmediate, SetVariables
from voltray.driver.sql.schema import parse_column_schema
from voltray.driver.sql.words import Words
from voltray.proto.failures import ErrorKind, spark_error
from voltray.proto.types import DataType

_DEFAULT = "DEFAULT|="


def parse_variable_statement(text: str) -> s.Statement | None:
    """The statement, where a text is one of these."""
    words = Words(text)
    if words.take("DECLARE"):
        return _ended(declaration(words), words)
    if words.take("SET", "VARIABLE|VAR"):
        return _ended(assignment(words), words)
    if words.take("DROP", "TEMPORARY|TEMP", "VARIABLE|VAR"):
        exists = words.take("IF", "EXISTS")
        return _ended(s.DropVariable(words.name(), exists), words)
    if words.take("EXECUTE", "IMMEDIATE"):
        return _ended(_execute_immediate(words), words)
    return None


def parse_script_set(text: str) -> SetVariables | None:
    """``SET`` as a script has it, which sets variables alone; None for any other statement."""
    words = Words(text)
    if not words.take("SET"):
        return None
    made = assignment(words)
    words.end()
    return made


def type_of(words: Words) -> DataType:
    """The type that is written next."""
    return parse_column_schema(f"a {words.type_text()}").fields[0].dataType


def _ended(statement: s.Statement, words: Words) -> s.Statement:
    words.end()
    return statement


def declaration(words: Words) -> DeclareVariables:
    """What follows DECLARE."""
    replacing = words.take("OR", "REPLACE")
    if words.sees("VARIABLE|VAR") and words.kind(1) in ("word", "quoted"):
        words.take("VARIABLE|VAR")
    if words.sees("IF", "NOT"):
        words.take("IF")
        raise words.error()
    names = _names(words)
    dtype = None
    if not words.at_end and not words.sees(_DEFAULT):
        dtype = type_of(words)
    default = None
    if words.take(_DEFAULT):
        default = words.capture(lambda w: False)
    if dtype is None and default is None:
        raise spark_error("INVALID_SQL_SYNTAX.VARIABLE_TYPE_OR_DEFAULT_REQUIRED", ErrorKind.PARSE)
    return DeclareVariables(names, dtype, default, replacing)


def _names(words: Words) -> tuple[s.Name, ...]:
    names = [words.name()]
    while words.take(","):
        names.append(words.name())
    return tuple(names)


def assignment(words: Words) -> SetVariables:
    """What follows SET VARIABLE."""
    if words.take("("):
        if words.sees(")"):
            raise spark_error("INVALID_SET_SYNTAX", ErrorKind.PARSE)
        targets = _names(words)
        words.expect(")", "=")
        words.expect("(")
        query = _in_parentheses(words)
        return SetVariables(targets, query=query)
    targets, values = (), []
    while True:
        targets = (*targets, words.name())
        words.expect("=")
        value = words.capture(lambda w: False)
        values.append(None if value.upper() == "DEFAULT" else value)
        if not words.take(","):
            return SetVariables(targets, tuple(values))


def _in_parentheses(words: Words) -> str:
    """The text up to the closing parenthesis, which is stepped over."""
    first, depth = words.position, 1
    while depth:
        if words.at_end:
            raise words.error()
        token = words.peek()
        depth += (token == "(") - (token == ")")
        words.position += 1
    return words.text[words.tokens[first].start : words.tokens[words.position - 1].start]


def _execute_immediate(words: Words) -> ExecuteImmediate:
    text = words.capture(lambda w: w.sees("INTO|USING"))
    targets = _names(words) if words.take("INTO") else ()
    arguments: list[tuple[str | None, str]] = []
    if words.take("USING"):
        wrapped = words.sees("(") and words.tokens[-1].text == ")"
        if wrapped:
            words.take("(")
        while True:
            value = words.capture(lambda w: w.sees("AS"))
            arguments.append((words.identifier() if words.take("AS") else None, value))
            if not words.take(","):
                break
        if wrapped:
            words.expect(")")
    return ExecuteImmediate(text, targets, tuple(arguments))
