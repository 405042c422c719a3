"""BEGIN ... END read into a tree."""

from __future__ import annotations

import re

from voltray.driver.plan.programs import DeclareVariables
from voltray.driver.plan.scripts import (
    Body,
    Command,
    Compound,
    DeclareCondition,
    DeclareHandler,
    For,
    If,
    Jump,
    Loop,
)  # fmt: skip
from voltray.driver.plan.statements import Statement
from voltray.driver.sql.variables import declaration
from voltray.driver.sql.words import Words
from voltray.proto.failures import ErrorKind, SparkError, spark_error

_START = re.compile(r"(?:\s|--[^\n]*\n|/\*.*?\*/)*begin\b", re.IGNORECASE | re.DOTALL)
_FORBIDDEN = frozenset({"builtin", "session", "sys", "system"})
_BLOCKS = "BEGIN|IF|CASE|WHILE|REPEAT|LOOP|FOR"
_DEFAULT_SQLSTATE = "45000"


def is_script(text: str) -> bool:
    """Whether a text is a script."""
    return _START.match(text) is not None


def parse_script(text: str) -> Compound:
    """The script that a text is."""
    words = Words(text)
    compound = _statement(words, ())
    words.end()
    assert isinstance(compound, Compound)
    return compound


# ---- pieces -----------------------------------------------------------------------------------------------
def _until(words: Words, stops: str) -> str:
    """The text up to one of these words outside parentheses and CASE expressions."""
    first, depth = words.position, 0
    wanted = stops.split("|")
    while not words.at_end and not (depth == 0 and words.peek() in wanted):
        token = words.peek()
        if words.kind() in ("word", "symbol"):
            depth += (token in ("(", "CASE")) - (token in (")", "END"))
        if depth < 0 or (token == ";" and depth == 0):
            raise words.error()
        words.position += 1
    if words.at_end or words.position == first:
        raise words.error()
    return words.text[words.tokens[first].start : words.tokens[words.position - 1].stop]


def _command_text(words: Words) -> str:
    """The text up to the semicolon."""
    first = words.position
    while not words.at_end and words.peek() != ";":
        words.position += 1
    if words.at_end or words.position == first:
        raise words.error()
    return words.text[words.tokens[first].start : words.tokens[words.position - 1].stop]


def _body(words: Words, labels: tuple[str, ...], stops: str, may_be_empty: bool = False) -> Body:
    """Statements, each with its semicolon, up to one of these words; a block alone may be empty."""
    statements: list[Statement] = []
    if not may_be_empty and words.sees(stops):
        words.position += 1
        raise words.error()
    while not words.sees(stops):
        if words.at_end:
            raise words.error()
        statements.append(_statement(words, labels))
        words.expect(";")
    return tuple(statements)


def _label(words: Words, labels: tuple[str, ...]) -> str | None:
    if words.kind() not in ("word", "quoted") or words.peek(1) != ":" or not words.sees_at(2, _BLOCKS):
        return None
    label = words.identifier()
    words.expect(":")
    if label.lower() in labels:
        raise _refused("LABEL_OR_FOR_VARIABLE_ALREADY_EXISTS", label=f"`{label}`")
    if label.lower() in _FORBIDDEN:
        raise _refused("LABEL_OR_FOR_VARIABLE_NAME_FORBIDDEN", label=f"`{label}`")
    return label


def _refused(name: str, /, **parameters: object) -> SparkError:
    return spark_error(name, ErrorKind.PARSE, extra=parameters)


def _end_label(words: Words, label: str | None) -> None:
    if words.at_end or words.peek() == ";":
        return
    end = words.identifier()
    if label is None:
        raise _refused("END_LABEL_WITHOUT_BEGIN_LABEL", endLabel=f"`{end}`")
    if label.lower() != end.lower():
        raise _refused("LABELS_MISMATCH", beginLabel=f"`{label}`", endLabel=f"`{end}`")


# ---- statements -------------------------------------------------------------------------------------------
def _statement(words: Words, labels: tuple[str, ...]) -> Statement:
    label = _label(words, labels)
    inside = labels if label is None else (*labels, label.lower())
    if words.sees("BEGIN"):
        return _compound(words, label, inside)
    if words.take("IF"):
        return _if(words, inside)
    if words.take("CASE"):
        return _case(words, inside)
    if words.sees("WHILE|REPEAT|LOOP|FOR"):
        return _loop(words, label, inside)
    if words.sees("LEAVE|ITERATE"):
        return _jump(words, labels)
    if words.sees("DECLARE"):
        return _misplaced(words)
    return Command(_command_text(words))


def _compound(words: Words, label: str | None, labels: tuple[str, ...]) -> Compound:
    words.expect("BEGIN")
    words.take("NOT", "ATOMIC")
    variables: list[DeclareVariables] = []
    conditions: list[DeclareCondition] = []
    handlers: list[DeclareHandler] = []
    while words.take("DECLARE"):
        if words.sees("CONTINUE|EXIT", "HANDLER"):
            handlers.append(_unlike(_handler(words, labels), handlers))
        elif words.kind() in ("word", "quoted") and words.sees_at(1, "CONDITION"):
            if handlers:
                raise _late_condition(words.identifier())
            conditions.append(_new_condition(words, conditions))
        else:
            if handlers:
                raise _refused("INVALID_VARIABLE_DECLARATION.ONLY_AT_BEGINNING", varName=f"`{words.identifier()}`")
            variables.append(_variable(words))
        words.expect(";")
    body = _body(words, labels, "END", may_be_empty=True)
    words.expect("END")
    _end_label(words, label)
    return Compound(label, tuple(variables), tuple(conditions), tuple(handlers), body)


def _unlike(handler: DeclareHandler, others: list[DeclareHandler]) -> DeclareHandler:
    """The handler, unless another of the block is for the same."""
    for other in others:
        for name in (*handler.conditions, *(["SQLEXCEPTION"] if handler.any_error and other.any_error else [])):
            if name in other.conditions or name == "SQLEXCEPTION":
                raise _refused("DUPLICATE_EXCEPTION_HANDLER.CONDITION", condition=name)
        if handler.not_found and other.not_found:
            raise _refused("DUPLICATE_EXCEPTION_HANDLER.CONDITION", condition="NOT FOUND")
        for state in handler.sqlstates:
            if state in other.sqlstates:
                raise _refused("DUPLICATE_EXCEPTION_HANDLER.SQLSTATE", sqlState=state)
    return handler


def _late_condition(name: str) -> SparkError:
    kind = "INVALID_ERROR_CONDITION_DECLARATION.NOT_AT_START_OF_COMPOUND_STATEMENT"
    return _refused(kind, conditionName=f"`{name.upper()}`")


def _new_condition(words: Words, others: list[DeclareCondition]) -> DeclareCondition:
    made = _condition(words)
    if any(made.name == other.name for other in others):
        raise _refused("DUPLICATE_CONDITION_IN_SCOPE", condition=f"`{made.name}`")
    return made


def _variable(words: Words) -> DeclareVariables:
    if words.sees("OR", "REPLACE"):
        name = words.text[words.tokens[words.position + 2].start :].split()[0]
        raise _refused("INVALID_VARIABLE_DECLARATION.REPLACE_LOCAL_VARIABLE", varName=f"`{name}`")
    start = words.position
    stop = start
    while stop < len(words.tokens) and words.tokens[stop].text != ";":
        stop += 1
    inner = Words(words.text[words.tokens[start].start : words.tokens[min(stop, len(words.tokens)) - 1].stop])
    declared = declaration(inner)
    inner.end()
    words.position = stop
    for parts in declared.names:
        if len(parts) > 1:
            shown = ".".join(f"`{p}`" for p in parts)
            raise _refused("INVALID_VARIABLE_DECLARATION.QUALIFIED_LOCAL_VARIABLE", varName=shown)
    return declared


def _misplaced(words: Words) -> Statement:
    words.take("DECLARE")
    if words.sees("CONTINUE|EXIT", "HANDLER"):
        raise _refused("INVALID_HANDLER_DECLARATION.WRONG_PLACE_OF_DECLARATION")
    name = words.identifier()
    if words.sees("CONDITION"):
        raise _late_condition(name)
    raise _refused("INVALID_VARIABLE_DECLARATION.ONLY_AT_BEGINNING", varName=f"`{name}`")


def _condition(words: Words) -> DeclareCondition:
    name = words.identifier()
    words.expect("CONDITION")
    sqlstate = _DEFAULT_SQLSTATE
    if words.take("FOR"):
        sqlstate = _sqlstate(words)
    return DeclareCondition(name.upper(), sqlstate)


def _sqlstate(words: Words) -> str:
    words.expect("SQLSTATE")
    words.take("VALUE")
    state = words.string()
    if not re.fullmatch(r"[0-9A-Z]{5}", state) or state[:2] in ("00", "01", "XX"):
        raise _refused("INVALID_SQLSTATE", sqlState=state)
    return state


def _handler(words: Words, labels: tuple[str, ...]) -> DeclareHandler:
    is_exit = words.take("EXIT")
    if not is_exit:
        words.expect("CONTINUE")
    words.expect("HANDLER", "FOR")
    names: list[str] = []
    states: list[str] = []
    any_error = not_found = False
    while True:
        if words.take("SQLEXCEPTION"):
            any_error = True
        elif words.take("NOT", "FOUND"):
            not_found = True
        elif words.sees("SQLSTATE"):
            _once(_sqlstate(words), states, "SQLSTATE", "sqlState")
        else:
            _once(".".join(words.name()).upper(), names, "CONDITION", "condition")
        if not words.take(","):
            break
    if (any_error or not_found) and (names or states or (any_error and not_found)):
        raise _refused("INVALID_HANDLER_DECLARATION.INVALID_CONDITION_COMBINATION")
    body = _statement(words, labels)
    return DeclareHandler(is_exit, tuple(names), tuple(states), any_error, not_found, (body,))


def _once(found: str, known: list[str], kind: str, parameter: str) -> None:
    if found in known:
        raise _refused(f"INVALID_HANDLER_DECLARATION.DUPLICATE_{kind}_IN_HANDLER_DECLARATION", **{parameter: found})
    known.append(found)


def _if(words: Words, labels: tuple[str, ...]) -> If:
    branches = []
    while True:
        condition = _until(words, "THEN")
        words.expect("THEN")
        branches.append((condition, _body(words, labels, "ELSEIF|ELSE|END")))
        if not words.take("ELSEIF"):
            break
    otherwise = _body(words, labels, "END") if words.take("ELSE") else ()
    words.expect("END", "IF")
    return If(tuple(branches), otherwise)


def _case(words: Words, labels: tuple[str, ...]) -> If:
    subject = None if words.sees("WHEN") else _until(words, "WHEN")
    branches = []
    while words.take("WHEN"):
        value = _until(words, "THEN")
        words.expect("THEN")
        condition = value if subject is None else f"({subject}) = ({value})"
        branches.append((condition, _body(words, labels, "WHEN|ELSE|END")))
    otherwise = _body(words, labels, "END") if words.take("ELSE") else ()
    words.expect("END", "CASE")
    return If(tuple(branches), otherwise)


def _loop(words: Words, label: str | None, labels: tuple[str, ...]) -> Statement:
    if words.take("LOOP"):
        made: Statement = Loop(label, _body(words, labels, "END"))
        words.expect("END", "LOOP")
    elif words.take("WHILE"):
        condition = _until(words, "DO")
        words.expect("DO")
        made = Loop(label, _body(words, labels, "END"), condition)
        words.expect("END", "WHILE")
    elif words.take("REPEAT"):
        body = _body(words, labels, "UNTIL")
        words.expect("UNTIL")
        made = Loop(label, body, until=_until(words, "END"))
        words.expect("END", "REPEAT")
    else:
        made = _for(words, label, labels)
    _end_label(words, label)
    return made


def _for(words: Words, label: str | None, labels: tuple[str, ...]) -> For:
    words.expect("FOR")
    variable = None
    if words.kind() in ("word", "quoted") and words.sees_at(1, "AS"):
        variable = words.identifier()
        words.expect("AS")
        if variable.lower() in labels:
            raise _refused("LABEL_OR_FOR_VARIABLE_ALREADY_EXISTS", label=f"`{variable}`")
    query = _until(words, "DO")
    words.expect("DO")
    body = _body(words, labels, "END")
    words.expect("END", "FOR")
    return For(label, variable, query, body)


def _jump(words: Words, labels: tuple[str, ...]) -> Jump:
    kind = words.peek()
    words.take(kind)
    label = words.identifier()
    if label.lower() not in labels:
        raise _refused("INVALID_LABEL_USAGE.DOES_NOT_EXIST", labelName=label.upper(), statementType=kind)
    return Jump(label.lower(), kind == "LEAVE")
