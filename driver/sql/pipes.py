"""Pipe operators (``|>``) made into unresolved relations, one function an operator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlglot import exp

from voltray.driver.plan import expressions as u
from voltray.driver.plan import pipes as p
from voltray.driver.plan import relations as r
from voltray.driver.sql import expressions as e
from voltray.driver.sql import queries as q
from voltray.driver.sql.context import SqlText
from voltray.driver.sql.nodes import Pipe, UnpivotClause
from voltray.driver.sql.pivots import convert_pivot
from voltray.proto.failures import ErrorKind, SparkError, spark_error

_OWN_ORDERS = ("order", "sort", "cluster", "distribute")


def convert_pipe(node: Pipe, text: SqlText) -> r.Relation:
    """The relation of a query with its last pipe operator."""
    child = p.PipeInput(text.query(node.this))
    kind = str(node.args["kind"])
    if node.args.get("joins") or node.args.get("laterals"):
        raise text.error(node)
    relation = _OPERATORS[kind](node, child, text)
    if node.args.get("windows"):
        definitions = tuple([q._named_window(w, text) for w in node.args["windows"]])
        relation = r.WindowDefinitions(relation, definitions)
    return q._modified(node, relation, text)


def _refused(condition: str, node: exp.Expression, text: SqlText, key: str = "place", **extra: object) -> SparkError:
    place = node.meta.get(key)
    contexts = (text.fragment(*place),) if place is not None else ()
    return spark_error(condition, ErrorKind.PARSE, contexts=contexts, extra=extra)


def _select(node: Pipe, child: r.Relation, text: SqlText) -> r.Relation:
    select = node.args["operand"]
    relation: r.Relation = p.PipeSelect(child, e.convert_all(select.expressions, text), "SELECT")
    if select.args.get("distinct") is not None:
        relation = r.Deduplicate(relation, (), True)
    for hint in select.args["hint"].expressions if select.args.get("hint") is not None else []:
        relation = q._hint(hint, relation, text)
    return relation


def _extend(node: Pipe, child: r.Relation, text: SqlText) -> r.Relation:
    return p.PipeSelect(child, (u.UnresolvedStar(), *e.convert_all(node.expressions, text)), "EXTEND")


def _set(node: Pipe, child: r.Relation, text: SqlText) -> r.Relation:
    whole = text.fragment(*node.meta["statement"])
    relation = child
    for assignment in node.expressions:
        if len(assignment.this.parts) > 1:
            words = "SQL pipe syntax |> SET operator with multi-part assignment key (only single-part keys are allowed)"
            raise _refused("_LEGACY_ERROR_TEMP_0035", assignment, text, message=words)
        value = e.convert(assignment.expression, text)
        relation = p.PipeSet(relation, assignment.this.name, value, origin=whole)
    return relation


def _drop(node: Pipe, child: r.Relation, text: SqlText) -> r.Relation:
    names = tuple([x.name for x in node.expressions])
    return p.PipeDrop(child, names, origin=text.fragment(*node.meta["statement"]))


def _as(node: Pipe, child: r.Relation, text: SqlText) -> r.Relation:
    return r.SubqueryAlias(child, node.args["operand"].name)


def _where(node: Pipe, child: r.Relation, text: SqlText) -> r.Relation:
    return r.Filter(child, e.convert(node.args["operand"], text))


def _pivot(node: Pipe, child: r.Relation, text: SqlText) -> r.Relation:
    clauses = node.args["clauses"]
    if not clauses:
        raise text.error(node)
    if len({isinstance(c, UnpivotClause) for c in clauses}) > 1:
        raise _refused("NOT_ALLOWED_IN_FROM.UNPIVOT_WITH_PIVOT", node, text, "statement")
    if len(clauses) > 1 or (clauses[0].args.get("alias") is not None and not isinstance(clauses[0], UnpivotClause)):
        raise text.error(node)
    return convert_pivot(clauses[0], child, text)


def _sample(node: Pipe, child: r.Relation, text: SqlText) -> r.Relation:
    return q._sample(node.args["operand"], child, text)


def _join(node: Pipe, child: r.Relation, text: SqlText) -> r.Relation:
    return q._join(node.args["operand"], child, text)


def _organize(node: Pipe, child: r.Relation, text: SqlText) -> r.Relation:
    clauses = node.args["operand"]
    if clauses.args.get("windows"):
        words = {"clauses": "the WINDOW clause"}
        raise _refused("UNSUPPORTED_FEATURE.CLAUSE_WITH_PIPE_OPERATORS", node, text, **words)
    orders = [c for c in _OWN_ORDERS if clauses.args.get(c) is not None]
    if len(orders) > 1 and orders != ["sort", "distribute"]:
        raise _refused("UNSUPPORTED_FEATURE.COMBINATION_QUERY_RESULT_CLAUSES", node, text)
    later = [c for c in ("offset", "limit") if clauses.args.get(c) is not None]
    if orders and later:
        words = {"clause1": f"{orders[0].upper()} BY", "clause2": later[0].upper()}
        raise _refused("MULTIPLE_QUERY_RESULT_CLAUSES_WITH_PIPE_OPERATORS", node, text, **words)
    known = {*_OWN_ORDERS, "offset", "limit", "expressions"}
    if any(value for key, value in clauses.args.items() if key not in known):
        raise text.error(node)
    return q._modified(clauses, child, text)


def _aggregate(node: Pipe, child: r.Relation, text: SqlText) -> r.Relation:
    items, groups = node.expressions, node.args.get("groups") or []
    case = node.args.get("group_kind") or _grouping_call(node)
    if case is not None:
        raise _refused(
            "UNSUPPORTED_FEATURE.PIPE_OPERATOR_AGGREGATE_UNSUPPORTED_CASE", node, text, "statement", case=case
        )
    if not items and not groups:
        words = (
            "The AGGREGATE clause requires a list of aggregate expressions or a list of grouping expressions, or both"
        )
        raise _refused("_LEGACY_ERROR_TEMP_0035", node, text, "statement", message=words)
    return p.PipeAggregate(child, e.convert_all(groups, text), e.convert_all(items, text))


def _grouping_call(node: Pipe) -> str | None:
    for item in node.expressions:
        for call in item.find_all(exp.Anonymous):
            name = str(call.this).upper()
            if name in ("GROUPING", "GROUPING_ID"):
                return name
    return None


_Operator = Callable[[Any, r.Relation, SqlText], r.Relation]
_OPERATORS: Mapping[str, _Operator] = {
    "SELECT": _select,
    "EXTEND": _extend,
    "SET": _set,
    "DROP": _drop,
    "AS": _as,
    "WHERE": _where,
    "PIVOT": _pivot,
    "UNPIVOT": _pivot,
    "TABLESAMPLE": _sample,
    "JOIN": _join,
    "ORGANIZE": _organize,
    "AGGREGATE": _aggregate,
}
