"""sqlglot's queries made into unresolved relations."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

from sqlglot import exp

from voltray.driver.plan import expressions as u
from voltray.driver.plan import relations as r
from voltray.driver.sql import expressions as e
from voltray.driver.sql import windows
from voltray.driver.sql.common_tables import with_relation
from voltray.driver.sql.context import SqlText
from voltray.driver.sql.nodes import Pipe
from voltray.driver.sql.pivots import convert_pivot
from voltray.driver.sql.samples import convert_sample
from voltray.proto.expressions import Expression, Literal
from voltray.proto.failures import ErrorKind, spark_error
from voltray.proto.types import INTEGER


def convert_query(node: exp.Expression, text: SqlText) -> r.Relation:
    """The relation of a query, a FROM item or a subquery node."""
    converter = _QUERIES.get(type(node))
    if converter is None:
        raise text.error(node)
    relation = converter(node, text)
    with_clause = node.args.get("with_")
    return with_relation(with_clause, relation, text) if with_clause is not None else relation


# ---- SELECT ---------------------------------------------------------------------------------------
def _select(node: exp.Select, text: SqlText) -> r.Relation:
    relation = _from(node, text)
    for lateral in node.args.get("laterals") or []:
        relation = _lateral_view(lateral, relation, text)
    if node.args.get("where") is not None:
        relation = r.Filter(relation, e.convert(node.args["where"].this, text))
    items = e.convert_all(node.expressions, text)
    relation = _grouped(node, relation, items, text)
    if node.args.get("windows"):
        refuse_repeated(node.args["windows"])
        relation = r.WindowDefinitions(relation, tuple([_named_window(w, text) for w in node.args["windows"]]))
    if node.args.get("qualify") is not None:
        raise text.error(node.args["qualify"])
    if node.args.get("distinct") is not None:
        relation = r.Deduplicate(relation, (), True)
    relation = _modified(node, relation, text)
    for hint in node.args["hint"].expressions if node.args.get("hint") is not None else []:
        relation = _hint(hint, relation, text)
    return relation


def _grouped(node: exp.Select, child: r.Relation, items: tuple[Expression, ...], text: SqlText) -> r.Relation:
    group, having = node.args.get("group"), node.args.get("having")
    relation: r.Relation
    if group is not None:
        relation = _aggregate(group, child, items, text)
    else:
        relation = r.Project(child, items)
    if having is not None:
        relation = r.Filter(relation, e.convert(having.this, text), is_having=True)
    return relation


def _aggregate(group: exp.Group, child: r.Relation, items: tuple[Expression, ...], text: SqlText) -> r.Relation:
    if group.args.get("all"):
        return r.Aggregate(child, "all", (), items, prepend_groups=False)
    elements = list(group.expressions)
    for name in ("grouping_sets", "cube", "rollup"):
        elements += group.args.get(name) or []
    if not any(isinstance(x, (exp.GroupingSets, exp.Cube, exp.Rollup)) for x in elements):
        groups = e.convert_all(elements, text)
        return r.Aggregate(child, "groupby", groups, items, prepend_groups=False)
    if isinstance(elements[-1], exp.Cube | exp.Rollup) and not elements[-1].expressions:
        # GROUP BY a, b WITH CUBE
        elements = [type(elements[-1])(expressions=elements[:-1])]
    alternatives = [_grouping_sets(x, text) for x in elements]
    named = [x for s in alternatives for x in s]
    if group.args.get("grouping_sets"):
        # GROUP BY a, b GROUPING SETS (...): the plain elements only name what the sets use.
        alternatives = alternatives[-1:]
    sets = [tuple(itertools.chain.from_iterable(choice)) for choice in itertools.product(*alternatives)]
    groups = tuple(dict.fromkeys(itertools.chain.from_iterable(named)))
    return r.Aggregate(child, "grouping_sets", groups, items, grouping_sets=tuple(sets), prepend_groups=False)


def _grouping_sets(node: exp.Expression, text: SqlText) -> list[tuple[Expression, ...]]:
    if isinstance(node, exp.GroupingSets):
        return list(itertools.chain.from_iterable([_nested_sets(x, text) for x in node.expressions]))
    if isinstance(node, (exp.Cube, exp.Rollup)):
        members = [_members(x, text) for x in node.expressions]
        if not all(members):
            origin, element = text.origin(node), type(node).__name__.upper()
            contexts = (origin,) if origin is not None else ()
            raise spark_error("_LEGACY_ERROR_TEMP_0051", ErrorKind.PARSE, element=element, contexts=contexts)
        if isinstance(node, exp.Rollup):
            choices = [members[:size] for size in range(len(members), -1, -1)]
        else:
            sizes = range(len(members), -1, -1)
            choices = [list(c) for size in sizes for c in itertools.combinations(members, size)]
        return [tuple(itertools.chain.from_iterable(c)) for c in choices]
    return [(e.convert(node, text),)]


def _nested_sets(node: exp.Expression, text: SqlText) -> list[tuple[Expression, ...]]:
    if isinstance(node, (exp.GroupingSets, exp.Cube, exp.Rollup)):
        return _grouping_sets(node, text)
    return [_members(node, text)]


def _members(node: exp.Expression, text: SqlText) -> tuple[Expression, ...]:
    if isinstance(node, exp.Tuple):
        return e.convert_all(node.expressions, text)
    return (e.convert(node, text),)


def refuse_repeated(windows: list[exp.Window]) -> None:
    """A WINDOW clause defines a name once."""
    names = [w.this.name for w in windows]
    for name in names:
        if names.count(name) > 1:
            condition = "INVALID_SQL_SYNTAX.REPETITIVE_WINDOW_DEFINITION"
            raise spark_error(condition, ErrorKind.PARSE, windowName=f"`{name}`")


def _named_window(node: exp.Window, text: SqlText) -> tuple[str, Expression]:
    order = node.args.get("order")
    window = u.UnresolvedWindow(
        Literal(None, INTEGER),
        e.convert_all(node.args.get("partition_by") or [], text),
        windows.orders(order, text) if order is not None else (),
        windows.frame(node.args.get("spec"), text),
        window_name=node.args["alias"].name if node.args.get("alias") is not None else None,
    )
    return node.this.name, window


def _hint(node: exp.Expression, child: r.Relation, text: SqlText) -> r.Relation:
    if not isinstance(node, exp.Expression):  # a hint that sqlglot could not read stays text
        raise spark_error("PARSE_SYNTAX_ERROR", ErrorKind.PARSE, error=f"'{str(node)[:40]}'", hint="")
    name = node.this if isinstance(node.this, str) else node.name
    arguments = [a for a in node.expressions if isinstance(a, exp.Expression)]
    return r.Hint(child, str(name), e.convert_all(arguments, text) if isinstance(node, exp.Anonymous) else ())


def _modified(node: exp.Expression, relation: r.Relation, text: SqlText) -> r.Relation:
    """ORDER BY and its kin, LIMIT and OFFSET behind a query."""
    for name, is_global in (("cluster", False), ("distribute", False), ("sort", False), ("order", True)):
        clause = node.args.get(name)
        if clause is None:
            continue
        keys = windows.orders(clause, text)
        if name in ("cluster", "distribute"):
            relation = r.RepartitionByExpression(relation, tuple([k.child for k in keys]), None)
        if name != "distribute":
            relation = r.Sort(relation, keys, is_global)
    if node.args.get("offset") is not None:
        count = node.args["offset"].expression
        relation = r.Offset(relation, e.convert(count, text), origin=text.origin(count))
    limit = node.args.get("limit")
    if limit is not None and not _is_all(limit.expression):
        count = limit.expression
        relation = r.Limit(relation, e.convert(count, text), origin=text.origin(count))
    return relation


def _is_all(node: exp.Expression | None) -> bool:
    return node is not None and node.name.upper() == "ALL" and not isinstance(node, exp.Literal)


# ---- FROM -----------------------------------------------------------------------------------------
def _from(node: exp.Select, text: SqlText) -> r.Relation:
    clause = node.args.get("from_")
    if clause is None:
        return r.OneRow()
    relation = _from_item(clause.this, text)
    for join in node.args.get("joins") or []:
        relation = _join(join, relation, text)
    return relation


def _from_item(node: exp.Expression, text: SqlText) -> r.Relation:
    """A table, or a query in parentheses, whose own names end there even where it has no alias."""
    relation = convert_query(node, text)
    if not isinstance(node, exp.Subquery) or node.args.get("alias") is not None:
        return relation
    if node.args.get("joins") or node.args.get("pivots") or not isinstance(node.this, _WHOLE_QUERIES):
        return relation
    return r.SubqueryAlias(relation, UNNAMED)


UNNAMED = "__auto_generated_subquery_name"
_WHOLE_QUERIES = (exp.Select, exp.SetOperation, exp.Values, Pipe)
_SIDES = {"": "inner", "LEFT": "left", "RIGHT": "right", "FULL": "full"}
_LATERAL_REFUSED = {
    "right": "RIGHT OUTER", "full": "FULL OUTER", "left_semi": "LEFT SEMI", "left_anti": "LEFT ANTI",
}  # fmt: skip
"""Joins whose other side cannot refer to the left one, as Spark names them."""


def _join(node: exp.Join, left: r.Relation, text: SqlText) -> r.Relation:
    lateral = isinstance(node.this, exp.Lateral)
    right = _from_item(node.this, text)
    kind, side = str(node.kind or "").upper(), str(node.side or "").upper()
    natural = str(node.args.get("method") or "").upper() == "NATURAL"
    if kind in ("SEMI", "ANTI"):
        name = f"left_{kind.lower()}"
    elif kind == "CROSS":
        name = "cross"
    else:
        name = _SIDES[side]
    condition = e.convert(node.args["on"], text) if node.args.get("on") is not None else None
    using = tuple([i.name for i in node.args.get("using") or []])
    if natural and kind == "CROSS":
        raise spark_error("INCOMPATIBLE_JOIN_TYPES", ErrorKind.PARSE, joinType1="NATURAL", joinType2="CROSS")
    if lateral and name not in ("inner", "cross", "left"):
        joined = _LATERAL_REFUSED[name]
        place = text.origin(node)
        contexts = () if place is None else (place,)
        raise spark_error("INVALID_LATERAL_JOIN_TYPE", ErrorKind.PARSE, contexts=contexts, joinType=joined)
    if lateral and natural:
        raise spark_error("INCOMPATIBLE_JOIN_TYPES", ErrorKind.PARSE, joinType1="LATERAL", joinType2="NATURAL")
    if lateral and using:
        raise spark_error("UNSUPPORTED_FEATURE.LATERAL_JOIN_USING", ErrorKind.PARSE)
    return r.Join(left, right, name, condition, using, natural, lateral)


def _table(node: exp.Table, text: SqlText) -> r.Relation:
    relation: r.Relation
    if isinstance(node.this, exp.Anonymous):
        arguments = tuple([e._argument(a, text) for a in node.this.expressions])
        qualifier = tuple([p.name for p in node.parts[:-1]])
        place = text.origin(node if qualifier else node.this)
        relation = r.TableFunction((*qualifier, str(node.this.this)), arguments, origin=place)
    elif isinstance(node.this, (exp.Window, exp.Func)):
        raise text.error(node)
    else:
        parts = tuple([p.name for p in node.parts])
        relation = r.NamedTable(parts, origin=text.origin(node))
    return _decorated(node, relation, text)


def _decorated(node: exp.Expression, relation: r.Relation, text: SqlText) -> r.Relation:
    """Samples, joins inside parentheses, lateral views, pivots and the alias of a FROM item."""
    sample = node.args.get("sample")
    if sample is not None:
        relation = _sample(sample, relation, text)
    for lateral in node.args.get("laterals") or []:
        relation = _lateral_view(lateral, relation, text)
    pivots = node.args.get("pivots") or []
    relation = _aliased(node, relation)
    for pivot in pivots:
        relation = convert_pivot(pivot, relation, text)
    for join in node.args.get("joins") or []:
        relation = _join(join, relation, text)
    return relation


def _aliased(node: exp.Expression, relation: r.Relation) -> r.Relation:
    alias = node.args.get("alias")
    if alias is None:
        return relation
    columns = tuple([c.name for c in alias.args.get("columns") or []])
    name = alias.name
    if not name and not columns:
        return relation
    return r.SubqueryAlias(relation, name or "__auto_generated_subquery_name", columns=columns)


def _subquery(node: exp.Subquery, text: SqlText) -> r.Relation:
    relation = convert_query(node.this, text)
    if node.args.get("alias") is None and isinstance(node.this, (exp.Table, exp.Subquery)) is False:
        relation = _modified(node, relation, text)
    return _decorated(node, relation, text)


def _lateral(node: exp.Lateral, text: SqlText) -> r.Relation:
    if isinstance(node.this, exp.Subquery):
        relation = convert_query(node.this, text)
    else:
        arguments = tuple([e._argument(a, text) for a in node.this.expressions])
        relation = r.TableFunction((str(node.this.this),), arguments, origin=text.origin(node.this))
    return _aliased(node, relation)


def _lateral_view(node: exp.Lateral, child: r.Relation, text: SqlText) -> r.Relation:
    alias = node.args.get("alias")
    columns = tuple([c.name for c in alias.args.get("columns") or []]) if alias is not None else ()
    name = alias.name if alias is not None and alias.this is not None else None
    return r.LateralView(child, e.convert(node.this, text), name, columns, bool(node.args.get("outer")))


def _values(node: exp.Values, text: SqlText) -> r.Relation:
    node = _with_alias_of_last(node)
    rows = [_cells(x) for x in node.expressions]
    parts: list[r.Relation] = []
    for row in rows:
        cells = [u.UnresolvedAlias(e.convert(cell, text), (f"col{i}",)) for i, cell in enumerate(row, start=1)]
        parts.append(r.Project(r.OneRow(), tuple(cells)))
    alias = node.args.get("alias")
    names = tuple([c.name for c in alias.args.get("columns") or []]) if alias is not None else ()
    table = r.InlineTable(_balanced_union(parts), names, origin=text.origin(node))
    return _decorated(node, table, text)


def _with_alias_of_last(node: exp.Values) -> exp.Values:
    """sqlglot reads ``VALUES 1, 2 AS t(a)`` as an alias of its last row alone."""
    last = node.expressions[-1] if node.expressions else None
    cell = last.expressions[0] if isinstance(last, exp.Tuple) and len(last.expressions) == 1 else None
    alias = node.args.get("alias")
    if not isinstance(cell, exp.Alias) or (alias is not None and alias.this is not None):
        return node
    changed = node.copy()
    columns = [] if alias is None else alias.args.get("columns")
    changed.set("alias", exp.TableAlias(this=exp.to_identifier(cell.alias), columns=columns))
    changed.expressions[-1].set("expressions", [cell.this.copy()])
    return changed


def _cells(row: exp.Expression) -> list[exp.Expression]:
    """A row's cells: ``(a, b)``, ``struct(a, b)`` or one value alone."""
    cells = row.expressions if isinstance(row, exp.Tuple) else [row]
    only = cells[0] if len(cells) == 1 else None
    if isinstance(only, exp.Anonymous) and str(only.this).lower() == "struct" and only.expressions:
        return [c.this if isinstance(c, exp.Alias) else c for c in only.expressions]
    return cells


def _balanced_union(parts: list[r.Relation]) -> r.Relation:
    while len(parts) > 1:
        pairs = [parts[i : i + 2] for i in range(0, len(parts), 2)]
        parts = [r.SetOperation(p[0], p[1], "union", True) if len(p) == 2 else p[0] for p in pairs]
    return parts[0]


def _sample(node: exp.TableSample, child: r.Relation, text: SqlText) -> r.Relation:
    return convert_sample(node, child, text)


def _pipe(node: Pipe, text: SqlText) -> r.Relation:
    from voltray.driver.sql.pipes import convert_pipe

    return convert_pipe(node, text)


# ---- set operations -------------------------------------------------------------------------------
_SET_KINDS: dict[type[exp.Expression], str] = {
    exp.Union: "union",
    exp.Intersect: "intersect",
    exp.Except: "except",
}


def _set_operation(node: exp.SetOperation, text: SqlText) -> r.Relation:
    chain: list[exp.SetOperation] = []
    left: exp.Expression = node
    while isinstance(left, exp.SetOperation) and (left is node or not _has_modifiers(left)):
        chain.append(left)
        left = left.this
    relation = convert_query(left, text)
    for operation in reversed(chain):
        kind, is_all = _SET_KINDS[type(operation)], not operation.args.get("distinct")
        by_name = bool(operation.args.get("by_name"))
        relation = r.SetOperation(relation, convert_query(operation.expression, text), kind, is_all, by_name)
        if kind == "union" and not is_all:
            relation = r.Deduplicate(relation, (), True)
    return _modified(node, relation, text)


def _has_modifiers(node: exp.Expression) -> bool:
    return any(node.args.get(k) is not None for k in ("with_", "order", "limit", "offset", "sort", "cluster"))


Converter = Callable[[Any, SqlText], r.Relation]
_QUERIES: Mapping[type[exp.Expression], Converter] = {
    exp.Select: _select,
    exp.Union: _set_operation,
    exp.Intersect: _set_operation,
    exp.Except: _set_operation,
    exp.Subquery: _subquery,
    exp.Table: _table,
    exp.Values: _values,
    exp.Lateral: _lateral,
    Pipe: _pipe,
}
