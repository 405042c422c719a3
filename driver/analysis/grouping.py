"""Grouping sets: each row once for each set, the columns outside the set NULL, and a number that says which."""

from __future__ import annotations

from collections.abc import Sequence

from voltray.driver.analysis.aggregation import Frame
from voltray.driver.analysis.errors import analysis_error
from voltray.driver.analysis.resolver import Typed
from voltray.driver.plan import logical
from voltray.proto.expressions import Attribute, Call, Cast, Expression, Literal, new_id
from voltray.proto.types import BYTE, LONG


def expanded(
    plan: logical.LogicalPlan,
    available: tuple[Attribute, ...],
    frame: Frame,
    sets: Sequence[Sequence[int]],
) -> logical.LogicalPlan:
    """The input multiplied by the grouping sets; ``sets`` hold canonical keys of grouping expressions."""
    keys = list(frame.groups)
    sources = [frame.groups[k] for k in keys]
    fresh = [Attribute(new_id(), s.name, s.dtype, True, s.qualifier, s.metadata) for s in sources]
    grouping_id = Attribute(new_id(), "spark_grouping_id", LONG, False)
    duplicates = len({frozenset(s) for s in sets}) < len(sets)
    position = Attribute(new_id(), "_gen_grouping_pos", LONG, False)
    passed = tuple(available)
    projections: list[tuple[Expression, ...]] = []
    for number, chosen in enumerate(sets):
        present = set(chosen)
        values: list[Expression] = [
            s if k in present else Literal(None, s.dtype) for k, s in zip(keys, sources, strict=True)
        ]
        bits = sum(1 << (len(keys) - 1 - i) for i, k in enumerate(keys) if k not in present)
        row: tuple[Expression, ...] = (*passed, *values, Literal(bits, LONG))
        projections.append((*row, Literal(number, LONG)) if duplicates else row)
    attributes = (*passed, *fresh, grouping_id)
    if duplicates:
        attributes = (*attributes, position)
        frame.groups[-1] = position
    frame.grouping_keys = tuple(keys)
    frame.grouping_id = grouping_id
    for key, attribute in zip(keys, fresh, strict=True):
        frame.groups[key] = attribute
    return logical.Expand(plan, tuple(projections), attributes)


def grouping_bit(call: Call, frame: Frame) -> Expression:
    """``grouping(column)``: 1 where the column is not in the row's grouping set."""
    from voltray.driver.analysis.functions import apply_function

    key = frame.keys.of(call.args[0])
    assert frame.grouping_id is not None and frame.resolver is not None
    if key not in frame.grouping_keys:
        shown = ",".join(frame.group_names.get(k, "") for k in frame.grouping_keys)
        raise analysis_error(
            "GROUPING_COLUMN_MISMATCH", None, grouping=f'"{_text(call.args[0])}"', groupingColumns=f'"{shown}"'
        )
    shift = len(frame.grouping_keys) - 1 - frame.grouping_keys.index(key)
    shifted = Typed(frame.grouping_id, "")
    if shift:
        divisor = Typed(Literal(1 << shift, LONG), "")
        shifted = apply_function("div", (shifted, divisor), frame.resolver)
    bit = apply_function("%", (shifted, Typed(Literal(2, LONG), "")), frame.resolver)
    return Cast(bit.expression, BYTE, False)


def grouping_vector(call: Call, frame: Frame) -> Expression:
    """``grouping_id()``: the bits of all grouping columns."""
    assert frame.grouping_id is not None
    keys = tuple([frame.keys.of(a) for a in call.args])
    if keys and keys != frame.grouping_keys:
        given = ",".join(_text(a) for a in call.args)
        shown = ",".join(frame.group_names.get(k, "") for k in frame.grouping_keys)
        raise analysis_error(
            "GROUPING_ID_COLUMN_MISMATCH", None, groupingIdColumn=f'"{given}"', groupByColumns=f'"{shown}"'
        )
    return frame.grouping_id


def _text(expression: Expression) -> str:
    return expression.name if isinstance(expression, (Attribute, Call)) else str(expression)


def grouping_sets(kind: str, keys: Sequence[int], given: Sequence[Sequence[int]]) -> list[list[int]]:
    """The sets of a rollup, a cube, or those given."""
    if kind == "rollup":
        return [list(keys[:n]) for n in range(len(keys), -1, -1)]
    if kind == "cube":
        if len(keys) > 12:
            raise analysis_error("GROUPING_SIZE_LIMIT_EXCEEDED", None, maxSize=12)
        everything = range((1 << len(keys)) - 1, -1, -1)
        return [[k for i, k in enumerate(keys) if bits >> (len(keys) - 1 - i) & 1] for bits in everything]
    return [list(dict.fromkeys(s)) for s in given]
