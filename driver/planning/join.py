"""Joins: by hash with both sides spread alike, by broadcast, or pair by pair."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from voltray.driver.plan import logical
from voltray.driver.plan.statistics import largest_leaf_bytes
from voltray.driver.planning.exchange import gather, number_of_partitions, run_exchange
from voltray.driver.planning.fragment import Fragment, StageResult
from voltray.driver.planning.join_keys import JoinKeys, join_keys
from voltray.driver.planning.runtime_filters import Source, request_for, source_of, thinned
from voltray.driver.planning.settings import BROADCAST_THRESHOLD, size_conf
from voltray.driver.planning.skew import read_skewed
from voltray.proto import operators
from voltray.proto.expressions import Alias, Attribute, to_attribute
from voltray.proto.operators import Operator
from voltray.proto.stages import Exchange

if TYPE_CHECKING:
    from voltray.driver.planning.planner import Planner

# Kinds that are right when each task has some left rows and all right rows, and the mirror image.
_RIGHT_WHOLE = frozenset(("inner", "cross", "left", "left_semi", "left_anti", "existence", "left_single"))
_LEFT_WHOLE = frozenset(("inner", "cross", "right"))
_BROADCAST_BYTES = 10 << 20


def plan_join(planner: Planner, node: logical.Join) -> Fragment:
    """Plan both sides, then the join that suits their sizes; a side that thins out the other one runs before it."""
    keys = join_keys(node.condition, node.left.output, node.right.output)
    source = source_of(planner, node, keys)
    if source is not None:
        joined = _join_thinned(planner, node, keys, source)
    else:
        joined = _join_sides(planner, node, keys, (_side(planner, node, keys, 0), _side(planner, node, keys, 1)))
    if not keys.left_added and not keys.right_added:
        return joined
    return joined.map(lambda task: operators.Project(task, node.output), node.output)


def _side(planner: Planner, node: logical.Join, keys: JoinKeys, side: int) -> Fragment:
    """One side with the keys that are to be computed."""
    plan, added = ((node.left, keys.left_added), (node.right, keys.right_added))[side]
    return _with_keys(planner.plan(plan), added)


def _join_sides(planner: Planner, node: logical.Join, keys: JoinKeys, sides: tuple[Fragment, Fragment]) -> Fragment:
    if sides[0].is_single and sides[1].is_single:
        return _joined(node, keys, *sides)
    if node.null_aware or not keys.left:
        return _join_whole(planner, node, keys, sides)
    return _join_by_keys(planner, node, keys, sides)


def _join_thinned(planner: Planner, node: logical.Join, keys: JoinKeys, source: Source) -> Fragment:
    """Run one side, leave out what meets none of its keys in the scans of the other, then join."""
    first_side, other_side = source.side, 1 - source.side
    plan, other = (node.left, node.right) if first_side == 0 else (node.right, node.left)
    first = _side(planner, node, keys, first_side)
    by_hint = node.hint in ("broadcast", f"broadcast_{('left', 'right')[first_side]}")
    may_be_whole = _may_be_whole(node, first_side)
    whole = may_be_whole and (by_hint or first.bytes <= _threshold(planner))
    count = number_of_partitions(planner, max(first.bytes, largest_leaf_bytes(other, planner.cached_bytes)))
    exchange = Exchange("broadcast", 1) if whole else Exchange("hash", count, _keys_of(keys, first_side))
    request = request_for(planner, source, plan, bloom=not whole or bool(logical.children_of(other)))
    result = run_exchange(planner, first, replace(exchange, summarised=request))
    thin = thinned(source, other, result, request)
    node = replace(node, left=thin) if other_side == 0 else replace(node, right=thin)
    second = _side(planner, node, keys, other_side)
    sides = (first, second) if first_side == 0 else (second, first)
    if whole or (may_be_whole and result.total_bytes <= _threshold(planner)):
        return _with_whole(node, keys, sides, first_side, result)
    return _join_spread(planner, node, keys, sides, first_side, result)


def _with_keys(side: Fragment, added: tuple[Alias, ...]) -> Fragment:
    if not added:
        return side
    items: tuple[Alias | Attribute, ...] = (*side.output, *added)
    output = tuple([to_attribute(i) for i in items])
    return side.map(lambda task: operators.Project(task, items), output)


def _join_by_keys(planner: Planner, node: logical.Join, keys: JoinKeys, sides: tuple[Fragment, Fragment]) -> Fragment:
    left, right = sides
    whole = _broadcast_side(planner, node, left.bytes, right.bytes)
    if whole is not None:
        return _broadcast(planner, node, keys, sides, whole)
    count = number_of_partitions(planner, max(left.bytes, right.bytes))
    smaller = 1 if _may_be_whole(node, 1) and (right.bytes <= left.bytes or not _may_be_whole(node, 0)) else 0
    first = _by_hash(planner, sides[smaller], _keys_of(keys, smaller), count)
    # Its true size is known now: small enough, and the other side can stay where it is.
    if _may_be_whole(node, smaller) and first.total_bytes <= _threshold(planner):
        return _with_whole(node, keys, sides, smaller, first)
    return _join_spread(planner, node, keys, sides, smaller, first)


def _join_spread(
    planner: Planner,
    node: logical.Join,
    keys: JoinKeys,
    sides: tuple[Fragment, Fragment],
    ran: int,
    first: StageResult,
) -> Fragment:
    """Spread the other side as the one that ran, and join partition by partition."""
    second = _by_hash(planner, sides[1 - ran], _keys_of(keys, 1 - ran), len(first.bytes))
    results = (first, second) if ran == 0 else (second, first)
    # A part of one side is joined with all of the other: the kinds in which that other side may be whole.
    may_split = (_may_be_whole(node, 1), _may_be_whole(node, 0))
    left, right = read_skewed(planner, sides, results, (keys.left, keys.right), may_split)
    return _joined(node, keys, left, right)


def _keys_of(keys: JoinKeys, side: int) -> tuple[Attribute, ...]:
    return (keys.left, keys.right)[side]


def _join_whole(planner: Planner, node: logical.Join, keys: JoinKeys, sides: tuple[Fragment, Fragment]) -> Fragment:
    """No keys to spread by: one side goes whole to every task of the other, or all rows into one task."""
    if node.null_aware or _may_be_whole(node, 1):
        smaller_left = not node.null_aware and _may_be_whole(node, 0) and sides[0].bytes < sides[1].bytes
        return _broadcast(planner, node, keys, sides, 0 if smaller_left else 1)
    if _may_be_whole(node, 0):
        return _broadcast(planner, node, keys, sides, 0)
    return _joined(node, keys, gather(planner, sides[0]), gather(planner, sides[1]))


def _may_be_whole(node: logical.Join, side: int) -> bool:
    return node.kind in (_RIGHT_WHOLE if side else _LEFT_WHOLE)


def _threshold(planner: Planner) -> int:
    return size_conf(planner.context, BROADCAST_THRESHOLD, _BROADCAST_BYTES)


def _broadcast_side(planner: Planner, node: logical.Join, left: int, right: int) -> int | None:
    """Which side goes whole to every task: by hint, or the smaller one if it is small."""
    hinted = {"broadcast_left": 0, "broadcast_right": 1}.get(node.hint)
    if node.hint == "broadcast":
        hinted = 1 if right <= left else 0
    if hinted is not None and _may_be_whole(node, hinted):
        return hinted
    sizes = [(right, 1), (left, 0)]
    threshold = _threshold(planner)
    fitting = [(size, side) for size, side in sizes if _may_be_whole(node, side) and size <= threshold]
    return min(fitting, key=lambda pair: pair[0])[1] if fitting else None


def _broadcast(
    planner: Planner, node: logical.Join, keys: JoinKeys, sides: tuple[Fragment, Fragment], whole: int
) -> Fragment:
    side = sides[whole]
    if side.is_single and _is_cheap(side.tasks[0]):
        return _with_operator(node, keys, sides, whole, side.tasks[0])
    result = run_exchange(planner, side, Exchange("broadcast", 1))
    return _with_whole(node, keys, sides, whole, result)


def _is_cheap(task: Operator) -> bool:
    """Whether every task may as well read or make these rows by itself."""
    return isinstance(task, operators.PartitionRead | operators.OneRow)


def _with_whole(
    node: logical.Join, keys: JoinKeys, sides: tuple[Fragment, Fragment], whole: int, result: StageResult
) -> Fragment:
    return _with_operator(node, keys, sides, whole, result.read_all(sides[whole].output))


def _with_operator(
    node: logical.Join, keys: JoinKeys, sides: tuple[Fragment, Fragment], whole: int, build: Operator
) -> Fragment:
    spread = sides[1 - whole]
    copies = Fragment(tuple([build] * len(spread.tasks)), sides[whole].output)
    left, right = (copies, spread) if whole == 0 else (spread, copies)
    return replace(_joined(node, keys, left, right), clustered=spread.clustered)


def _by_hash(planner: Planner, side: Fragment, keys: tuple[Attribute, ...], count: int) -> StageResult:
    return run_exchange(planner, side, Exchange("hash", count, keys))


def _joined(node: logical.Join, keys: JoinKeys, left: Fragment, right: Fragment) -> Fragment:
    tasks = tuple(
        [_join_task(node, keys, a, b, left.output, right.output) for a, b in zip(left.tasks, right.tasks, strict=True)]
    )
    kept_left = node.kind not in ("right", "full")
    return Fragment(tasks, node.output, max(left.bytes, right.bytes), left.clustered if kept_left else None)


def _join_task(
    node: logical.Join,
    keys: JoinKeys,
    left: Operator,
    right: Operator,
    left_output: tuple[Attribute, ...],
    right_output: tuple[Attribute, ...],
) -> Operator:
    kind = "inner" if node.kind == "cross" and (keys.left or keys.residual is not None) else node.kind
    if keys.left:
        return operators.HashJoin(
            left,
            right,
            kind,
            keys.left,
            keys.right,
            keys.null_safe,
            left_output,
            right_output,
            keys.residual,
            node.exists,
            node.null_aware,
        )
    return operators.NestedLoopJoin(left, right, kind, left_output, right_output, keys.residual, node.exists)
