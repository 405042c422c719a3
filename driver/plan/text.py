"""Plans as text, for ``explain``: a tree with one line a node, in Spark's manner."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import fields, is_dataclass
from typing import Any

from voltray.driver.plan import expressions as u
from voltray.driver.plan import logical as l
from voltray.driver.plan.redaction import REDACTED, is_secret
from voltray.driver.plan.relations import Relation
from voltray.driver.plan.streaming import StreamScan, Watermark
from voltray.proto import expressions as e
from voltray.proto.types import DataType, LongType, StringType

MAX_TEXT = 4000
_INFIX = frozenset(
    (
        "+",
        "-",
        "*",
        "/",
        "%",
        "div",
        "==",
        "<=>",
        "<",
        "<=",
        ">",
        ">=",
        "and",
        "or",
        "&",
        "|",
        "^",
        "like",
        "rlike",
    )
)
_SHOWN_INFIX = {"==": "=", "and": "AND", "or": "OR", "like": "LIKE", "rlike": "RLIKE"}


def plan_text(plan: Any, note: Callable[[Any], str] | None = None) -> str:
    """A logical plan or an unresolved relation as an indented tree; ``note`` adds a word behind each node."""
    lines: list[str] = []
    stack: list[tuple[Any, str, str]] = [(plan, "", "")]
    while stack:
        node, first, others = stack.pop()
        lines.append(first + _line(node) + (note(node) if note is not None else ""))
        children = _children(node)
        for place, child in reversed(list(enumerate(children))):
            last = place == len(children) - 1
            stack.append((child, others + ("+- " if last else ":- "), others + ("   " if last else ":  ")))
    return "\n".join(lines) + "\n"


def schema_line(plan: l.LogicalPlan) -> str:
    """The output of an analysed plan as ``explain`` heads it."""
    return ", ".join(f"{a.name}: {a.dtype.simpleString()}" for a in plan.output)


def expression_text(expression: Any) -> str:
    """An expression, resolved or not, as ``explain`` writes it."""
    writer = _WRITERS.get(type(expression))
    if writer is not None:
        return writer(expression)
    if isinstance(expression, u.Unresolved):
        return "'" + _generic(expression)
    return _generic(expression)


def _children(node: Any) -> list[Any]:
    if isinstance(node, l.LogicalPlan):
        return list(l.children_of(node))
    found: list[Any] = []
    for entry in fields(node):
        value = getattr(node, entry.name)
        values = value if isinstance(value, tuple) else (value,)
        found.extend(v for v in values if isinstance(v, Relation))
    return found


def _line(node: Any) -> str:
    if isinstance(node, l.LogicalPlan):
        writer = _NODES.get(type(node))
        text = writer(node) if writer is not None else f"{type(node).__name__} {_fields(node, _PLAN_FIELDS)}"
    else:
        text = f"'{type(node).__name__} {_fields(node, _RELATION_FIELDS)}"
    text = text.rstrip()
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + "..."


_PLAN_FIELDS = frozenset(("child", "left", "right", "children", "data"))
_RELATION_FIELDS = frozenset(("plan_id", "origin", "chunks"))


def _fields(node: Any, left_out: frozenset[str]) -> str:
    shown: list[str] = []
    for entry in fields(node):
        value = getattr(node, entry.name)
        if entry.name in left_out or isinstance(value, Relation) or value in (None, (), ""):
            continue
        if isinstance(value, tuple) and isinstance(value[0], Relation):
            continue
        shown.append(_value(value))
    return ", ".join(shown)


def _value(value: Any) -> str:
    match value:
        case e.Expression():
            return expression_text(value)
        case (str() as name, str()) if is_secret(name):
            return f"[{name}, {REDACTED}]"
        case tuple() | list():
            return "[" + ", ".join(_value(v) for v in value) + "]"
        case DataType():
            return value.simpleString()
        case l.LogicalPlan() | Relation():
            return "(" + " ".join(plan_text(value).split()) + ")"
        case bytes():
            return f"<{len(value)} bytes>"
    return str(value)


def _generic(expression: Any) -> str:
    if not is_dataclass(expression):
        return str(expression)
    left_out = frozenset(("origin", "plan_id", "dtype", "nullable", "mode", "is_operator", "is_internal"))
    return f"{type(expression).__name__}({_fields(expression, left_out)})"


def _attribute(attribute: e.Attribute) -> str:
    return f"{attribute.name}#{attribute.expr_id}" + ("L" if isinstance(attribute.dtype, LongType) else "")


def _alias(alias: e.Alias) -> str:
    mark = "L" if isinstance(alias.dtype, LongType) else ""
    return f"{expression_text(alias.child)} AS {alias.name}#{alias.expr_id}{mark}"


def _literal(literal: e.Literal) -> str:
    if literal.value is None:
        return "null"
    if isinstance(literal.dtype, StringType):
        return str(literal.value)
    return str(literal.value).lower() if isinstance(literal.value, bool) else _value(literal.value)


def _call(call: e.Call) -> str:
    args = [expression_text(a) for a in call.args]
    if call.name in _INFIX and len(args) == 2:
        return f"({args[0]} {_SHOWN_INFIX.get(call.name, call.name)} {args[1]})"
    if call.name == "not":
        return f"NOT {args[0]}"
    return f"{call.name}({', '.join(args)})"


def _aggregate_call(call: e.AggregateCall) -> str:
    distinct = "distinct " if call.distinct else ""
    condition = f" FILTER (WHERE {expression_text(call.filter)})" if call.filter is not None else ""
    return f"{call.name}({distinct}{_list(call.args)}){condition}"


def _sort_order(order: e.SortOrder) -> str:
    direction = "ASC" if order.ascending else "DESC"
    return f"{expression_text(order.child)} {direction} NULLS {'FIRST' if order.nulls_first else 'LAST'}"


def _window_call(call: e.WindowCall) -> str:
    parts = [_list(call.partition_by), _list(call.order_by), _frame(call.frame)]
    return f"{expression_text(call.function)} windowspecdefinition({', '.join(p for p in parts if p)})"


def _frame(frame: e.WindowFrame) -> str:
    return f"specifiedwindowframe({frame.kind.name.title()}Frame, {_bound(frame.lower)}, {_bound(frame.upper)})"


def _bound(bound: Any) -> str:
    return "unbounded" if bound is None else "currentrow()" if bound == 0 else _value(bound)


def _function(call: u.UnresolvedFunction) -> str:
    distinct = "distinct " if call.distinct else ""
    return f"'{'.'.join(call.name)}({distinct}{_list(call.args)})"


def _list(expressions: Iterable[Any]) -> str:
    return ", ".join(expression_text(x) for x in expressions)


_WRITERS: dict[type, Callable[[Any], str]] = {
    e.Attribute: _attribute,
    e.Alias: _alias,
    e.Literal: _literal,
    e.Call: _call,
    e.AggregateCall: _aggregate_call,
    e.WindowCall: _window_call,
    e.SortOrder: _sort_order,
    e.Cast: lambda x: f"cast({expression_text(x.child)} as {x.dtype.simpleString()})",
    e.OuterReference: lambda x: f"outer({expression_text(x.attribute)})",
    e.LambdaVariable: lambda x: f"lambda {x.name}#{x.expr_id}",
    e.Lambda: lambda x: f"lambdafunction({expression_text(x.body)}, {_list(x.parameters)})",
    u.UnresolvedAttribute: lambda x: "'" + ".".join(x.parts),
    u.UnresolvedStar: lambda x: ".".join((*x.target, "*")),
    u.UnresolvedFunction: _function,
    u.UnresolvedAlias: lambda x: f"{expression_text(x.child)} AS {', '.join(x.names)}",
    u.UnresolvedCast: lambda x: f"cast({expression_text(x.child)} as {x.dtype.simpleString()})",
    u.ExpressionString: lambda x: f"'{x.text}",
}


def _output(node: l.LogicalPlan) -> str:
    return f"[{_list(node.output)}]"


def _file_scan(scan: l.FileScan) -> str:
    name = ".".join(scan.table)
    pushed = f", PushedFilters: [{expression_text(scan.predicate)}]" if scan.predicate is not None else ""
    bound = f", Limit: {scan.limit}" if scan.limit is not None else ""
    return f"Relation {name}{_output(scan)} {scan.format}, Files: {len(scan.files)}{pushed}{bound}"


def _range(node: l.Range) -> str:
    splits = f"Some({node.num_partitions})" if node.num_partitions is not None else "None"
    return f"Range ({node.start}, {node.end}, step={node.step}, splits={splits})"


def _join(node: l.Join) -> str:
    kind = {"left": "LeftOuter", "right": "RightOuter", "full": "FullOuter"}.get(node.kind)
    name = kind or "".join(p.title() for p in node.kind.split("_"))
    condition = f", {expression_text(node.condition)}" if node.condition is not None else ""
    hint = f", rightHint=({node.hint})" if node.hint else ""
    return f"Join {name}{condition}{hint}"


def _limit(node: l.Limit) -> str:
    if node.tail:
        return f"Tail {node.limit}"
    offset = f" Offset {node.offset}" if node.offset else ""
    return (f"GlobalLimit {node.limit}" if node.limit is not None else "") + offset


_NODES: dict[type, Callable[[Any], str]] = {
    l.OneRow: lambda n: "OneRowRelation",
    l.LocalData: lambda n: f"LocalRelation {_output(n)}",
    l.CachedData: lambda n: f"InMemoryRelation {_output(n)}",
    l.Range: _range,
    l.FileScan: _file_scan,
    StreamScan: lambda n: f"StreamingRelation {n.name}, {_output(n)}",
    Watermark: lambda n: f"EventTimeWatermark {expression_text(n.column)}, {n.delay}",
    l.Project: lambda n: f"Project [{_list(n.items)}]",
    l.Filter: lambda n: f"Filter {expression_text(n.condition)}",
    l.Join: _join,
    l.Aggregate: lambda n: (
        f"Aggregate [{_list(n.groups)}], {_output(n)[:-1]}]"
        if not n.aggregates
        else f"Aggregate [{_list(n.groups)}], [{_list((*n.groups, *n.aggregates))}]"
    ),
    l.Window: lambda n: f"Window [{_list(n.items)}]",
    l.Sort: lambda n: f"Sort [{_list(n.orders)}], {str(n.is_global).lower()}",
    l.Limit: _limit,
    l.Union: lambda n: "Union false, false",
    l.Deduplicate: lambda n: f"Deduplicate [{_list(n.keys)}]",
    l.Generate: lambda n: f"Generate {expression_text(n.generator)}, {str(n.outer).lower()}, [{_list(n.attributes)}]",
    l.Sample: lambda n: f"Sample {n.lower}, {n.upper}, {str(n.with_replacement).lower()}, {n.seed}",
    l.SetOperation: lambda n: f"{n.kind.title()}{' All' if n.is_all else ''} {str(n.is_all).lower()}",
}
