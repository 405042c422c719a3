"""Splitting lines of CSV into tokens as the parser behind Spark does.

Nearly all lines are split by whole-column operations: those without quotes, and those whose quoted values are
plain. Only lines with escapes or misplaced quotes are read character by character.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial

import polars as pl

from voltray.executors.sources.base import Options
from voltray.proto.failures import ErrorKind, spark_error

_ESCAPES = {"\\t": "\t", "\\b": "\b", "\\f": "\f", '\\"': '"', "\\'": "'", "\\\\": "\\", "\\u0000": "\0", "\\0": "\0"}


@dataclass(frozen=True, slots=True)
class CsvDialect:
    """The options that say how a line is split."""

    separator: str = ","
    quote: str = '"'
    escape: str = "\\"
    escape_of_escape: str = "\\"
    comment: str = ""
    null_value: str = ""
    empty_value: str = ""
    trim_left: bool = False
    trim_right: bool = False


def dialect_of(options: Options) -> CsvDialect:
    """The dialect that read options describe."""
    quote = _character(options, "quote", '"')
    escape = _character(options, "escape", "\\")
    return CsvDialect(
        separator=separator_of(options),
        quote=quote,
        escape=escape,
        escape_of_escape=_character(options, "charToEscapeQuoteEscaping", escape if escape != quote else ""),
        comment=_character(options, "comment", ""),
        null_value=options.get("nullValue", ""),
        empty_value=options.get("emptyValue", ""),
        trim_left=options.flag("ignoreLeadingWhiteSpace"),
        trim_right=options.flag("ignoreTrailingWhiteSpace"),
    )


def separator_of(options: Options) -> str:
    """The separator, with backslash escapes read."""
    text = options.text("sep", "delimiter", default=",")
    if not text:
        raise spark_error("", ErrorKind.ILLEGAL_ARGUMENT, message="Delimiter cannot be empty")
    if text == "\\":
        raise spark_error("INVALID_DELIMITER_VALUE.SINGLE_BACKSLASH", ErrorKind.ILLEGAL_ARGUMENT)
    return re.sub(r"\\u0000|\\.", lambda m: _escaped(m[0]), text)


def _escaped(text: str) -> str:
    if text not in _ESCAPES:
        raise spark_error("INVALID_DELIMITER_VALUE.UNSUPPORTED_SPECIAL_CHARACTER", ErrorKind.ILLEGAL_ARGUMENT, str=text)
    return _ESCAPES[text]


def _character(options: Options, name: str, default: str) -> str:
    value = options.get(name)
    if value is None:
        return default
    if len(value) > 1 and value not in _ESCAPES:
        message = f"{name} cannot be more than one character"
        raise spark_error("", ErrorKind.RUNTIME, message=message)
    return "" if value in ("", "\0", "\\u0000") else _ESCAPES.get(value, value)


def tokenize(lines: pl.Series, dialect: CsvDialect) -> pl.Series:
    """Each line's tokens as a list; a value that is NULL is null."""
    lines = lines.rename("line")
    if not dialect.quote:
        return _bare(lines, dialect)
    quoted = lines.str.contains(dialect.quote, literal=True)
    if not quoted.any():
        return _bare(lines, dialect)
    wrong = quoted & ~lines.str.contains(_well_formed(dialect))
    if quoted.all() and not wrong.any():
        return _quoted(lines, dialect)
    frame = lines.to_frame().with_row_index("at")
    parts = []
    for mask, split in ((~quoted, _bare), (quoted & ~wrong, _quoted), (wrong, _by_character)):
        part = frame.filter(mask)
        if part.height:
            parts.append(part.select("at", split(part["line"], dialect).alias("tokens")))
    return pl.concat(parts).sort("at")["tokens"].rename("line")


def _trimmed(value: pl.Expr, dialect: CsvDialect) -> pl.Expr:
    value = value.str.strip_chars_start() if dialect.trim_left else value
    return value.str.strip_chars_end() if dialect.trim_right else value


def _bare(lines: pl.Series, dialect: CsvDialect) -> pl.Series:
    token = _trimmed(pl.element(), dialect)
    return _map_tokens(lines.str.split(dialect.separator), _null_if(token, dialect, ""))


def _null_if(token: pl.Expr, dialect: CsvDialect, *further: str) -> pl.Expr:
    return pl.when(~token.is_in(list({dialect.null_value, *further}))).then(token)


def _map_tokens(tokens: pl.Series, expression: pl.Expr) -> pl.Series:
    return tokens.to_frame("line").select(pl.col("line").list.eval(expression))["line"]


def _space(dialect: CsvDialect) -> tuple[str, str]:
    return (r"\s*" if dialect.trim_left else ""), (r"\s*" if dialect.trim_right else "")


def _token_pattern(dialect: CsvDialect) -> str:
    """One plain token: quoted without any quote or escape inside, or without a quote at its start."""
    quote, separator = re.escape(dialect.quote), re.escape(dialect.separator)
    escape = re.escape(dialect.escape) if dialect.escape else ""
    left, right = _space(dialect)
    other = rf"[^{separator}]" if len(dialect.separator) == 1 else r"."
    bare = rf"{left}[^{quote}{separator if len(dialect.separator) == 1 else ''}\s]{other}*?|\s*"
    if not dialect.trim_left:
        bare = rf"[^{quote}{separator if len(dialect.separator) == 1 else ''}]{other}*?|"
    return rf"(?:{left}{quote}[^{quote}{escape}]*{quote}{right}|{bare})"


def _well_formed(dialect: CsvDialect) -> str:
    token, separator = _token_pattern(dialect), re.escape(dialect.separator)
    return rf"(?s)^{token}(?:{separator}{token})*$"


def _quoted(lines: pl.Series, dialect: CsvDialect) -> pl.Series:
    separator = re.escape(dialect.separator)
    quote = re.escape(dialect.quote)
    left, right = _space(dialect)
    escape = re.escape(dialect.escape) if dialect.escape else ""
    one = rf"[^{separator}]*" if len(dialect.separator) == 1 else r".*?"
    pattern = rf"(?s){separator}(?:{left}{quote}[^{quote}{escape}]*{quote}{right}|{one})"
    if len(dialect.separator) > 1:
        return _by_character(lines, dialect)
    tokens = (dialect.separator + lines).str.extract_all(pattern)
    token = _trimmed(pl.element().str.slice(1), dialect)
    is_quoted = token.str.starts_with(dialect.quote)
    inner = token.str.slice(1, token.str.len_chars() - 2)
    inner = pl.when(inner == "").then(pl.lit(dialect.empty_value)).otherwise(inner)
    value = pl.when(is_quoted).then(_null_if(inner, dialect)).otherwise(_null_if(token, dialect, ""))
    return _map_tokens(tokens, value)


def _by_character(lines: pl.Series, dialect: CsvDialect) -> pl.Series:
    split = partial(split_line, dialect=dialect)
    return pl.Series("line", [split(line) for line in lines.to_list()], dtype=pl.List(pl.String))


def split_line(line: str, dialect: CsvDialect) -> list[str | None]:
    """The tokens of one line with escapes, or with quotes where none should be."""
    tokens: list[str | None] = []
    at = 0
    while True:
        token, at, quoted = _next_token(line, at, dialect)
        if not quoted:
            token = token.lstrip() if dialect.trim_left else token
            token = token.rstrip() if dialect.trim_right else token
        if token == "":
            token = dialect.empty_value if quoted else dialect.null_value
        tokens.append(None if token == dialect.null_value else token)
        if at >= len(line):
            return tokens
        at += len(dialect.separator)
        if at >= len(line):
            return [*tokens, None]


def _next_token(line: str, at: int, dialect: CsvDialect) -> tuple[str, int, bool]:
    """A token, where it ends, and whether it was quoted."""
    start = at
    if dialect.trim_left:
        while at < len(line) and line[at].isspace() and not line.startswith(dialect.separator, at):
            at += 1
    if not line.startswith(dialect.quote, at):
        return (*_until_separator(line, start, dialect), False)
    opened, at, read = at, at + 1, []
    while at < len(line):
        character = line[at]
        following = line[at + 1 : at + 2]
        escapable = following and following in (dialect.quote, dialect.escape_of_escape)
        if character == dialect.escape != dialect.quote and escapable:
            read.append(following)
            at += 2
        elif character == dialect.quote == dialect.escape and following == dialect.quote:
            read.append(character)
            at += 2
        elif character == dialect.quote:
            end = at + 1
            while end < len(line) and line[end].isspace() and not line.startswith(dialect.separator, end):
                end += 1
            if end >= len(line) or line.startswith(dialect.separator, end):
                return "".join(read), end, True
            return (*_until_separator(line, opened, dialect, at), False)
        else:
            read.append(character)
            at += 1
    return "".join(read), at, True


def _until_separator(line: str, start: int, dialect: CsvDialect, search: int | None = None) -> tuple[str, int]:
    end = line.find(dialect.separator, start if search is None else search)
    end = len(line) if end < 0 else end
    return line[start:end], end


def join_quoted_lines(lines: list[str], dialect: CsvDialect) -> list[str]:
    """Records of a file whose quoted values may hold line ends."""
    records: list[str] = []
    pending: list[str] = []
    is_open = False
    for line in lines:
        is_open = _leaves_open(line, is_open, dialect)
        pending.append(line)
        if not is_open:
            records.append("\n".join(pending))
            pending = []
    return records + (["\n".join(pending)] if pending else [])


def _leaves_open(line: str, is_open: bool, dialect: CsvDialect) -> bool:
    if dialect.quote not in line:
        return is_open
    skip = False
    at_start = not is_open
    for position, character in enumerate(line):
        if skip:
            skip = False
        elif is_open and character == dialect.escape != dialect.quote:
            skip = True
        elif character == dialect.quote:
            if is_open:
                is_open = False
            elif at_start:
                is_open = True
        at_start = line.startswith(dialect.separator, position) or (at_start and character.isspace())
    return is_open
