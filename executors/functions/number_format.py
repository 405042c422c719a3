"""Numbers as text by a pattern: to_char and to_number, and Java's DecimalFormat for format_number."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import lru_cache
from typing import Any

import polars as pl

from voltray.executors.functions.columns import by_unique, by_unique_rows
from voltray.executors.functions.decimal import unscaled
from voltray.executors.functions.evaluation import NEVER, Evaluation, Rows
from voltray.executors.functions.registry import (
    ANY,
    NUMERIC_INPUT,
    STRING_INPUT,
    Function,
    Parameter,
    Signature,
    always_nullable,
    any_argument_nullable,
    parameters,
)  # fmt: skip
from voltray.executors.functions.string import constant
from voltray.proto.expressions import Expression, Literal, dtype_of
from voltray.proto.failures import ErrorKind, SparkError, spark_error
from voltray.proto.types import (
    STRING,
    BinaryType,
    DataType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegerType,
    IntegralType,
    StringType,
    TimestampNTZType,
    TimestampType,
)  # fmt: skip


# ---- patterns of to_char and to_number --------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class NumberPattern:
    """A pattern taken apart: signs and dollar in front, integer and fraction digits, signs behind."""

    text: str
    front: tuple[str, ...]
    integer: str
    """9, 0 and , in order."""
    fraction: str
    has_point: bool
    back: tuple[str, ...]

    @property
    def type(self) -> DecimalType:
        """The decimal that to_number gives."""
        digits = sum(c in "09" for c in self.integer)
        return DecimalType(digits + len(self.fraction), len(self.fraction))


_TOKEN = re.compile(r"MI|PR|S|\$|[09]+|[,G]|[.D]")
_KINDS = {"S": "S", "MI": "MI", "PR": "PR", "$": "$", ".": ". or D", "D": ". or D", ",": ", or G", "G": ", or G"}


def pattern_error(kind: str, text: str, **more: str) -> SparkError:
    """INVALID_FORMAT of a pattern."""
    return spark_error(f"INVALID_FORMAT.{kind}", ErrorKind.ANALYSIS, extra={**more, "format": f"'{text}'"})


@lru_cache(maxsize=256)
def number_pattern(pattern: str) -> NumberPattern:
    """A pattern, checked."""
    text = pattern.upper()
    if not text:
        raise pattern_error("EMPTY", text)
    tokens: list[str] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            known = any(c in "09" for c in text)
            raise (
                pattern_error("UNEXPECTED_TOKEN", text, token=f"character '{text[at]}''")
                if known
                else pattern_error("WRONG_NUM_DIGIT", text)
            )
        tokens.append(match.group())
        at = match.end()
    _count_tokens(tokens, text)
    found = re.fullmatch(r"((?:MI|S|\$)*)([09,G]*)(?:([.D])([09]*))?((?:PR|MI|S|\$)*)", text)
    if found is None and re.search(r"[.D][09]*[,G]", text):
        raise pattern_error("THOUSANDS_SEPS_MUST_BEFORE_DEC", text)
    if found is None:
        raise pattern_error("UNEXPECTED_TOKEN", text, token=_misplaced(tokens))
    front, integer, point, fraction, back = found.groups()
    integer = integer.replace("G", ",")
    if integer.startswith(",") or integer.endswith(",") or ",," in integer:
        raise pattern_error("CONT_THOUSANDS_SEPS", text)
    split = re.compile(r"MI|PR|S|\$")
    return NumberPattern(
        text, tuple(split.findall(front)), integer, fraction or "", point is not None, tuple(split.findall(back))
    )


def _count_tokens(tokens: list[str], text: str) -> None:
    if not any(t[0] in "09" for t in tokens):
        raise pattern_error("WRONG_NUM_DIGIT", text)
    for kinds in ((".", "D"), ("$",), ("S",), ("MI",), ("PR",)):
        if sum(t in kinds for t in tokens) > 1:
            raise pattern_error("WRONG_NUM_TOKEN", text, token=_KINDS[kinds[0]])


def _misplaced(tokens: list[str]) -> str:
    seen_digits = ended = False
    for token in tokens:
        if token[0] in "09":
            if ended:
                return "digit sequence"
            seen_digits = True
        elif seen_digits and token in ("S", "MI", "PR", "$"):
            ended = True
        elif token == "PR":
            return "PR"
        elif ended:
            return _KINDS[token]
    return _KINDS.get(tokens[-1], "digit sequence")


# ---- to_char ------------------------------------------------------------------------------------------------
def format_with(pattern: NumberPattern, value: Decimal) -> str:
    """A number under a pattern; # stands for every digit where it does not fit."""
    number = abs(value)
    text = f"{number:f}"
    whole, _, fraction = text.partition(".")
    whole, fraction = whole.lstrip("0"), fraction.rstrip("0")
    places = sum(c in "09" for c in pattern.integer)
    if len(whole) > places or len(fraction) > len(pattern.fraction):
        return re.sub(r"[09]", "#", _bare(pattern))
    out: list[str] = []
    for mark in pattern.front:
        out.extend(_sign(mark, value))
    if not whole and pattern.fraction:
        whole = "0"[:places]
    digits = whole.rjust(places, "\0")
    _integer(out, pattern.integer, digits)
    if pattern.has_point:
        out.append("." if pattern.fraction else " ")
        out.extend(fraction.ljust(len(pattern.fraction), "0"))
    for mark in pattern.back:
        out.extend(_sign(mark, value))
    result = "".join(out)
    if "PR" in pattern.back:
        return _bracketed(result, value)
    return result


def _bare(pattern: NumberPattern) -> str:
    dollar = "$" if "$" in pattern.front else ""
    point = "." if pattern.has_point else ""
    return dollar + pattern.integer + point + pattern.fraction


def _sign(mark: str, value: Decimal) -> str:
    match mark:
        case "S":
            return "-" if value < 0 else "+"
        case "MI":
            return "-" if value < 0 else " "
        case "$":
            return "$"
    return ""


def _integer(out: list[str], tokens: str, digits: str) -> None:
    at = 0
    reached = False
    for token in tokens:
        if token == ",":
            _put(out, "," if reached else " ", reached)
            continue
        digit = digits[at]
        at += 1
        if digit != "\0":
            reached = True
            out.append(digit)
        elif token == "0":
            reached = True
            out.append("0")
        else:
            _put(out, "0" if reached else " ", reached)


def _put(out: list[str], character: str, reached: bool) -> None:
    """A blank goes before the signs already written."""
    if reached or character != " ":
        out.append(character)
        return
    at = len(out)
    while at > 0 and out[at - 1] in "+-":
        at -= 1
    out.insert(at, " ")


def _bracketed(text: str, value: Decimal) -> str:
    if value >= 0:
        return text + "  "
    blank = len(text) - len(text.lstrip(" "))
    return text[:blank] + "<" + text[blank:] + ">"


# ---- to_number ----------------------------------------------------------------------------------------------
@lru_cache(maxsize=256)
def _matcher(pattern: NumberPattern) -> re.Pattern[str]:
    signs = {"S": "(?P<sign>[+-]?)", "MI": "(?P<sign>-?)", "$": r"\$", "PR": ""}
    front = "".join(signs[m] for m in pattern.front)
    back = "".join(signs[m] for m in pattern.back)
    whole = _whole_matcher(pattern.integer)
    point = r"(?:\.(?P<fraction>\d{0," + str(len(pattern.fraction)) + r"}))?" if pattern.has_point else ""
    body = f"{front}(?P<whole>{whole}){point}{back}"
    if "PR" in pattern.back:
        body = rf"(?:(?P<open><)?){body}(?(open)>)"
    return re.compile(body, re.ASCII)


def _whole_matcher(tokens: str) -> str:
    """Groups of digits; where the pattern begins with 9, digits and whole groups may be missing in front."""
    groups = tokens.split(",")
    if not tokens.startswith("9"):
        return ",".join(rf"\d{{{len(g)}}}" for g in groups)
    matcher = ""
    for position, group in enumerate(groups):
        least = len(group) if position else 0
        digits = rf"\d{{{least},{len(group)}}}"
        matcher = f"(?:{matcher},)?{digits}" if position else digits
    return matcher


def read_number(pattern: NumberPattern, text: str) -> Decimal | None:
    """One text under a pattern, None where it does not match."""
    match = _matcher(pattern).fullmatch(text.replace(" ", ""))
    if match is None:
        return None
    groups = match.groupdict()
    whole, fraction = (groups["whole"] or "").replace(",", ""), groups.get("fraction") or ""
    if not whole and not fraction:
        return None
    value = Decimal(f"{whole or 0}.{fraction or 0}")
    negative = groups.get("sign") == "-" or bool(groups.get("open"))
    return -value if negative else value


def _mismatch(pattern: str, text: str) -> SparkError:
    return spark_error(
        "INVALID_FORMAT.MISMATCH_INPUT", ErrorKind.ILLEGAL_ARGUMENT, inputType='"STRING"', input=text, format=pattern
    )


def _to_number(raises: bool) -> Callable[..., pl.Expr]:
    def body(evaluation: Evaluation, value: pl.Expr, form: pl.Expr) -> pl.Expr:
        target = evaluation.call.dtype
        text = constant(evaluation.call.args[1])
        if not isinstance(target, DecimalType) or text is None:
            return pl.lit(None)
        pattern = number_pattern(text)
        strict = raises and evaluation.guard is not NEVER

        def read(cell: str) -> int | None:
            found = read_number(pattern, cell)
            return None if found is None else unscaled(found, target.scale)

        def run(rows: Rows, column: pl.Series) -> pl.Series:
            found = by_unique(column, read, pl.Int128())
            if strict and found.null_count() > column.null_count():
                rows.refuse(found.is_null() & column.is_not_null(), lambda cell: _mismatch(text, cell), column)
            return found.reinterpret(dtype=pl.Decimal(target.precision, target.scale))

        return evaluation.columnwise(run, value)

    return body


def _resolve_to_number(resolution: Any) -> Expression:
    value, form = resolution.coerce(0, STRING), resolution.coerce(1, STRING)
    if not isinstance(form, Literal):
        raise resolution.mismatch(
            "NON_FOLDABLE_INPUT", inputName="`format`", inputType='"STRING"', inputExpr=f'"{resolution.names[1]}"'
        )
    if form.value is None:
        return resolution.call((value, form), DecimalType(38, 18))  # type: ignore[no-any-return]
    return resolution.call((value, form), number_pattern(form.value).type)  # type: ignore[no-any-return]


def _to_char(evaluation: Evaluation, value: pl.Expr, form: pl.Expr) -> pl.Expr:
    def cell(number: Decimal, text: str) -> str:
        return format_with(number_pattern(text), number)

    def run(rows: Rows, *columns: pl.Series) -> pl.Series:
        return by_unique_rows(list(columns), cell, pl.String())

    return evaluation.columnwise(run, value, form)


_BYTE_FORMS = {"base64": "base64", "hex": "hex"}


def _resolve_to_char(resolution: Any) -> Expression:
    """Dates by a date pattern, byte strings by an encoding, numbers by a number pattern."""
    dtype = dtype_of(resolution.args[0])
    if isinstance(dtype, (DateType, TimestampType, TimestampNTZType)):
        return resolution.function_of("date_format", *resolution.args)  # type: ignore[no-any-return]
    form = resolution.args[1]
    if isinstance(dtype, BinaryType):
        if not isinstance(form, Literal) or form.value is None:
            raise resolution.mismatch(
                "NON_FOLDABLE_INPUT", inputName="`format`", inputType='"STRING"', inputExpr=f'"{resolution.names[1]}"'
            )
        name = _BYTE_FORMS.get(form.value.lower())
        if name is not None:
            return resolution.function_of(name, resolution.args[0])  # type: ignore[no-any-return]
        return resolution.function_of("decode", resolution.args[0], Literal("utf-8", STRING))  # type: ignore[no-any-return]
    if isinstance(form, Literal) and form.value is not None:
        number_pattern(str(form.value))
    number = (
        resolution.args[0]
        if isinstance(dtype, DecimalType)
        else resolution.cast(resolution.args[0], _decimal_for(dtype))
    )
    return resolution.call((number, resolution.coerce(1, STRING)))  # type: ignore[no-any-return]


def _decimal_for(dtype: DataType) -> DecimalType:
    from voltray.proto.coercion import decimal_of

    return decimal_of(dtype) or DecimalType(38, 18)


# ---- format_number --------------------------------------------------------------------------------------------
_WIDE = Context(prec=400)


def exact(value: Any) -> Decimal | str:
    """A number as an exact decimal, or how Java writes what is none."""
    if isinstance(value, float):
        if value != value:
            return "NaN"
        if value in (float("inf"), float("-inf")):
            return "∞" if value > 0 else "-∞"
    return Decimal(value)


def grouped(value: Decimal, places: int) -> str:
    """Half-even to so many places, with commas."""
    rounded = value.quantize(Decimal((0, (1,), -places)), rounding=ROUND_HALF_EVEN, context=_WIDE)
    text = f"{abs(rounded):,f}"
    return f"-{text}" if rounded.is_signed() and (value != 0) else text


def _widened(column: pl.Series) -> pl.Series:
    return column if column.dtype.is_decimal() or column.dtype.is_float() else column.cast(pl.Int64)


def _format_number(evaluation: Evaluation, value: pl.Expr, form: pl.Expr) -> pl.Expr:
    by_pattern = isinstance(dtype_of(evaluation.call.args[1]), StringType)

    places = constant(evaluation.call.args[1])
    if not by_pattern and isinstance(places, int) and places >= 0:

        def plain(number: Any) -> str:
            if isinstance(number, int):
                return f"{number:,}" + ("." + "0" * places if places else "")
            finite = not isinstance(number, float) or abs(number) < float("inf")
            return f"{number:,.{places}f}" if finite else str(exact(number))  # Python, too, rounds half-even exactly

        return evaluation.columnwise(lambda rows, c: by_unique(_widened(c), plain, pl.String()), value)

    def cell(number: Any, how: Any) -> str | None:
        found = exact(number)
        if isinstance(found, str):
            return found
        if by_pattern:
            return decimal_format(how).format(found) if how else grouped(found, 0)
        return grouped(found, how) if how >= 0 else None

    def run(rows: Rows, *columns: pl.Series) -> pl.Series:
        return by_unique_rows(list(columns), cell, pl.String())

    return evaluation.columnwise(run, value, form)


@dataclass(frozen=True, slots=True)
class DecimalFormat:
    """Java's DecimalFormat, as far as patterns without exponents go."""

    prefix: str
    suffix: str
    least_whole: int
    least_fraction: int
    most_fraction: int
    group: int
    multiplier: int

    def format(self, value: Decimal) -> str:
        """A number under the pattern, half-even."""
        scaled = value * self.multiplier
        rounded = scaled.quantize(Decimal((0, (1,), -self.most_fraction)), rounding=ROUND_HALF_EVEN, context=_WIDE)
        whole, _, fraction = f"{abs(rounded):f}".partition(".")
        whole = whole.lstrip("0").rjust(self.least_whole, "0")
        fraction = fraction.rstrip("0").ljust(self.least_fraction, "0")
        if not whole and not fraction:
            whole = "0"
        if self.group:
            whole = _with_groups(whole, self.group)
        sign = "-" if rounded.is_signed() and value != 0 else ""
        return f"{sign}{self.prefix}{whole}{'.' + fraction if fraction else ''}{self.suffix}"


def _with_groups(whole: str, size: int) -> str:
    head = len(whole) % size
    parts = [whole[:head]] if head else []
    return ",".join([*parts, *[whole[i : i + size] for i in range(head, len(whole), size)]])


@lru_cache(maxsize=128)
def decimal_format(pattern: str) -> DecimalFormat:
    """A DecimalFormat pattern, read."""
    pattern = pattern.partition(";")[0]
    match = re.fullmatch(r"((?:'[^']*'|[^#0,.'])*)([#0,]*)(?:\.([#0]*))?((?:'[^']*'|[^#0,.'])*)", pattern)
    if match is None:
        raise spark_error("INVALID_PARAMETER_VALUE.PATTERN", ErrorKind.ILLEGAL_ARGUMENT, functionName="`format_number`",
                          parameter="`expr2`", value=f"'{pattern}'")  # fmt: skip
    prefix, whole, fraction, suffix = match.groups()
    least_whole, least_fraction = whole.count("0"), (fraction or "").count("0")
    if fraction is not None and not least_whole and not least_fraction:  # a pattern without any 0 has one
        least_whole, least_fraction = (1, 0) if whole else (0, 1)
    fraction = fraction or ""
    group = len(whole) - whole.rindex(",") - 1 if "," in whole else 0
    multiplier = 100 if "%" in prefix + suffix else 1000 if "‰" in prefix + suffix else 1
    return DecimalFormat(
        prefix.replace("'", ""),
        suffix.replace("'", ""),
        least_whole,
        least_fraction,
        len(fraction),
        group,
        multiplier,
    )


def _resolve_format_number(resolution: Any) -> Expression:
    value = resolution.args[0]
    if not isinstance(dtype_of(value), (DecimalType, DoubleType, FloatType, IntegralType)):
        value = resolution.coerce(0, DoubleType())
    form = resolution.args[1]
    if not isinstance(dtype_of(form), (IntegerType, StringType)):
        form = resolution.coerce(1, IntegerType(), '("INT" or "STRING")')
    return resolution.call((value, form))  # type: ignore[no-any-return]


_NUMBER_AND_FORM = parameters(("numberExpr", ANY), ("formatExpr", STRING_INPUT))
_TEXT_AND_FORM = parameters(("expr", STRING_INPUT), ("fmt", STRING_INPUT))
_LOOP = "A loop a distinct value."


def _char(name: str) -> Function:
    return Function((name,), _NUMBER_AND_FORM, STRING, _to_char, resolve=_resolve_to_char, notes=_LOOP)


def _number(name: str, raises: bool) -> Function:
    return Function(
        (name,), _TEXT_AND_FORM, DecimalType(38, 18), _to_number(raises), resolve=_resolve_to_number,
        nullable=any_argument_nullable if raises else always_nullable, notes=_LOOP,
    )  # fmt: skip


FUNCTIONS: tuple[Function, ...] = (
    _char("to_char"),
    _char("to_varchar"),
    _number("to_number", True),
    _number("try_to_number", False),
    Function(
        ("format_number",), Signature((Parameter("expr1", NUMERIC_INPUT), Parameter("expr2", ANY))), STRING,
        _format_number, resolve=_resolve_format_number, nullable=always_nullable, notes=_LOOP,
    ),
)  # fmt: skip
