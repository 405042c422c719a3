"""A JSON reader that knows where each value stands in its text, and the leniencies of Jackson.

It is slower than Python's own, and used only for records that the latter refuses or whose exact text is asked for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from voltray.executors.sources.base import Options

_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")
_ZEROS_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")
_NAME = re.compile(r"[A-Za-z_$][\w$]*")
_WORDS: dict[str, Any] = {"true": True, "false": False, "null": None}
_NON_NUMBERS = {
    "NaN": float("nan"), "Infinity": float("inf"), "+Infinity": float("inf"), "-Infinity": float("-inf"),
    "INF": float("inf"), "+INF": float("inf"), "-INF": float("-inf"),
}  # fmt: skip
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_SPACE = re.compile(r"[ \t\r\n]*")
_COMMENT = re.compile(r"(?:[ \t\r\n]+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Leniency:
    """Which of Jackson's features are on."""

    single_quotes: bool = True
    unquoted_names: bool = False
    leading_zeros: bool = False
    non_numeric: bool = True
    comments: bool = False
    any_escape: bool = False
    control_characters: bool = False


def leniency_of(options: Options) -> Leniency:
    """The features that read options turn on or off."""
    return Leniency(
        single_quotes=options.flag("allowSingleQuotes", True),
        unquoted_names=options.flag("allowUnquotedFieldNames"),
        leading_zeros=options.flag("allowNumericLeadingZeros"),
        non_numeric=options.flag("allowNonNumericNumbers", True),
        comments=options.flag("allowComments"),
        any_escape=options.flag("allowBackslashEscapingAnyCharacter"),
        control_characters=options.flag("allowUnquotedControlChars"),
    )


@dataclass(frozen=True, slots=True)
class Node:
    """A value and its place; objects hold (name, Node) pairs, arrays Nodes."""

    value: Any
    start: int
    end: int
    kind: str


class JsonScanner:
    """Reads one text; raises ValueError where it is no JSON."""

    def __init__(self, text: str, leniency: Leniency) -> None:
        self._text = text
        self._leniency = leniency
        self._space = _COMMENT if leniency.comments else _SPACE

    def root(self) -> Node:
        """The first value of the text."""
        return self._value(self._skip(0))

    def _skip(self, at: int) -> int:
        match = self._space.match(self._text, at)
        return match.end() if match else at

    def _value(self, at: int) -> Node:
        character = self._text[at : at + 1]
        if character == "{":
            return self._object(at)
        if character == "[":
            return self._array(at)
        if character == '"' or (character == "'" and self._leniency.single_quotes):
            value, end = self._string(at)
            return Node(value, at, end, "string")
        return self._scalar(at)

    def _scalar(self, at: int) -> Node:
        if self._leniency.non_numeric:
            for word, number in _NON_NUMBERS.items():
                if self._text.startswith(word, at) and self._ends(at + len(word)):
                    return Node(number, at, at + len(word), "non_number")
        for word, value in _WORDS.items():
            if self._text.startswith(word, at) and self._ends(at + len(word)):
                return Node(value, at, at + len(word), "null" if value is None else "boolean")
        match = (_ZEROS_NUMBER if self._leniency.leading_zeros else _NUMBER).match(self._text, at)
        if match is None or not self._ends(match.end()):
            raise ValueError("no value")
        kind = "float" if match[1] or match[2] else "integer"
        return Node(match[0], at, match.end(), kind)

    def _ends(self, at: int) -> bool:
        return self._text[at : at + 1] in ("", ",", "}", "]", " ", "\t", "\r", "\n", "/", "{", "[", '"')

    def _array(self, at: int) -> Node:
        start, at = at, self._skip(at + 1)
        items: list[Node] = []
        if self._text[at : at + 1] == "]":
            return Node(items, start, at + 1, "array")
        while True:
            item = self._value(at)
            items.append(item)
            at = self._skip(item.end)
            if self._text[at : at + 1] == "]":
                return Node(items, start, at + 1, "array")
            at = self._skip(self._expect(at, ","))

    def _object(self, at: int) -> Node:
        start, at = at, self._skip(at + 1)
        fields: list[tuple[str, Node]] = []
        if self._text[at : at + 1] == "}":
            return Node(fields, start, at + 1, "object")
        while True:
            name, at = self._name(at)
            item = self._value(self._skip(self._expect(self._skip(at), ":")))
            fields.append((name, item))
            at = self._skip(item.end)
            if self._text[at : at + 1] == "}":
                return Node(fields, start, at + 1, "object")
            at = self._skip(self._expect(at, ","))

    def _name(self, at: int) -> tuple[str, int]:
        character = self._text[at : at + 1]
        if character == '"' or (character == "'" and self._leniency.single_quotes):
            return self._string(at)
        match = _NAME.match(self._text, at) if self._leniency.unquoted_names else None
        if match is None:
            raise ValueError("no name")
        return match[0], match.end()

    def _expect(self, at: int, character: str) -> int:
        if self._text[at : at + 1] != character:
            raise ValueError(f"no {character}")
        return at + 1

    def _string(self, at: int) -> tuple[str, int]:
        quote, at = self._text[at], at + 1
        read: list[str] = []
        while True:
            character = self._text[at : at + 1]
            if character == "":
                raise ValueError("open string")
            if character == quote:
                return "".join(read), at + 1
            if character == "\\":
                piece, at = self._escape(at + 1)
                read.append(piece)
                continue
            if character < " " and not self._leniency.control_characters:
                raise ValueError("control character")
            read.append(character)
            at += 1

    def _escape(self, at: int) -> tuple[str, int]:
        character = self._text[at : at + 1]
        if character == "u":
            code = int(self._text[at + 1 : at + 5], 16)
            if 0xD800 <= code < 0xDC00 and self._text[at + 5 : at + 7] == "\\u":
                low = int(self._text[at + 7 : at + 11], 16)
                return chr(0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)), at + 11
            return chr(code), at + 5
        if character in _ESCAPES and character:
            return _ESCAPES[character], at + 1
        if character == "'" or self._leniency.any_escape:
            return character, at + 1
        raise ValueError("bad escape")
