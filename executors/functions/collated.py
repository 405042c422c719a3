"""Functions of texts that compare by a collation: what runs in place of the ordinary bodies.

A call runs here where an argument is under a collation other than UTF8_BINARY and its function compares texts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial, reduce
from typing import Any

import polars as pl

from voltray.executors.functions import collated_text as text
from voltray.executors.functions.collation_keys import indeterminate, key_of, key_type, plain_key
from voltray.executors.functions.columns import by_unique_rows
from voltray.executors.functions.evaluation import Evaluation, Rows
from voltray.executors.functions.registry import ANY, Function, parameters
from voltray.proto.collations import INDETERMINATE, Collation, collation_named, collation_of, is_collated
from voltray.proto.expressions import Call, Expression, Literal, dtype_of, nullable_of
from voltray.proto.types import STRING, ArrayType, MapType, StringType, carrier

COMPARING = frozenset(("==", "=", "<=>", "<", "<=", ">", ">=", "in", "between", "equal_null", "array_contains",
                       "array_position", "arrays_overlap", "likeany", "likeall", "notlikeany",
                       "notlikeall"))  # fmt: skip
# Where the pattern stands among the arguments.
_PATTERNS = {
    "like": (1,), "rlike": (1,), "regexp": (1,), "regexp_like": (1,), "regexp_count": (1,), "regexp_extract": (1,),
    "regexp_extract_all": (1,), "regexp_replace": (1,), "regexp_substr": (1,), "regexp_instr": (1,), "split": (1,),
    "str_to_map": (1, 2),
}  # fmt: skip


def keyed(expression: Expression) -> Expression:
    """What an expression is compared by."""
    dtype = dtype_of(expression)
    if not is_collated(dtype):
        return expression
    if isinstance(expression, Literal) and isinstance(dtype, StringType) and dtype.collation != INDETERMINATE:
        value = expression.value
        key = None if value is None else plain_key(collation_named(dtype.collation), value)
        return Literal(key, key_type(dtype))
    return Call("collation_key", (expression,), key_type(dtype), nullable_of(expression))


def _collation(call: Call) -> Collation:
    names = (collation_of(dtype_of(a)) for a in call.args)
    name = next((n for n in names if n not in (None, "UTF8_BINARY")), "UTF8_BINARY")
    if name == INDETERMINATE or name is None:
        raise indeterminate()
    return collation_named(name)


def rewritten(call: Call) -> Call | None:
    """The call as one of a plain function, where it can be said so: comparisons by keys, patterns ignoring case."""
    if call.name in COMPARING:
        return replace(call, args=tuple([keyed(a) for a in call.args]))
    if call.name not in _PATTERNS:
        return None
    ignores_case = _collation(call).ignores_case
    args = [_plain(a) for a in call.args]
    if not ignores_case:
        return replace(call, args=tuple(args))
    if call.name == "like":
        return replace(call, name="ilike", args=tuple(args))
    for place in _PATTERNS[call.name]:
        args[place] = _ignoring_case(args[place])
    return replace(call, args=tuple(args))


def _plain(expression: Expression) -> Expression:
    dtype = dtype_of(expression)
    if not isinstance(dtype, StringType) or not is_collated(dtype):
        return expression
    if isinstance(expression, Literal):
        return Literal(expression.value, STRING)
    return Call("without_collation", (expression,), STRING, nullable_of(expression))


def _ignoring_case(pattern: Expression) -> Expression:
    if isinstance(pattern, Literal):
        return pattern if pattern.value is None else Literal("(?iu)" + pattern.value, STRING)
    return Call("concat", (Literal("(?iu)", STRING), pattern), STRING, nullable_of(pattern))


# ---- texts ---------------------------------------------------------------------------------------------
def _each_row(function: Callable[..., Any]) -> Callable[..., pl.Expr]:
    """A function of a collation and the arguments, for each distinct row without NULLs."""

    def body(evaluation: Evaluation, *values: pl.Expr) -> pl.Expr:
        assert isinstance(evaluation.call, Call)
        collation = _collation(evaluation.call)
        dtype = carrier(evaluation.call.dtype)

        def run(rows: Rows, *columns: pl.Series) -> pl.Series:
            return by_unique_rows(list(columns), partial(function, collation), dtype)

        return evaluation.columnwise(run, *values)

    return body


def _locate(collation: Collation, wanted: str, value: str, start: int) -> int:
    return text.position(collation, value, wanted, start)


def _trimming(side: str, characters_first: bool) -> Callable[..., str]:
    def run(collation: Collation, *values: str) -> str:
        if len(values) == 1:
            return text.trim(collation, " ", values[0], side)
        characters, value = values if characters_first else (values[1], values[0])
        return text.trim(collation, characters, value, side)

    return run


def _extreme(operator: str) -> Callable[..., pl.Expr]:
    """greatest and least: the first of equal ones stays."""

    def body(evaluation: Evaluation, *values: pl.Expr) -> pl.Expr:
        assert isinstance(evaluation.call, Call)
        dtype = evaluation.call.dtype

        def better(best: pl.Expr, value: pl.Expr) -> pl.Expr:
            old, new = key_of(best, dtype), key_of(value, dtype)
            wins = new > old if operator == ">" else new < old
            return pl.when(best.is_null() | wins.fill_null(False)).then(value).otherwise(best)

        return reduce(better, values)

    return body


# ---- arrays -----------------------------------------------------------------------------------------------
def _arrays(function: Callable[..., Any]) -> Callable[..., pl.Expr]:
    """A function of one row's values, each a pair of value and key."""

    def body(evaluation: Evaluation, *values: pl.Expr) -> pl.Expr:
        types = [dtype_of(a) for a in evaluation.call.args]
        columns = [c for v, t in zip(values, types, strict=True) for c in (v, key_of(v, t))]
        nested = [isinstance(t, ArrayType) for t in types]

        def run(rows: Rows, *found: pl.Series) -> pl.Series:
            lists = [c.to_list() for c in found]
            result = [_row(function, nested, cells) for cells in zip(*lists, strict=True)]
            return pl.Series(result, dtype=carrier(evaluation.call.dtype), strict=False)

        return evaluation.columnwise(run, *columns)

    return body


def _row(function: Callable[..., Any], nested: list[bool], cells: tuple[Any, ...]) -> Any:
    if any(c is None for c in cells):
        return None
    arguments: list[Any] = []
    for place, is_array in enumerate(nested):
        value, key = cells[2 * place], cells[2 * place + 1]
        arguments.append(list(zip(value, key, strict=True)) if is_array else (value, key))
    return function(*arguments)


Pairs = list[tuple[Any, Any]]


def _distinct(pairs: Pairs) -> list[Any]:
    first: dict[Any, Any] = {}
    for value, key in pairs:
        first.setdefault(key, value)
    return list(first.values())


def _union(left: Pairs, right: Pairs) -> list[Any]:
    return _distinct(left + right)


def _intersect(left: Pairs, right: Pairs) -> list[Any]:
    keys = {k for _, k in right}
    return _distinct([p for p in left if p[1] in keys])


def _except(left: Pairs, right: Pairs) -> list[Any]:
    keys = {k for _, k in right}
    return _distinct([p for p in left if p[1] not in keys])


def _remove(pairs: Pairs, unwanted: tuple[Any, Any]) -> list[Any]:
    return [v for v, k in pairs if k != unwanted[1]]


def _sorted(pairs: Pairs, order: tuple[Any, Any] = (True, True)) -> list[Any]:
    values = sorted([p for p in pairs if p[0] is not None], key=lambda p: p[1], reverse=not order[0])
    nulls = [None] * (len(pairs) - len(values))
    found = [v for v, _ in values]
    return nulls + found if order[0] else found + nulls


def _array_extreme(pick: Callable[..., Any]) -> Callable[[Pairs], Any]:
    def run(pairs: Pairs) -> Any:
        given = [p for p in pairs if p[0] is not None]
        return pick(given, key=lambda p: p[1])[0] if given else None

    return run


def _map_value(evaluation: Evaluation, pairs: pl.Expr, wanted: pl.Expr) -> pl.Expr:
    """The value of the first key that equals."""
    types = [dtype_of(a) for a in evaluation.call.args]
    dtype = types[0]
    assert isinstance(dtype, MapType)
    keys = pairs.map.keys()
    found = [key_of(keys, ArrayType(dtype.keyType)), pairs.map.values(), key_of(wanted, dtype.keyType)]

    def run(rows: Rows, *columns: pl.Series) -> pl.Series:
        cells = zip(*[c.to_list() for c in columns], strict=True)
        result = [None if ks is None or w is None or w not in ks else vs[ks.index(w)] for ks, vs, w in cells]
        return pl.Series(result, dtype=carrier(dtype.valueType), strict=False)

    return evaluation.columnwise(run, *found)


_BODIES: dict[str, Callable[..., pl.Expr]] = {
    "contains": _each_row(text.contains),
    "startswith": _each_row(text.starts_with),
    "endswith": _each_row(text.ends_with),
    "instr": _each_row(text.position),
    "locate": _each_row(_locate),
    "position": _each_row(_locate),
    "replace": _each_row(text.replace),
    "translate": _each_row(text.translate),
    "split_part": _each_row(text.split_part),
    "substring_index": _each_row(text.substring_index),
    "find_in_set": _each_row(text.find_in_set),
    "trim": _each_row(_trimming("both", True)),
    "ltrim": _each_row(_trimming("leading", True)),
    "rtrim": _each_row(_trimming("trailing", True)),
    "btrim": _each_row(_trimming("both", False)),
    "greatest": _extreme(">"),
    "least": _extreme("<"),
    "get_map_value": _map_value,
    "array_distinct": _arrays(_distinct),
    "array_union": _arrays(_union),
    "array_intersect": _arrays(_intersect),
    "array_except": _arrays(_except),
    "array_remove": _arrays(_remove),
    "sort_array": _arrays(_sorted),
    "array_max": _arrays(_array_extreme(max)),
    "array_min": _arrays(_array_extreme(min)),
}
NAMES = COMPARING | frozenset(_PATTERNS) | frozenset(_BODIES)


def is_collated_call(call: Call) -> bool:
    """Whether a call compares texts otherwise than by their bytes."""
    return call.name in NAMES and any(is_collated(dtype_of(a)) for a in call.args)


def collated_body(name: str) -> Callable[..., pl.Expr]:
    """The body of a function over collated texts."""
    return _BODIES[name]


# ---- entries -------------------------------------------------------------------------------------------
def _key(evaluation: Evaluation, value: pl.Expr) -> pl.Expr:
    return key_of(value, dtype_of(evaluation.call.args[0]))


def _same(evaluation: Evaluation, value: pl.Expr, *others: pl.Expr) -> pl.Expr:
    return value


FUNCTIONS: tuple[Function, ...] = (
    Function(("collation_key",), parameters(("expr", ANY)), STRING, _key, internal=True),
    Function(("without_collation",), parameters(("expr", ANY)), STRING, _same, internal=True),
)
