"""SQL scripts at work: blocks, branches, loops and handlers. The answer is that of the last statement with rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from voltray.driver.connect.statements import variables
from voltray.driver.connect.statements.script_session import Frame, ScriptSession
from voltray.driver.plan.identifiers import quoted
from voltray.driver.plan.scripts import Body, Command, Compound, DeclareHandler, For, If, Jump, Loop
from voltray.driver.plan.statements import Statement
from voltray.driver.sql.options import parsing_for
from voltray.driver.sql.statements import parse_sql
from voltray.driver.sql.variables import parse_script_set
from voltray.executors.literals import internal_values
from voltray.proto.expressions import Literal
from voltray.proto.failures import ErrorKind, SparkError, conditions, spark_error
from voltray.proto.types import BooleanType

if TYPE_CHECKING:
    from voltray.driver.connect.session import Session

_CONTINUE = "spark.sql.scripting.continueHandlerEnabled"
_DROP_VARIABLE = re.compile(r"drop\s+temp(?:orary)?\s+var(?:iable)?\b", re.IGNORECASE)
RunText = Callable[[Any, str], Any]
"""Does what a text says and returns what it answers with, None where that is nothing."""


class _Left(Exception):
    """LEAVE and ITERATE on their way to the block or loop of their label."""

    def __init__(self, jump: Jump) -> None:
        super().__init__()
        self.jump = jump


class _Exited(Exception):
    """An EXIT handler is done: its block ends."""

    def __init__(self, frame: Frame) -> None:
        super().__init__()
        self.frame = frame


class _Unhandled(Exception):
    """An error that no handler takes."""

    def __init__(self, error: SparkError) -> None:
        super().__init__()
        self.error = error


def run_script(session: Session, script: Compound, run_text: RunText) -> Any:
    """Run a script and return its answer."""
    _check(script, session)
    runner = _Script(ScriptSession(session), run_text)
    try:
        runner.compound(script)
    except _Unhandled as unhandled:
        raise unhandled.error from None
    return runner.answer


def _check(node: Any, session: Session, known: frozenset[str] = frozenset()) -> None:
    """A script is read whole before any of it runs."""
    if isinstance(node, Compound):
        known = known | {c.name for c in node.conditions}
    if isinstance(node, Command):
        if _DROP_VARIABLE.match(node.text):
            raise spark_error("UNSUPPORTED_FEATURE.SQL_SCRIPTING_DROP_TEMPORARY_VARIABLE", ErrorKind.PARSE)
        if parse_script_set(node.text) is None and "identifier" not in node.text.lower():
            with parsing_for(session.conf):
                parse_sql(node.text)
    elif isinstance(node, DeclareHandler) and not node.is_exit and session.conf(_CONTINUE) != "true":
        raise spark_error("UNSUPPORTED_FEATURE.CONTINUE_EXCEPTION_HANDLER", ErrorKind.PARSE)
    elif isinstance(node, DeclareHandler):
        for name in node.conditions:
            if name not in known and name not in conditions():
                raise spark_error("INVALID_HANDLER_DECLARATION.CONDITION_NOT_FOUND", extra={"condition": name})
    if isinstance(node, tuple):
        for part in node:
            _check(part, session, known)
    elif isinstance(node, Statement):
        for name in node.__dataclass_fields__:
            _check(getattr(node, name), session, known)


class _Script:
    """One run of a script."""

    def __init__(self, session: ScriptSession, run_text: RunText) -> None:
        self.session: Any = session
        self.run_text = run_text
        self.answer: Any = None

    # ---- statements ---------------------------------------------------------------------------------------
    def body(self, statements: Body) -> None:
        """Statements in order; an error goes to a handler, which may let them go on."""
        for statement in statements:
            try:
                _RUNNERS[type(statement)](self, statement)
            except SparkError as error:
                self._handle(error)

    def command(self, statement: Command) -> None:
        """A query or statement."""
        assignment = parse_script_set(statement.text)
        if assignment is not None:
            variables.assign(self.session, assignment.targets, variables.values_of(self.session, assignment))
            return
        found = self.run_text(self.session, statement.text)
        if found is not None:
            self.answer = found

    def compound(self, block: Compound) -> None:
        """A block in a frame of its own."""
        frame = Frame(block.label, block.conditions, block.handlers)
        self.session.frames.append(frame)
        depth = len(self.session.frames)
        try:
            try:
                self._declare(block, frame)
            except SparkError as error:
                frame.handlers = ()
                self._handle(error)
            self.body(block.body)
        except _Exited as exited:
            if exited.frame is not frame:
                raise
        except _Left as left:
            if not left.jump.leaves and block.label is not None and block.label.lower() == left.jump.label:
                raise spark_error("INVALID_LABEL_USAGE.ITERATE_IN_COMPOUND", labelName=block.label.upper()) from None
            if not _is_for(left, block.label):
                raise
        finally:
            del self.session.frames[depth - 1 :]

    def _declare(self, block: Compound, frame: Frame) -> None:
        for statement in block.variables:
            for parts in statement.names:
                name = parts[-1].lower()
                if name in frame.variables:
                    raise spark_error("VARIABLE_ALREADY_EXISTS", variableName=quoted((frame.name, name)))
                default = variables.default_of(self.session, statement)
                frame.variables[name] = variables.evaluate(self.session, default, statement.dtype)
                frame.defaults[name] = default

    def branch(self, statement: If) -> None:
        """IF and CASE."""
        for condition, body in statement.branches:
            if self._holds(condition):
                self.body(body)
                return
        self.body(statement.otherwise)

    def loop(self, statement: Loop) -> None:
        """LOOP, WHILE and REPEAT."""
        while statement.condition is None or self._holds(statement.condition):
            if not self._round(statement.label, statement.body):
                return
            if statement.until is not None and self._holds(statement.until):
                return

    def _round(self, label: str | None, body: Body) -> bool:
        """One round; False where the loop was left."""
        try:
            self.body(body)
        except _Left as left:
            if not _is_for(left, label):
                raise
            return not left.jump.leaves
        return True

    def each(self, statement: For) -> None:
        """A round for each row of a query."""
        plan = self.session.analyze(self.session.parse_query(statement.query))
        frame = pl.DataFrame(self.session.collect(plan))
        columns = [internal_values(frame.to_series(i), a.dtype) for i, a in enumerate(plan.output)]
        own = Frame(statement.variable)
        self.session.frames.append(own)
        depth = len(self.session.frames)
        try:
            for row in range(frame.height):
                own.variables = {
                    a.name.lower(): Literal(c[row], a.dtype) for a, c in zip(plan.output, columns, strict=True)
                }
                if not self._round(statement.label, statement.body):
                    return
        finally:
            del self.session.frames[depth - 1 :]

    def jump(self, statement: Jump) -> None:
        """LEAVE and ITERATE."""
        raise _Left(statement)

    def _holds(self, condition: str) -> bool:
        value = variables.evaluate(self.session, self.session.parse_expression(condition), None)
        if not isinstance(value.dtype, BooleanType):
            raise spark_error("INVALID_BOOLEAN_STATEMENT", invalidStatement=condition.upper())
        return bool(value.value)

    # ---- handlers -----------------------------------------------------------------------------------------
    def _handle(self, error: SparkError) -> None:
        """Run the handler of an error; back where it lets the block go on."""
        frames: list[Frame] = self.session.frames
        for number in range(len(frames) - 1, -1, -1):
            frame = frames[number]
            handler = _handler_of(frame, error)
            if handler is None:
                continue
            self._run_handler(handler, number)
            if handler.is_exit:
                raise _Exited(frame)
            return
        raise _Unhandled(error)

    def _run_handler(self, handler: DeclareHandler, number: int) -> None:
        """The handler's statement in its block's scope, where the block's handlers are not at work."""
        frames: list[Frame] = self.session.frames
        inner, frame = frames[number + 1 :], frames[number]
        handlers, frame.handlers = frame.handlers, ()
        del frames[number + 1 :]
        try:
            self.body(handler.body)
        finally:
            frame.handlers = handlers
            frames[number + 1 :] = inner


def _is_for(left: _Left, label: str | None) -> bool:
    return label is not None and label.lower() == left.jump.label


def _handler_of(frame: Frame, error: SparkError) -> DeclareHandler | None:
    """The handler of a frame for an error: by condition, by SQLSTATE, or for any error."""
    failure = error.failure
    names = {failure.condition.upper(), failure.condition.upper().partition(".")[0]}
    states = {failure.sqlstate}
    tests: tuple[Callable[[DeclareHandler], bool], ...] = (
        lambda h: bool(names & set(h.conditions)),
        lambda h: bool(states & set(h.sqlstates)),
        lambda h: h.not_found and failure.sqlstate.startswith("02"),
        lambda h: h.any_error and not failure.sqlstate.startswith("02"),
    )
    for test in tests:
        for handler in frame.handlers:
            if test(handler):
                return handler
    return None


_RUNNERS: Mapping[type[Statement], Callable[[_Script, Any], None]] = {
    Command: _Script.command,
    Compound: _Script.compound,
    If: _Script.branch,
    Loop: _Script.loop,
    For: _Script.each,
    Jump: _Script.jump,
}
