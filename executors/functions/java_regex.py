"""Java's regular expressions, on Polars' engine where it means the same and on Python's ``regex`` elsewhere.

The Rust engine knows no lookaround, no backreferences and no possessive or atomic groups; it reads classes as
Unicode where Java reads ASCII. A pattern is taken apart once, and written anew for one engine or the other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import polars as pl
import regex

_ASCII_CLASSES = {
    "d": "0-9", "w": "a-zA-Z_0-9", "s": r" \t\n\x0B\f\r", "h": r" \t\xA0\u1680\u180e\u2000-\u200a\u202f\u205f\u3000",
    "v": r"\n\x0B\f\r\x85\u2028\u2029",
}  # fmt: skip
_POSIX = {
    "Lower": "a-z", "Upper": "A-Z", "ASCII": r"\x00-\x7F", "Alpha": "a-zA-Z", "Digit": "0-9", "Alnum": "a-zA-Z0-9",
    "Punct": r"!-/:-@\[-`{-~", "Graph": "!-~", "Print": " -~", "Blank": r" \t", "Cntrl": r"\x00-\x1F\x7F",
    "XDigit": "0-9a-fA-F", "Space": r" \t\n\x0B\f\r",
}  # fmt: skip
_JAVA_NAMES = {
    "javaLowerCase": "Ll", "javaUpperCase": "Lu", "javaWhitespace": "Z", "IsAlphabetic": "Alphabetic",
    "IsLowercase": "Lowercase", "IsUppercase": "Uppercase", "IsWhite_Space": "White_Space", "IsDigit": "Nd",
    "IsPunctuation": "P", "IsLetter": "L",
}  # fmt: skip
_LINE_END = r"\n\r\u0085\u2028\u2029"


class UnreadablePatternError(ValueError):
    """A pattern that Java would refuse, or that no engine here can run."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A Java pattern in both dialects; ``rust`` is None where only Python's engine can run it."""

    rust: str | None
    python: Any
    groups: int
    has_end_anchor: bool
    may_be_empty: bool
    """Whether it can match nothing: the engines step on differently after an empty match."""


@dataclass(slots=True)
class _Reader:
    """Position and output while a pattern is rewritten."""

    text: str
    at: int = 0
    simple: bool = True
    anchored: bool = False
    out: list[tuple[str, str]] = None  # type: ignore[assignment]

    def both(self, rust: str, python: str | None = None) -> None:
        self.out.append((rust, rust if python is None else python))

    def only_python(self, python: str) -> None:
        self.simple = False
        self.out.append(("", python))


@lru_cache(maxsize=512)
def java_pattern(text: str, flags: str = "") -> Pattern:
    """A Java pattern, read; raises UnreadablePatternError."""
    reader = _Reader(text, out=[])
    while reader.at < len(text):
        _token(reader)
    rust = "".join(r for r, _ in reader.out)
    python = "".join(p for _, p in reader.out)
    prefix = f"(?{flags})" if flags else ""
    try:
        compiled = regex.compile(prefix + python, regex.VERSION1)
    except (regex.error, RecursionError, OverflowError) as error:
        raise UnreadablePatternError(str(error)) from error
    usable = reader.simple and _rust_takes(prefix + rust)
    return Pattern(
        prefix + rust if usable else None, compiled, compiled.groups, reader.anchored, compiled.search("") is not None
    )


def _rust_takes(pattern: str) -> bool:
    try:
        pl.Series([""]).str.contains(pattern)
    except pl.exceptions.PolarsError:
        return False
    return True


def _token(reader: _Reader) -> None:
    character = reader.text[reader.at]
    reader.at += 1
    match character:
        case "\\":
            _escape(reader)
        case "[":
            reader.at -= 1
            body = _character_class(reader)
            reader.both(body)
        case "(":
            _group(reader)
        case ".":
            reader.both(f"[^{_LINE_END}]")
        case "$":
            reader.anchored = True
            reader.both(r"\z", rf"(?=(?:\r\n|[{_LINE_END}])?\Z)")
        case "*" | "+" | "?" | "}":
            _quantifier(reader, character)
        case _:
            reader.both(character)


def _quantifier(reader: _Reader, character: str) -> None:
    if reader.text[reader.at : reader.at + 1] == "+":
        reader.at += 1
        reader.only_python(character + "+")
    else:
        reader.both(character)


def _group(reader: _Reader) -> None:
    rest = reader.text[reader.at :]
    for special in ("?=", "?!", "?<=", "?<!", "?>"):
        if rest.startswith(special):
            reader.at += len(special)
            reader.only_python("(" + special)
            return
    if rest.startswith("?<"):
        name, _, _ = rest[2:].partition(">")
        reader.at += len(name) + 3
        reader.both(f"(?P<{name}>")
        return
    if rest.startswith("?") and not rest.startswith("?:"):
        _inline_flags(reader)
        return
    reader.both("(")


def _inline_flags(reader: _Reader) -> None:
    end = reader.at + 1
    while end < len(reader.text) and (reader.text[end].isalpha() or reader.text[end] == "-"):
        end += 1
    flags = reader.text[reader.at + 1 : end]
    if end >= len(reader.text) or reader.text[end] not in ":)" or not set(flags) <= set("idmsuxU-"):
        raise UnreadablePatternError("Unknown inline modifier")
    reader.at = end + 1
    if "s" in flags or "m" in flags:
        # . and $ have been written out for Java's defaults: leave these flags to Python, spelled as Java means them
        _with_flags(reader, flags, reader.text[end])
        return
    if "i" in flags and not reader.text.isascii():  # Java folds the case of ASCII letters alone
        reader.only_python(f"(?a{''.join(f for f in flags if f in 'ix')}{reader.text[end]}")
        return
    kept = "".join(f for f in flags if f in "ix-").rstrip("-")
    opening = f"(?{kept}{reader.text[end]}" if kept else ("(?:" if reader.text[end] == ":" else "")
    reader.both(opening)


def _with_flags(reader: _Reader, flags: str, close: str) -> None:
    rest = reader.text[reader.at :]
    negative = flags.partition("-")[2]
    positive = flags.partition("-")[0]
    if close != ")" or negative:
        reader.only_python(f"(?{''.join(f for f in flags if f in 'imsx-')}{close}")
        return
    # The rest of the pattern under the flags: . means anything under s, $ and ^ are line anchors under m.
    inner = _Reader(rest, out=[])
    while inner.at < len(rest):
        character = rest[inner.at]
        if character == "." and "s" in positive:
            inner.at += 1
            inner.both(r"(?s:.)")
        elif character in "$^" and "m" in positive:
            inner.at += 1
            inner.both(f"(?m:{character})")
        else:
            _token(inner)
    kept = "".join(f for f in positive if f in "ix")
    if kept:
        reader.both(f"(?{kept})")
    reader.out.extend(inner.out)
    reader.simple = reader.simple and inner.simple
    reader.anchored = reader.anchored or inner.anchored
    reader.at = len(reader.text)


def _escape(reader: _Reader) -> None:
    if reader.at >= len(reader.text):
        raise UnreadablePatternError("Unexpected internal error")
    character = reader.text[reader.at]
    reader.at += 1
    match character:
        case "d" | "w" | "s" | "h" | "v":
            reader.both(f"[{_ASCII_CLASSES[character]}]")
        case "D" | "W" | "S" | "H" | "V":
            reader.both(f"[^{_ASCII_CLASSES[character.lower()]}]")
        case "Q":
            end = reader.text.find("\\E", reader.at)
            end = len(reader.text) if end < 0 else end
            reader.both(regex.escape(reader.text[reader.at : end], literal_spaces=True))
            reader.at = min(end + 2, len(reader.text))
        case "E":
            pass
        case "Z":
            reader.anchored = True
            reader.both(r"\z", rf"(?=(?:\r\n|[{_LINE_END}])?\Z)")
        case "z":
            reader.both(r"\z", r"\Z")
        case "A":
            reader.both(r"\A")
        case "G":
            reader.only_python(r"\G")
        case "R":
            reader.both(rf"(?:\r\n|[{_LINE_END}\x0B\x0C])")
        case "k":
            end = reader.text.index(">", reader.at)
            reader.only_python(f"(?P={reader.text[reader.at + 1 : end]})")
            reader.at = end + 1
        case "p" | "P":
            reader.both(_property(reader, character, inside=False))
        case "b" | "B":
            reader.both("\\" + character)
        case _ if character.isdigit() and character != "0":
            _backreference(reader, character)
        case _:
            reader.both(_plain_escape(reader, character))


def _backreference(reader: _Reader, digit: str) -> None:
    reader.only_python(f"(?:\\{digit})")


def _plain_escape(reader: _Reader, character: str) -> str:
    """An escaped character that stands for itself or for one by number."""
    text = reader.text
    match character:
        case "t" | "n" | "r" | "f" | "a":
            return "\\" + character if character != "a" else r"\x07"
        case "e":
            return r"\x1B"
        case "0":
            end = reader.at
            while end < len(text) and end < reader.at + 3 and text[end] in "01234567":
                end += 1
            value = int(text[reader.at : end], 8)
            reader.at = end
            return regex.escape(chr(value))  # type: ignore[no-any-return]
        case "x" | "u":
            return _by_number(reader, character)
        case "c":
            value = ord(text[reader.at]) ^ 64
            reader.at += 1
            return rf"\x{value:02X}"
        case _ if character.isalpha():
            raise UnreadablePatternError(f"Illegal/unsupported escape sequence near index {reader.at - 1}")
    return regex.escape(character, literal_spaces=True) if character in ".^$*+?()[]{}|\\/-&~#" else character


def _by_number(reader: _Reader, kind: str) -> str:
    text = reader.text
    if kind == "x" and text[reader.at : reader.at + 1] == "{":
        end = text.index("}", reader.at)
        value = int(text[reader.at + 1 : end], 16)
        reader.at = end + 1
    else:
        width = 2 if kind == "x" else 4
        value = int(text[reader.at : reader.at + width], 16)
        reader.at += width
    return regex.escape(chr(value))  # type: ignore[no-any-return]


def _property(reader: _Reader, sign: str, inside: bool) -> str:
    text = reader.text
    if text[reader.at : reader.at + 1] == "{":
        end = text.index("}", reader.at)
        name = text[reader.at + 1 : end]
        reader.at = end + 1
    else:
        name = text[reader.at]
        reader.at += 1
    negative = sign == "P"
    if name in _POSIX:
        body = _POSIX[name]
        if inside:
            return f"[^{body}]" if negative else body
        return f"[{'^' if negative else ''}{body}]"
    name = _JAVA_NAMES.get(name, name)
    if name.startswith("Is") and name not in _JAVA_NAMES:
        name = name[2:]
    if name.startswith("In"):
        name = "Block=" + name[2:]
        reader.simple = False
    return rf"\{sign}{{{name}}}"


def _character_class(reader: _Reader) -> str:
    """``[...]`` with classes nested and intersected, spelled alike for both engines."""
    reader.at += 1
    out = "["
    if reader.text[reader.at : reader.at + 1] == "^":
        out += "^"
        reader.at += 1
    first = True
    while True:
        if reader.at >= len(reader.text):
            raise UnreadablePatternError(f"Unclosed character class near index {len(reader.text) - 1}")
        character = reader.text[reader.at]
        if character == "]" and not first:
            reader.at += 1
            return out + "]"
        out += _class_item(reader, character)
        first = False


def _class_item(reader: _Reader, character: str) -> str:
    if character == "[":
        return _character_class(reader)
    reader.at += 1
    if character == "&" and reader.text[reader.at : reader.at + 1] == "&":
        reader.at += 1
        return "&&"
    if character != "\\":
        return "\\" + character if character in "&~|[" else character
    escaped = reader.text[reader.at]
    reader.at += 1
    if escaped in "dwshv":
        return _ASCII_CLASSES[escaped]
    if escaped in "DWSHV":
        return f"[^{_ASCII_CLASSES[escaped.lower()]}]"
    if escaped in "pP":
        return _property(reader, escaped, inside=True)
    if escaped == "Q":
        end = reader.text.find("\\E", reader.at)
        end = len(reader.text) if end < 0 else end
        quoted = reader.text[reader.at : end]
        reader.at = min(end + 2, len(reader.text))
        return "".join(regex.escape(c) for c in quoted)
    if escaped == "b":
        return r"\x08"
    found = _plain_escape(reader, escaped)
    return found if found.startswith("\\") or found.isalnum() else "\\" + found


# ---- columns ----------------------------------------------------------------------------------------------
def ends_with_line_break(column: pl.Series) -> bool:
    """Whether any text ends in a line terminator, before which Java's $ matches too."""
    return bool(column.str.contains(rf"[{_LINE_END}]\z").any())


def rust_form(pattern: Pattern, column: pl.Series) -> str | None:
    """The pattern for Polars' engine, None where that would not mean the same for these texts."""
    if pattern.rust is None or (pattern.has_end_anchor and ends_with_line_break(column)):
        return None
    return pattern.rust


@lru_cache(maxsize=512)
def java_replacement(text: str) -> tuple[str | int, ...]:
    """A replacement text of Java: pieces of text and group references."""
    parts: list[str | int] = []
    at = 0
    while at < len(text):
        character = text[at]
        if character == "\\":
            if at + 1 >= len(text):
                raise UnreadablePatternError("character to be escaped is missing")
            parts.append(text[at + 1])
            at += 2
        elif character == "$":
            end = at + 1
            if text[end : end + 1] == "{":
                close = text.index("}", end)
                parts.append(f"\0{text[end + 1 : close]}")
                at = close + 1
                continue
            if not text[end : end + 1].isdigit():
                raise UnreadablePatternError("Illegal group reference")
            parts.append(int(text[end]))
            at = end + 1
        else:
            parts.append(character)
            at += 1
    return tuple(parts)


def expander(pattern: Pattern, replacement: str) -> Callable[[Any], str]:
    """A function of a match giving the replacement text; a group's second digit counts if there is such a group."""
    parts = _joined(java_replacement(replacement), pattern.groups)

    def expand(match: Any) -> str:
        return "".join(_expanded(match, p) for p in parts)

    return expand


def _expanded(match: Any, part: str | int) -> str:
    if isinstance(part, int):
        if part > match.re.groups:
            raise UnreadablePatternError(f"No group {part}")
        return match.group(part) or ""
    if part.startswith("\0"):
        return match.group(part[1:]) or ""
    return part


def _joined(parts: tuple[str | int, ...], groups: int) -> list[str | int]:
    out: list[str | int] = []
    for part in parts:
        previous = out[-1] if out else None
        if isinstance(previous, int) and isinstance(part, str) and part.isdigit():
            longer = previous * 10 + int(part)
            if longer <= groups:
                out[-1] = longer
                continue
        out.append(part)
    return out


def rust_replacement(replacement: str, groups: int) -> str | None:
    """The replacement text for Polars' engine, None where it has none."""
    parts = _joined(java_replacement(replacement), groups)
    if any(isinstance(p, int) and p > groups for p in parts) or any(str(p).startswith("\0") for p in parts):
        return None
    return "".join(f"${{{p}}}" if isinstance(p, int) else p.replace("$", "$$") for p in parts)
