"""Which collation a function's texts are under: explicit before implicit before default (Spark's precedence).

Arguments under another collation than the one that wins are cast to it; where two of equal rank disagree the
result has none, and functions that must compare refuse.
"""

from __future__ import annotations

from dataclasses import replace
from enum import IntEnum

from voltray.driver.analysis.errors import analysis_error, mismatch, ordinal, shown_type
from voltray.driver.analysis.names import Name, literal_sql, text_of
from voltray.driver.analysis.resolver import Typed
from voltray.proto.collations import (
    INDETERMINATE,
    UTF8_BINARY,
    collation_named,
    collation_of,
    is_collated,
    with_collation,
)  # fmt: skip
from voltray.proto.expressions import Call, Cast, EvalMode, Expression, Literal, children_of, dtype_of, nullable_of
from voltray.proto.failures import QueryContext
from voltray.proto.types import STRING, ArrayType, DataType, StringType, type_name


class Strength(IntEnum):
    """How a text came by its collation."""

    DEFAULT = 0
    IMPLICIT = 1
    EXPLICIT = 2


# Which arguments of a function must be under one collation: positions, or every one from a position on.
_ALL = range(1000)
_MERGED: dict[str, range | tuple[int, ...]] = {
    **dict.fromkeys(
        ("==", "=", "<=>", "<", "<=", ">", ">=", "in", "array", "array_join", "concat", "||", "greatest", "least",
         "coalesce", "array_contains", "array_except", "concat_ws", "mask", "replace", "translate", "trim", "ltrim",
         "rtrim", "array_append", "array_intersect", "array_position", "array_remove", "array_union",
         "arrays_overlap", "contains", "endswith", "startswith", "find_in_set", "instr", "str_to_map", "levenshtein",
         "to_number", "try_to_number"), _ALL,
    ),
    "if": (1, 2), "elt": range(1, 1000), "overlay": (0, 1), "regexp_replace": (0, 1, 2), "lpad": (0, 2), "rpad": (0, 2),
    "split_part": (0, 1), "substring_index": (0, 1), "locate": (0, 1), "position": (0, 1), "equal_null": _ALL,
    "when": range(1, 1000, 2), "nullif": (0, 1),
}  # fmt: skip
# The same, but what is shown of their arguments stays as it was written.
_SILENT: dict[str, range | tuple[int, ...]] = {
    "btrim": _ALL, "nvl": _ALL, "ifnull": _ALL, "nvl2": (1, 2), "between": _ALL, "like": (0, 1), "ilike": (0, 1),
    "likeany": _ALL, "likeall": _ALL, "notlikeany": _ALL, "notlikeall": _ALL, "get_map_value": _ALL,
}  # fmt: skip
_REFUSING = frozenset(
    ("==", "=", "<=>", "<", "<=", ">", ">=", "in", "contains", "startswith", "endswith", "instr", "locate", "position",
     "find_in_set", "replace", "translate", "trim", "ltrim", "rtrim", "btrim", "substring_index", "upper", "lower",
     "ucase", "lcase", "initcap", "equal_null"),
)  # fmt: skip
# Spark takes their first argument apart, and with it what its collation came by.
_SHARED = {"nullif": "=", "between": ">="}
_DEFAULTS: dict[str, tuple[int, tuple[str, ...]]] = {
    "replace": (2, ("",)), "lpad": (2, (" ",)), "rpad": (2, (" ",)), "str_to_map": (1, (",", ":")),
    "mask": (1, ("X", "x", "n")),
}  # fmt: skip
# Functions of texts without ICU's collations, and those that take all but the ones that ignore accents alone.
_PATTERNS = frozenset(
    ("like", "ilike", "rlike", "regexp", "regexp_like", "regexp_count", "regexp_extract", "regexp_extract_all",
     "regexp_replace", "regexp_substr", "regexp_instr", "split", "likeany", "likeall", "notlikeany", "notlikeall"),
)  # fmt: skip
_SEARCHING = frozenset(
    ("contains", "startswith", "endswith", "replace", "trim", "ltrim", "rtrim", "btrim", "translate", "str_to_map",
     "instr", "locate", "position", "substring_index", "split_part"),
)  # fmt: skip
_KEEPING = frozenset(
    ("upper", "ucase", "lower", "lcase", "initcap", "substring", "substr", "left", "right", "trim", "ltrim", "rtrim",
     "btrim", "lpad", "rpad", "replace", "translate", "repeat", "reverse", "overlay", "concat", "concat_ws", "elt",
     "substring_index", "split_part", "regexp_replace", "regexp_extract", "regexp_extract_all", "regexp_substr",
     "split", "mask", "sentences", "hex", "make_valid_utf8", "validate_utf8", "try_validate_utf8", "str_to_map",
     "conv", "array_join", "array", "listagg", "string_agg"),
)  # fmt: skip
_FIRST_ONLY = frozenset(("format_string", "printf"))


def strength_of(expression: Expression) -> Strength:
    """How an expression's texts came by their collation."""
    match expression:
        case Literal():
            return Strength.DEFAULT
        case Cast():
            return Strength.IMPLICIT if collation_of(dtype_of(expression.child)) is not None else Strength.DEFAULT
        case Call(name="collate"):
            return Strength.EXPLICIT
        case Call():
            wanted = collation_of(expression.dtype)
            parts = [c for c in children_of(expression) if collation_of(dtype_of(c)) == wanted]
            return max([strength_of(c) for c in parts], default=Strength.DEFAULT)
    return Strength.IMPLICIT


def under_one_collation(
    name: str, arguments: tuple[Typed, ...], shown: Name, origin: QueryContext | None
) -> tuple[Typed, ...]:
    """A call's arguments with the texts among them under the collation that wins; refused where it must have one."""
    if not any(is_collated(a.dtype) or _is_explicit(a.expression) for a in arguments):
        return arguments
    places = _MERGED.get(name) or _SILENT.get(name)
    if places is not None:
        arguments = _with_defaults(name, arguments)
        texts = [p for p in _places(name, places, len(arguments)) if collation_of(arguments[p].dtype) is not None]
        winner = _winner(name, [arguments[p].expression for p in texts], origin)
        if winner == INDETERMINATE and name in _REFUSING | set(_SHARED):
            symbol = _SHARED.get(name)
            shared = f"(commonexpressionref() {symbol} {arguments[1].text})" if symbol else shown
            raise _indeterminate(shared, origin)
        keeps = name in _SILENT or name == "nullif"
        changed = {p: _under(arguments[p], winner, keeps) for p in texts if winner is not None}
        arguments = tuple([changed.get(p, a) for p, a in enumerate(arguments)])
    elif name in _REFUSING and any(collation_of(a.dtype) == INDETERMINATE for a in arguments):
        raise _indeterminate(shown, origin)
    return arguments


def _places(name: str, places: range | tuple[int, ...], count: int) -> list[int]:
    found = [p for p in places if p < count]
    if name == "when" and count % 2:
        found.append(count - 1)
    return found


def _is_explicit(expression: Expression) -> bool:
    return collation_of(dtype_of(expression)) is not None and strength_of(expression) is Strength.EXPLICIT


def _with_defaults(name: str, arguments: tuple[Typed, ...]) -> tuple[Typed, ...]:
    least, values = _DEFAULTS.get(name, (0, ()))
    missing = values[max(len(arguments) - least, 0) :]
    return (*arguments, *[Typed(Literal(v, STRING), v) for v in missing])


def _winner(name: str, expressions: list[Expression], origin: QueryContext | None) -> str | None:
    if not expressions:
        return None
    ranked = [(strength_of(e), collation_of(dtype_of(e)) or UTF8_BINARY) for e in expressions]
    if name in _SHARED:
        ranked[0] = (Strength.DEFAULT, ranked[0][1])
    best = max(s for s, _ in ranked)
    names = list(dict.fromkeys([c for s, c in ranked if s is best]))
    if len(names) == 1:
        return names[0]
    if best is Strength.EXPLICIT:
        shown = ", ".join([type_name(StringType(n)) for n in names])
        raise analysis_error("COLLATION_MISMATCH.EXPLICIT", origin, explicitTypes=shown)
    return INDETERMINATE


def _under(typed: Typed, name: str, keeps_name: bool) -> Typed:
    if collation_of(typed.dtype) == name:
        return typed
    dtype, expression = with_collation(typed.dtype, name), typed.expression
    if isinstance(expression, Literal) and isinstance(dtype, StringType):
        shown = typed.name if keeps_name or expression.value is None else literal_with_collation(expression.value, name)
        return replace(typed, expression=Literal(expression.value, dtype), name=shown)
    return replace(typed, expression=Cast(expression, dtype, nullable_of(expression), EvalMode.ANSI))


def literal_with_collation(value: str, name: str) -> str:
    """A constant under a collation, as generated names show it."""
    text = literal_sql(value, STRING, "UTC")
    return value if name == UTF8_BINARY else f"{text} collate {name}"


def _indeterminate(shown: Name, origin: QueryContext | None) -> Exception:
    return analysis_error("INDETERMINATE_COLLATION_IN_EXPRESSION", origin, expr=f'"{text_of(shown)}"')


def check_collations(name: str, arguments: tuple[Typed, ...], shown: Name, origin: QueryContext | None) -> None:
    """UNEXPECTED_INPUT_TYPE where a function does not work under the collation of an argument."""
    if name not in _PATTERNS and name not in _SEARCHING:
        return
    if name in _SEARCHING and len(arguments) == 1:
        return
    for place, argument in enumerate(arguments):
        if not isinstance(argument.dtype, StringType) or argument.dtype.collation in (UTF8_BINARY, INDETERMINATE):
            continue
        collation = collation_named(argument.dtype.collation)
        ignores_only_accents = collation.ignores_accents and not collation.ignores_case
        if collation.locale is not None and (name in _PATTERNS or ignores_only_accents):
            raise mismatch(
                "UNEXPECTED_INPUT_TYPE", text_of(shown), origin, paramIndex=ordinal(place), requiredType='"STRING"',
                inputSql=f'"{argument.text}"', inputType=shown_type(argument.dtype),
            )  # fmt: skip


def collated_result(name: str, args: tuple[Expression, ...], result: DataType) -> DataType:
    """A function's type with the collation of its arguments, where it keeps one."""
    if collation_of(result) != UTF8_BINARY and name != "str_to_map":
        return result
    given = args[:1] if name in _FIRST_ONLY else args if name in _KEEPING else ()
    found = next((c for a in given if (c := collation_of(dtype_of(a))) not in (None, UTF8_BINARY)), None)
    if found is None:
        return result
    if name == "str_to_map":
        from voltray.proto.collations import map_strings

        return map_strings(result, lambda _: StringType(found))
    return with_collation(result, found) if isinstance(result, (StringType, ArrayType)) else result
