"""A statement's text as words: the cursor that the readers of statements without a query share."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from voltray.driver.sql.syntax_errors import syntax_error_at
from voltray.proto.failures import ErrorKind, QueryContext, SparkError, spark_error

_TOKEN = re.compile(
    r"\s+|--[^\n]*|/\*.*?\*/"
    r"|(?P<quoted>`(?:[^`]|``)*`)"
    r"|(?P<string>[rR]?'(?:[^'\\]|\\.|'')*'|[rR]?\"(?:[^\"\\]|\\.|\"\")*\")"
    r"|(?P<number>\d+\.?\d*(?:[eE][+-]?\d+)?[A-Za-z]{0,2}\b|\.\d+)"
    r"|(?P<word>[^\W\d]\w*)|(?P<symbol>[<>!=|]=|<>|=>|\|\||::|.)",
    re.DOTALL,
)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "b": "\b", "Z": "\x1a", "%": "\\%", "_": "\\_"}
_OPEN, _CLOSE = "([<", ")]>"


@dataclass(frozen=True, slots=True)
class Token:
    """One token and where it stands."""

    kind: str
    text: str
    start: int
    stop: int


class Words:
    """A cursor over the tokens of one statement."""

    def __init__(self, text: str) -> None:
        self.text = text
        found = [Token(m.lastgroup, m.group(), m.start(), m.end()) for m in _TOKEN.finditer(text) if m.lastgroup]
        while found and found[-1].text == ";":
            found.pop()
        self.tokens: Sequence[Token] = found
        self.position = 0

    # ---- looking ----------------------------------------------------------------------------------
    @property
    def at_end(self) -> bool:
        """Whether nothing is left."""
        return self.position >= len(self.tokens)

    def peek(self, ahead: int = 0) -> str:
        """A coming token in upper case; "" at the end."""
        index = self.position + ahead
        if index >= len(self.tokens):
            return ""
        token = self.tokens[index]
        return token.text.upper() if token.kind in ("word", "symbol") else token.text

    def kind(self, ahead: int = 0) -> str:
        """The kind of a coming token."""
        index = self.position + ahead
        return self.tokens[index].kind if index < len(self.tokens) else ""

    def sees(self, *words: str) -> bool:
        """Whether these words come next; ``A|B`` is a choice."""
        return all(self.peek(i) in word.split("|") for i, word in enumerate(words))

    def sees_at(self, ahead: int, choices: str) -> bool:
        """Whether one of these words comes so many tokens further on."""
        return self.kind(ahead) in ("word", "symbol") and self.peek(ahead) in choices.split("|")

    # ---- stepping ---------------------------------------------------------------------------------
    def take(self, *words: str) -> bool:
        """Step over these words where they come next."""
        if not self.sees(*words):
            return False
        self.position += len(words)
        return True

    def expect(self, *words: str) -> None:
        """Step over words that must come."""
        for word in words:
            if not self.take(word):
                raise self.error()

    def end(self) -> None:
        """Nothing may follow."""
        if not self.at_end:
            raise self.error()

    def error(self) -> SparkError:
        """PARSE_SYNTAX_ERROR at the next token."""
        token = None if self.at_end else self.tokens[self.position]
        start, shown = (len(self.text), "end of input") if token is None else (token.start, f"'{token.text}'")
        return syntax_error_at(self.text, start, shown)

    def failure(self, condition: str, message: str | None = None, **parameters: object) -> SparkError:
        """A parse error of another condition."""
        context = QueryContext(self.text, 0, len(self.text) - 1)
        return spark_error(condition, ErrorKind.PARSE, contexts=(context,), message=message, extra=parameters)

    def not_allowed(self, what: str) -> SparkError:
        """Spark's error for what its grammar reads and refuses."""
        message = f"Operation not allowed: {what}."
        context = QueryContext(self.text, 0, len(self.text) - 1)
        return spark_error(
            "_LEGACY_ERROR_TEMP_0035", ErrorKind.PARSE, message=message, contexts=(context,), extra={"message": what}
        )

    # ---- reading ----------------------------------------------------------------------------------
    def identifier(self) -> str:
        """One part of a name."""
        kind, token = self.kind(), "" if self.at_end else self.tokens[self.position].text
        if kind not in ("quoted", "word"):
            raise self.error()
        self.position += 1
        return token[1:-1].replace("``", "`") if kind == "quoted" else token

    def name(self) -> tuple[str, ...]:
        """A name of one or more parts, or what IDENTIFIER(...) of literals says."""
        if self.sees("IDENTIFIER", "("):
            return self._identifier_clause()
        parts = [self.identifier()]
        while self.take("."):
            parts.append(self.identifier())
        return tuple(parts)

    def _identifier_clause(self) -> tuple[str, ...]:
        from voltray.driver.plan.identifiers import split_identifier

        self.expect("IDENTIFIER", "(")
        pieces = [self.string()]
        while self.take("||"):
            pieces.append(self.string())
        self.expect(")")
        return split_identifier("".join(pieces))

    def string(self, *, joined: bool = True) -> str:
        """A string literal; neighbours are joined."""
        if self.kind() != "string":
            raise self.error()
        pieces: list[str] = []
        while self.kind() == "string" and (joined or not pieces):
            pieces.append(string_value(self.tokens[self.position].text))
            self.position += 1
        return "".join(pieces)

    def integer(self) -> int:
        """A whole number."""
        if not self.peek().isdigit():
            raise self.error()
        self.position += 1
        return int(self.tokens[self.position - 1].text)

    def capture(self, stop: Callable[[Words], bool]) -> str:
        """The text up to a token outside brackets where ``stop`` holds, or up to the end."""
        first, depth = self.position, 0
        while not self.at_end:
            token = self.peek()
            if depth == 0 and (token in (",", ")") or stop(self)):
                break
            depth += (token in ("(", "[")) - (token in (")", "]"))
            self.position += 1
        if self.position == first:
            raise self.error()
        return self.text[self.tokens[first].start : self.tokens[self.position - 1].stop]

    def type_text(self) -> str:
        """The text of a data type, as far as its brackets and words go."""
        first, angles, depth = self.position, 0, 0
        while not self.at_end:
            token = self.peek()
            if angles == depth == 0 and self.position > first and not self._continues_type(token):
                break
            angles += (token == "<") - (token == ">")
            depth += (token == "(") - (token == ")")
            self.position += 1
        if self.position == first:
            raise self.error()
        return self.text[self.tokens[first].start : self.tokens[self.position - 1].stop]

    def _continues_type(self, token: str) -> bool:
        last = self.peek(-1)
        if token in ("<", "(") or token == "COLLATE" or last in ("COLLATE", "TO"):
            return True
        if last == "." or (token == "." and self.peek(-2) in ("COLLATE", ".")):
            return True
        units = ("YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND")
        if (last == "INTERVAL" and token in units) or (last in units and token == "TO"):
            return True
        return (last == "DOUBLE" and token == "PRECISION") or (last in ("TIMESTAMP", "TIME") and token == "WITHOUT")

    def rest(self) -> str:
        """All the text that is left."""
        if self.at_end:
            return ""
        start, stop = self.tokens[self.position].start, self.tokens[-1].stop
        self.position = len(self.tokens)
        return self.text[start:stop]


def string_value(text: str) -> str:
    """The value of a string literal's text."""
    if text[0] in "rR":
        return text[2:-1]
    quote, body = text[0], text[1:-1]
    body = body.replace(quote * 2, quote)
    return re.sub(
        r"\\(u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|[0-3][0-7]{2}|.)", lambda m: _unescaped(m[1]), body, flags=re.DOTALL
    )


def _unescaped(escape: str) -> str:
    if escape[0] in "uU" and len(escape) > 1:
        return chr(int(escape[1:], 16))
    if len(escape) == 3:
        return chr(int(escape, 8))
    return _ESCAPES.get(escape, escape)
