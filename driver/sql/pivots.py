"""PIVOT and UNPIVOT clauses made into unresolved relations."""

from __future__ import annotations

from sqlglot import exp

from voltray.driver.plan import expressions as u
from voltray.driver.plan import pipes as p
from voltray.driver.plan import relations as r
from voltray.driver.sql import expressions as e
from voltray.driver.sql.context import SqlText
from voltray.driver.sql.nodes import UnpivotClause
from voltray.proto.expressions import Expression


def convert_pivot(node: exp.Expression, child: r.Relation, text: SqlText) -> r.Relation:
    """The relation of a PIVOT or UNPIVOT clause, under its alias."""
    relation = _unpivot(node, child, text) if isinstance(node, UnpivotClause) else _pivot(node, child, text)
    alias = node.args.get("alias")
    if alias is None:
        return relation
    columns = tuple([c.name for c in alias.args.get("columns") or []])
    return r.SubqueryAlias(relation, alias.name or "__auto_generated_subquery_name", columns=columns)


def _pivot(node: exp.Expression, child: r.Relation, text: SqlText) -> r.Relation:
    field = node.args["fields"][0]
    values: list[Expression] = []
    for value in field.expressions:
        if isinstance(value, (exp.PivotAlias, exp.Alias)):
            values.append(u.UnresolvedAlias(e.convert(value.this, text), (value.args["alias"].name,)))
        else:
            values.append(e.convert(value, text))
    items = e.convert_all(node.expressions, text)
    column = e.convert(field.this, text)
    return r.Aggregate(child, "pivot", (), items, column, tuple(values), prepend_groups=False)


def _unpivot(node: UnpivotClause, child: r.Relation, text: SqlText) -> r.Relation:
    sets = tuple([
        (e.convert_all(s.expressions, text), s.args["alias"].name if s.args.get("alias") is not None else None)
        for s in node.expressions
    ])  # fmt: skip
    names = tuple([v.name for v in node.args["values"]])
    include = bool(node.args.get("include_nulls"))
    return p.UnpivotColumns(child, sets, node.this.name, names, include, origin=text.fragment(*node.meta["place"]))
