"""Window functions against frames worked out row by row."""

from __future__ import annotations

import random
from typing import Any

import pytest
from operator_trees import attribute, long, rows, scan, window

from voltray.proto.expressions import AggregateCall, Call, FrameKind, Literal, SortOrder, WindowFrame
from voltray.proto.operators import Limit, Window
from voltray.proto.types import DOUBLE, INTEGER, LONG, NULL, STRING, ArrayType

G, K, V = attribute("g"), attribute("o"), attribute("v")
F, S = attribute("f", DOUBLE), attribute("s", STRING)
_random = random.Random(1)
DATA = [
    (
        _random.choice([1, 2, None]), _random.choice([None, 1, 2, 3, 4, 5, 8]), _random.choice([None, 1, 2, 3]),
        _random.choice([None, 1.5, 2.5, -1.0]), _random.choice(["a", "b", None]),
    )
    for _ in range(60)
]  # fmt: skip
SCAN = scan((G, K, V, F, S), DATA)
ROWS, RANGE = FrameKind.ROWS, FrameKind.RANGE
FRAMES = [
    WindowFrame(ROWS, None, 0), WindowFrame(ROWS, None, None), WindowFrame(ROWS, -1, 1), WindowFrame(ROWS, 1, 2),
    WindowFrame(ROWS, -3, -2), WindowFrame(ROWS, 0, None), WindowFrame(RANGE, None, 0), WindowFrame(RANGE, 0, None),
    WindowFrame(RANGE, long(-1), long(1)), WindowFrame(RANGE, long(1), long(2)), WindowFrame(RANGE, None, long(-1)),
]  # fmt: skip


def key(value: int | None, ascending: bool) -> tuple[int, int]:
    if value is None:
        return (0, 0) if ascending else (1, 0)
    return (1, value) if ascending else (0, -value)


def frame_of(part: list[tuple], row: int, frame: WindowFrame, ascending: bool) -> list[tuple]:
    if frame.kind is ROWS:
        low = 0 if frame.lower is None else max(0, row + frame.lower)  # type: ignore[operator]
        high = len(part) if frame.upper is None else max(0, row + frame.upper + 1)  # type: ignore[operator]
        return part[low:high]
    return [other for other in part if inside(part[row][1], other[1], frame, ascending)]


def inside(current: Any, other: Any, frame: WindowFrame, ascending: bool) -> bool:
    for bound, sign in ((frame.lower, 1), (frame.upper, -1)):
        if bound is None:
            continue
        offset = bound.value if isinstance(bound, Literal) else bound
        if offset == 0 or current is None or other is None:
            mine, theirs = key(current, ascending), key(other, ascending)
            if (theirs < mine) if sign == 1 else (theirs > mine):
                return False
        else:
            target = (current if ascending else -current) + offset
            if sign * ((other if ascending else -other) - target) < 0:
                return False
    return True


def value_of(name: str, values: list[Any]) -> Any:
    known = [v for v in values if v is not None]
    edge = {"first": values[:1], "last": values[-1:]}
    if name in edge:
        return edge[name][0] if edge[name] else None
    if name in ("count", "collect_list"):
        return len(known) if name == "count" else known
    if not known:
        return None
    return {"sum": sum, "min": min, "max": max, "avg": lambda k: sum(k) / len(k)}[name](known)


@pytest.mark.parametrize("ascending", [True, False])
@pytest.mark.parametrize("name", ["count", "sum", "avg", "min", "max", "first", "last", "collect_list"])
@pytest.mark.parametrize("position", [2, 3, 4])
def test_aggregates_over_frames(name: str, position: int, ascending: bool) -> None:
    argument = (V, F, S)[position - 2]
    if name in ("sum", "avg") and argument is S:
        pytest.skip("no sums of text")
    sums = LONG if argument is V else DOUBLE
    dtype = {"count": LONG, "sum": sums, "avg": DOUBLE, "collect_list": ArrayType(argument.dtype, False)}.get(
        name, argument.dtype
    )
    order = (SortOrder(K, ascending, ascending),)
    items = [window(AggregateCall(name, (argument,), dtype), (G,), order, f) for f in FRAMES]
    found = rows(Window(SCAN, tuple(items)))
    data = sorted(DATA, key=lambda r: (key(r[0], True), key(r[1], ascending)))
    assert [r[:5] for r in found] == data
    parts: dict[Any, list[tuple]] = {}
    for row in data:
        parts.setdefault(row[0], []).append(row)
    for column, frame in enumerate(FRAMES):
        wanted = [
            value_of(name, [r[position] for r in frame_of(part, i, frame, ascending)])
            for part in parts.values()
            for i in range(len(part))
        ]
        assert [r[5 + column] for r in found] == [pytest.approx(w) if isinstance(w, float) else w for w in wanted]


def test_functions_of_windows_only() -> None:
    """Recorded from Spark: values 1, 1, 2, NULL in order."""
    source = scan((V,), [(1,), (1,), (2,), (None,)])
    order = (SortOrder(V),)
    rows_frame = WindowFrame(ROWS, None, 0)
    no = Literal(None, NULL)
    calls = (
        Call("row_number", (), INTEGER), Call("rank", (), INTEGER), Call("dense_rank", (), INTEGER),
        Call("percent_rank", (), DOUBLE), Call("cume_dist", (), DOUBLE),
        Call("ntile", (Literal(2, INTEGER),), INTEGER), Call("lag", (V, Literal(1, INTEGER), no), LONG),
        Call("lead", (V, Literal(1, INTEGER), long(0)), LONG),
    )  # fmt: skip
    found = rows(Window(source, tuple([window(c, (), order, rows_frame) for c in calls])))
    assert found == [
        (None, 1, 1, 1, 0.0, 0.25, 1, None, 1),
        (1, 2, 2, 2, 0.3333333333333333, 0.75, 1, None, 1),
        (1, 3, 2, 2, 0.3333333333333333, 0.75, 2, 1, 2),
        (2, 4, 4, 3, 1.0, 1.0, 2, 1, 0),
    ]


def test_nulls_are_ignored_where_asked() -> None:
    source = scan((K, V), [(1, None), (2, 7), (3, None), (4, 9)])
    order, frame = (SortOrder(K),), WindowFrame(ROWS, None, None)
    no = Literal(None, NULL)
    items = (
        window(Call("lag", (V, Literal(1, INTEGER), no), LONG), (), order, frame, ignore_nulls=True),
        window(Call("lead", (V, Literal(1, INTEGER), no), LONG), (), order, frame, ignore_nulls=True),
        window(Call("nth_value", (V, Literal(2, INTEGER)), LONG), (), order, frame, ignore_nulls=True),
        window(AggregateCall("first", (V,), LONG), (), order, frame, ignore_nulls=True),
    )
    assert [r[2:] for r in rows(Window(source, items))] == [
        (None, 7, 9, 7), (None, 9, 9, 7), (7, 9, 9, 7), (7, None, 9, 7),
    ]  # fmt: skip


def test_no_rows() -> None:
    item = window(AggregateCall("sum", (V,), LONG), (G,), (SortOrder(K),), WindowFrame(ROWS, None, 0))
    assert rows(Window(Limit(SCAN, 0), (item,))) == []
