"""LIKE, and the functions of Java's regular expressions."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import polars as pl

from voltray.executors.functions.columns import by_unique, by_unique_rows
from voltray.executors.functions.evaluation import Evaluation, Rows
from voltray.executors.functions.java_regex import (
    Pattern,
    UnreadablePatternError,
    expander,
    java_pattern,
    java_replacement,
    rust_form,
    rust_replacement,
)  # fmt: skip
from voltray.executors.functions.registry import (
    STRING_INPUT,
    Accept,
    Function,
    Parameter,
    Signature,
    accepts_type,
    always_nullable,
    parameters,
)  # fmt: skip
from voltray.executors.functions.string import constant
from voltray.proto.expressions import Call, Expression, Literal
from voltray.proto.failures import ErrorKind, SparkError, spark_error
from voltray.proto.types import BOOLEAN, INTEGER, STRING, ArrayType, DataType


def bad_pattern(name: str, pattern: str) -> SparkError:
    """INVALID_PARAMETER_VALUE.PATTERN."""
    return spark_error(
        "INVALID_PARAMETER_VALUE.PATTERN",
        ErrorKind.RUNTIME,
        functionName=f"`{name}`",
        parameter="`regexp`",
        value=f"'{pattern}'",
    )


def read(name: str, text: str) -> Pattern:
    """A pattern, or the error of the function that got it."""
    try:
        return java_pattern(text)
    except UnreadablePatternError as error:
        raise bad_pattern(name, text) from error


# ---- like ---------------------------------------------------------------------------------------------
def like_error(pattern: str, at_end: bool, character: str = "") -> SparkError:
    """INVALID_FORMAT of a LIKE pattern's escape."""
    if at_end:
        return spark_error("INVALID_FORMAT.ESC_AT_THE_END", ErrorKind.ANALYSIS, format=f"'{pattern}'")
    return spark_error(
        "INVALID_FORMAT.ESC_IN_THE_MIDDLE", ErrorKind.ANALYSIS, format=f"'{pattern}'", charName=f"'{character}'"
    )


LikeParts = tuple[str, ...]
_ANY, _ONE = "\1%", "\1_"


@lru_cache(maxsize=512)
def like_parts(pattern: str, escape: str) -> LikeParts:
    """A LIKE pattern as literal characters and wildcards."""
    parts: list[str] = []
    at = 0
    while at < len(pattern):
        character = pattern[at]
        if character == escape:
            at += 1
            if at >= len(pattern):
                raise like_error(pattern, True)
            if pattern[at] not in ("_", "%", escape):
                raise like_error(pattern, False, pattern[at])
            parts.append(pattern[at])
        else:
            parts.append(_ANY if character == "%" else _ONE if character == "_" else character)
        at += 1
    return tuple(parts)


def _like_regex(parts: LikeParts) -> str:
    import re

    body = "".join(".*" if p == _ANY else "." if p == _ONE else re.escape(p) for p in parts)
    return rf"(?s)\A{body}\z"


def like_constant(value: pl.Expr, pattern: str, escape: str, folded: bool) -> pl.Expr:
    """LIKE of a constant pattern; the commonest forms need no regular expression."""
    parts = like_parts(pattern, escape)
    text = "".join(p for p in parts if p not in (_ANY, _ONE))
    if folded:
        return value.str.to_lowercase().str.contains(_like_regex(like_parts(pattern.lower(), escape)))
    if _ONE not in parts:
        wild = [i for i, p in enumerate(parts) if p == _ANY]
        last = len(parts) - 1
        if not wild:
            return value == text
        if wild == [last]:
            return value.str.starts_with(text)
        if wild == [0]:
            return value.str.ends_with(text)
        if wild == [0, last]:
            return value.str.contains(text, literal=True)
    return value.str.contains(_like_regex(parts))


def _like(folded: bool) -> Callable[..., pl.Expr]:
    def body(evaluation: Evaluation, value: pl.Expr, pattern: pl.Expr, *escape: pl.Expr) -> pl.Expr:
        text = constant(evaluation.call.args[1])
        mark = constant(evaluation.call.args[2]) if len(escape) else "\\"
        if isinstance(text, str) and isinstance(mark, str):
            return like_constant(value, text, mark, folded)

        def run(rows: Rows, *columns: pl.Series) -> pl.Series:
            return by_unique_rows(list(columns), matches, pl.Boolean())

        def matches(cell: str, wanted: str) -> bool:
            import re

            if folded:
                cell, wanted = cell.lower(), wanted.lower()
            return re.fullmatch(_like_regex(like_parts(wanted, mark))[6:-2], cell, re.DOTALL) is not None

        return evaluation.columnwise(run, value, pattern)

    return body


def _like_name(keyword: str) -> Callable[[tuple[str, ...]], str]:
    return lambda n: f"{n[0]} {keyword} {n[1]}" + (f" ESCAPE '{n[2]}'" if len(n) > 2 and n[2] != "\\" else "")


def _ilike_name(names: tuple[str, ...]) -> str:
    return f"ilike({names[0]}, {names[1]})"


def _like_several(any_of: bool, negated: bool) -> Callable[..., pl.Expr]:
    """LIKE ANY and LIKE ALL of constant patterns."""

    def body(evaluation: Evaluation, value: pl.Expr, *patterns: pl.Expr) -> pl.Expr:
        texts = [_constant_text(a) for a in evaluation.call.args[1:]]
        tests = [like_constant(value, t, "\\", False) for t in texts]
        tests = [~t for t in tests] if negated else tests
        return pl.any_horizontal(tests) if any_of else pl.all_horizontal(tests)

    return body


def _constant_text(expression: Expression) -> str:
    if isinstance(expression, Call) and expression.name == "lower":
        return _constant_text(expression.args[0]).lower()
    return str(constant(expression))


# ---- rlike and its kin --------------------------------------------------------------------------------
def over_patterns(
    evaluation: Evaluation,
    arguments: tuple[pl.Expr, ...],
    whole: Callable[[Pattern, pl.Series], pl.Series],
    single: Callable[..., Any],
    dtype: pl.DataType,
    pattern_at: int = 1,
) -> pl.Expr:
    """A function of texts and patterns: ``whole`` for one constant pattern over the column, else ``single`` a row."""
    name = evaluation.call.name
    text = constant(evaluation.call.args[pattern_at])
    if isinstance(text, str) and len(arguments) == 2:
        pattern = read(name, text)
        return evaluation.columnwise(lambda rows, column: whole(pattern, column), arguments[0], dtype=dtype)

    def cell(*cells: Any) -> Any:
        pattern = read(name, cells[pattern_at])
        return single(pattern, *[c for i, c in enumerate(cells) if i != pattern_at])

    def run(rows: Rows, *columns: pl.Series) -> pl.Series:
        return by_unique_rows(list(columns), cell, dtype)

    return evaluation.columnwise(run, *arguments, dtype=dtype)


def _rlike(evaluation: Evaluation, value: pl.Expr, pattern: pl.Expr) -> pl.Expr:
    def whole(found: Pattern, column: pl.Series) -> pl.Series:
        rust = rust_form(found, column)
        if rust is not None:
            return column.str.contains(rust)
        return by_unique(column, lambda t: found.python.search(t) is not None, pl.Boolean())

    def single(found: Pattern, text: str) -> bool:
        return found.python.search(text) is not None

    return over_patterns(evaluation, (value, pattern), whole, single, pl.Boolean())


def _count(evaluation: Evaluation, value: pl.Expr, pattern: pl.Expr) -> pl.Expr:
    def whole(found: Pattern, column: pl.Series) -> pl.Series:
        rust = None if found.may_be_empty else rust_form(found, column)
        if rust is not None:
            return column.str.count_matches(rust).cast(pl.Int32)
        return by_unique(column, lambda t: sum(1 for _ in found.python.finditer(t)), pl.Int32())

    def single(found: Pattern, text: str) -> int:
        return sum(1 for _ in found.python.finditer(text))

    return over_patterns(evaluation, (value, pattern), whole, single, pl.Int32())


def bad_group(name: str, count: int, index: int) -> SparkError:
    """INVALID_PARAMETER_VALUE.REGEX_GROUP_INDEX."""
    return spark_error(
        "INVALID_PARAMETER_VALUE.REGEX_GROUP_INDEX",
        ErrorKind.RUNTIME,
        functionName=f"`{name}`",
        parameter="`idx`",
        groupCount=count,
        groupIndex=index,
    )


def _checked_group(name: str, pattern: Pattern, index: int) -> None:
    if index < 0 or index > pattern.groups:
        raise bad_group(name, pattern.groups, index)


def _extract(evaluation: Evaluation, value: pl.Expr, pattern: pl.Expr, group: pl.Expr) -> pl.Expr:
    name = evaluation.call.name
    text, index = constant(evaluation.call.args[1]), constant(evaluation.call.args[2])

    def single(found: Pattern, cell: str, at: int) -> str:
        match = found.python.search(cell)
        if match is None:
            return ""
        _checked_group(name, found, at)
        return match.group(at) or ""

    if not isinstance(text, str) or not isinstance(index, int):
        return over_patterns(evaluation, (value, pattern, group), _unused, single, pl.String())
    known = read(name, text)

    def run(rows: Rows, column: pl.Series) -> pl.Series:
        rust = rust_form(known, column)
        if rust is None or not 0 <= index <= known.groups:
            return by_unique(column, lambda t: single(known, t, index), pl.String())
        found = column.str.extract(rust, index).fill_null("")
        return found if not column.null_count() else found.zip_with(column.is_not_null(), column)

    return evaluation.columnwise(run, value)


def _unused(pattern: Pattern, column: pl.Series) -> pl.Series:
    raise AssertionError("only patterns that are not constant come here")


def _extract_all(evaluation: Evaluation, value: pl.Expr, pattern: pl.Expr, group: pl.Expr) -> pl.Expr:
    name = evaluation.call.name

    def single(found: Pattern, cell: str, at: int) -> list[str]:
        _checked_group(name, found, at)
        return [m.group(at) or "" for m in found.python.finditer(cell)]

    text, index = constant(evaluation.call.args[1]), constant(evaluation.call.args[2])
    if isinstance(text, str) and isinstance(index, int):
        known = read(name, text)

        def run(rows: Rows, column: pl.Series) -> pl.Series:
            rust = None if known.may_be_empty else rust_form(known, column)
            if rust is not None and index == 0:
                return column.str.extract_all(rust)
            return by_unique(column, lambda t: single(known, t, index), pl.List(pl.String()))

        return evaluation.columnwise(run, value)
    return over_patterns(evaluation, (value, pattern, group), _unused, single, pl.List(pl.String()))


def _replace(
    evaluation: Evaluation, value: pl.Expr, pattern: pl.Expr, replacement: pl.Expr, position: pl.Expr
) -> pl.Expr:
    name = evaluation.call.name
    texts = [constant(a) for a in evaluation.call.args[1:]]

    def single(found: Pattern, cell: str, new: str, at: int) -> str:
        if at - 1 > 0 and at - 1 >= len(cell):
            return cell
        return cell[: at - 1] + _substituted(found, new, cell, at - 1)

    checked = evaluation.checked(position, position < 1, lambda: bad_position(name))
    if not (isinstance(texts[0], str) and isinstance(texts[1], str) and texts[2] == 1):
        return over_patterns(evaluation, (value, pattern, replacement, checked), _unused, single, pl.String())
    known, new = read(name, texts[0]), texts[1]
    plain = _readable_replacement(new)

    def run(rows: Rows, column: pl.Series) -> pl.Series:
        rust = None if known.may_be_empty else rust_form(known, column)
        target = rust_replacement(new, known.groups) if plain and rust is not None else None
        if rust is not None and target is not None:
            return column.str.replace_all(rust, target)
        return by_unique(column, lambda t: single(known, t, new, 1), pl.String())

    return evaluation.columnwise(run, value)


def _readable_replacement(text: str) -> bool:
    try:
        java_replacement(text)
    except (UnreadablePatternError, ValueError):
        return False
    return True


def _substituted(found: Pattern, new: str, cell: str, start: int) -> str:
    try:
        expand = expander(found, new)
        pieces: list[str] = []
        at = start
        for match in found.python.finditer(cell, start):
            pieces.append(cell[at : match.start()])
            pieces.append(expand(match))
            at = match.end()
        return "".join([*pieces, cell[at:]])
    except UnreadablePatternError as error:
        raise spark_error(
            "INVALID_REGEXP_REPLACE",
            ErrorKind.RUNTIME,
            source=cell,
            pattern=found.python.pattern,
            replacement=new,
            position=start + 1,
        ) from error


def bad_position(name: str) -> SparkError:
    """A position below 1."""
    return spark_error(
        "DATATYPE_MISMATCH.VALUE_OUT_OF_RANGE",
        ErrorKind.ANALYSIS,
        sqlExpr=f'"{name}"',
        exprName="position",
        valueRange="(0, 2147483647]",
        currentValue="0",
    )


def _find_first(evaluation: Evaluation, value: pl.Expr, pattern: pl.Expr) -> pl.Expr:
    def whole(found: Pattern, column: pl.Series) -> pl.Series:
        rust = None if found.may_be_empty else rust_form(found, column)
        if rust is not None:
            return column.str.extract(rust, 0)
        return by_unique(column, lambda t: single(found, t), pl.String())

    def single(found: Pattern, text: str) -> str | None:
        match = found.python.search(text)
        return None if match is None else match.group() or None

    return over_patterns(evaluation, (value, pattern), whole, single, pl.String())


def _position_of(evaluation: Evaluation, value: pl.Expr, pattern: pl.Expr, *group: pl.Expr) -> pl.Expr:
    def whole(found: Pattern, column: pl.Series) -> pl.Series:
        return by_unique(column, lambda t: single(found, t), pl.Int32())

    def single(found: Pattern, text: str) -> int:
        match = found.python.search(text)
        return 0 if match is None else match.start() + 1

    return over_patterns(evaluation, (value, pattern), whole, single, pl.Int32())


# ---- split --------------------------------------------------------------------------------------------
_SEPARATOR = "\ue000\uf8ff"  # stands for what was cut away; of the private use area, and looked for first
_SPECIAL = frozenset("\\^$.|?*+()[]{}")


def _split(evaluation: Evaluation, value: pl.Expr, pattern: pl.Expr, limit: pl.Expr) -> pl.Expr:
    text, most = constant(evaluation.call.args[1]), constant(evaluation.call.args[2])
    if isinstance(text, str) and isinstance(most, int) and most <= 0:
        plain = text if not _SPECIAL & set(text) else _unescaped(text)
        if plain:
            return value.str.split(plain)
    name = evaluation.call.name

    def single(found: Pattern, cell: str, count: int) -> list[str]:
        return java_split(found.python, cell, count)

    if isinstance(text, str) and isinstance(most, int):
        known = read(name, text)

        def run(rows: Rows, column: pl.Series) -> pl.Series:
            rust = None if known.may_be_empty or most > 0 else rust_form(known, column)
            if rust is not None and not column.str.contains(_SEPARATOR, literal=True).any():
                return column.str.replace_all(rust, _SEPARATOR).str.split(_SEPARATOR)
            return by_unique(column, lambda t: single(known, t, most), pl.List(pl.String()))

        return evaluation.columnwise(run, value)
    return over_patterns(evaluation, (value, pattern, limit), _unused, single, pl.List(pl.String()))


def _unescaped(text: str) -> str | None:
    if len(text) == 2 and text[0] == "\\" and text[1] in _SPECIAL:
        return text[1]
    if len(text) == 3 and text[0] == "[" and text[2] == "]" and text[1] not in "\\^[]":
        return text[1]
    return None


def java_split(pattern: Any, text: str, limit: int) -> list[str]:
    """``Pattern.split``: an empty match at the start gives no empty first part; trailing empty parts stay."""
    if pattern.pattern == "":
        letters = list(text) or [""]
        if limit > 0 and len(letters) > limit:
            return [*letters[: limit - 1], "".join(letters[limit - 1 :])]
        return letters
    parts: list[str] = []
    at = 0
    for match in pattern.finditer(text):
        if limit > 0 and len(parts) == limit - 1:
            break
        if match.end() == 0:
            continue
        parts.append(text[at : match.start()])
        at = match.end()
    return [*parts, text[at:]]


# ---- entries --------------------------------------------------------------------------------------------
_INT = accepts_type(INTEGER)
_TWO = parameters(("str", STRING_INPUT), ("regexp", STRING_INPUT))
_GROUP = Signature(
    (
        Parameter("str", STRING_INPUT),
        Parameter("regexp", STRING_INPUT),
        Parameter("idx", _INT, default=Literal(1, INTEGER)),
    )
)
_INSTR = Signature(
    (
        Parameter("str", STRING_INPUT),
        Parameter("regexp", STRING_INPUT),
        Parameter("idx", _INT, default=Literal(0, INTEGER)),
    )
)
_REPLACE = Signature(
    (
        Parameter("str", STRING_INPUT),
        Parameter("regexp", STRING_INPUT),
        Parameter("rep", STRING_INPUT),
        Parameter("position", _INT, default=Literal(1, INTEGER)),
    )
)
_SPLIT = Signature(
    (
        Parameter("str", STRING_INPUT),
        Parameter("regex", STRING_INPUT),
        Parameter("limit", _INT, default=Literal(-1, INTEGER)),
    )
)
_ESCAPE = Accept((type(STRING),), (STRING,), '"STRING"', foldable=True)
_LIKE = Signature(
    (
        Parameter("str", STRING_INPUT),
        Parameter("pattern", STRING_INPUT),
        Parameter("escape", _ESCAPE, default=Literal("\\", STRING)),
    )
)
_LIKE_SEVERAL = Signature((Parameter("str", STRING_INPUT), Parameter("pattern", STRING_INPUT)), repeated=1, minimum=2)
STRINGS: DataType = ArrayType(STRING, True)


def _defaulted(name: str, count: int, shown: str) -> Callable[[tuple[str, ...]], str]:
    return lambda names: f"{name}({', '.join(names if len(names) >= count else (*names, shown))})"


def _child_only(name: str) -> Callable[[tuple[str, ...]], str]:
    return lambda names: f"{name}({names[0]})"


def _rlike_name(names: tuple[str, ...]) -> str:
    return f"RLIKE({names[0]}, {names[1]})"


FUNCTIONS: tuple[Function, ...] = (
    Function(("like",), _LIKE, BOOLEAN, _like(False), display=_like_name("LIKE")),
    Function(("ilike",), _LIKE, BOOLEAN, _like(True), display=_ilike_name),
    *[
        Function(
            (name,), _LIKE_SEVERAL, BOOLEAN, _like_several(name.endswith("any"), name.startswith("not")),
            nullable=always_nullable, internal=True, display=_child_only(name),
        )
        for name in ("likeany", "likeall", "notlikeany", "notlikeall")
    ],
    Function(("rlike",), _TWO, BOOLEAN, _rlike, display=_rlike_name),
    Function(("regexp",), _TWO, BOOLEAN, _rlike, display=lambda n: f"REGEXP({n[0]}, {n[1]})"),
    Function(("regexp_like",), _TWO, BOOLEAN, _rlike, display=lambda n: f"REGEXP_LIKE({n[0]}, {n[1]})"),
    Function(("regexp_count",), _TWO, INTEGER, _count),
    Function(("regexp_extract",), _GROUP, STRING, _extract, display=_defaulted("regexp_extract", 3, "1")),
    Function(
        ("regexp_extract_all",), _GROUP, STRINGS, _extract_all, display=_defaulted("regexp_extract_all", 3, "1")
    ),
    Function(("regexp_replace",), _REPLACE, STRING, _replace, display=_defaulted("regexp_replace", 4, "1")),
    Function(("regexp_substr",), _TWO, STRING, _find_first, nullable=always_nullable),
    Function(("regexp_instr",), _INSTR, INTEGER, _position_of, display=_defaulted("regexp_instr", 3, "0")),
    Function(
        ("split",), _SPLIT, ArrayType(STRING, False), _split, display=_defaulted("split", 3, "-1"),
        notes="Patterns of plain text use Polars; others a loop a distinct value.",
    ),
)  # fmt: skip
