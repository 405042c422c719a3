"""``df.na``: fill, drop and replace, written as ordinary projections and filters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voltray.driver.analysis.relations.columns import call, named_columns, over
from voltray.driver.analysis.scope import Resolved
from voltray.driver.plan import relations as r
from voltray.driver.plan.expressions import UnresolvedAlias, UnresolvedCast
from voltray.proto import types as t
from voltray.proto.expressions import Attribute, Expression, Literal

if TYPE_CHECKING:
    from voltray.driver.analysis.resolver import Analysis

FRACTIONS = (t.FloatType, t.DoubleType)


def resolve_fill_na(relation: r.FillNa, analysis: Analysis) -> Resolved:
    """``na.fill``: NULL (and NaN) becomes the value, in columns of the value's kind."""
    child = analysis.relation(relation.child)
    chosen = named_columns(relation.columns, child, analysis)
    fill: dict[int, Literal] = {}
    if len(relation.values) == 1:
        value = relation.values[0]
        assert isinstance(value, Literal)
        fill = {a.expr_id: value for a in chosen if _fits(value.dtype, a.dtype)}
    else:
        pairs = zip(chosen, relation.values, strict=True)
        fill = {a.expr_id: v for a, v in pairs if isinstance(v, Literal)}
    items = [_filled(a, fill[a.expr_id]) if a.expr_id in fill else a for a in child.scope.attributes]
    return analysis.relation(r.Project(over(child), tuple(items)))


def _filled(attribute: Attribute, value: Literal) -> Expression:
    column: Expression = attribute
    if isinstance(attribute.dtype, FRACTIONS):
        column = call("nanvl", attribute, UnresolvedCast(Literal(None, t.NULL), attribute.dtype))
    filled = call("coalesce", column, UnresolvedCast(value, attribute.dtype))
    return UnresolvedAlias(filled, (attribute.name,))


def _fits(value: t.DataType, column: t.DataType) -> bool:
    for kind in (t.NumericType, t.StringType, t.BooleanType):
        if isinstance(value, kind):
            return isinstance(column, kind)
    return t.same_type(value, column)


def resolve_drop_na(relation: r.DropNa, analysis: Analysis) -> Resolved:
    """``na.drop``: rows with enough cells that are neither NULL nor NaN."""
    child = analysis.relation(relation.child)
    chosen = named_columns(relation.columns, child, analysis)
    least = len(chosen) if relation.min_non_nulls is None else relation.min_non_nulls
    present = [_present(a) for a in chosen]
    condition: Expression = Literal(True, t.BOOLEAN)
    if least == len(chosen):
        for one in present:
            condition = call("and", condition, one)
    else:
        one_each = [call("if", p, Literal(1, t.INTEGER), Literal(0, t.INTEGER)) for p in present]
        total: Expression = Literal(0, t.INTEGER)
        for counted in one_each:
            total = call("+", total, counted)
        condition = call(">=", total, Literal(least, t.INTEGER))
    return analysis.relation(r.Filter(over(child), condition))


def _present(attribute: Attribute) -> Expression:
    known = call("isnotnull", attribute)
    if isinstance(attribute.dtype, FRACTIONS):
        return call("and", known, call("not", call("isnan", attribute)))
    return known


def resolve_replace_na(relation: r.ReplaceNa, analysis: Analysis) -> Resolved:
    """``na.replace``: values of one kind by others, in columns of that kind."""
    child = analysis.relation(relation.child)
    chosen = {a.expr_id for a in named_columns(relation.columns, child, analysis)}
    pairs = [(old, new) for old, new in relation.replacements if isinstance(old, Literal)]
    kind = next((old.dtype for old, _ in pairs if old.value is not None), t.NULL)
    items: list[Expression] = []
    for attribute in child.scope.attributes:
        fits = attribute.expr_id in chosen and pairs and _fits(kind, attribute.dtype)
        items.append(_replaced(attribute, pairs) if fits else attribute)
    return analysis.relation(r.Project(over(child), tuple(items)))


def _replaced(attribute: Attribute, pairs: list[tuple[Literal, Expression]]) -> Expression:
    branches: list[Expression] = []
    for old, new in pairs:
        same = call("<=>", attribute, UnresolvedCast(old, attribute.dtype))
        branches += [same, UnresolvedCast(new, attribute.dtype)]
    return UnresolvedAlias(call("when", *branches, attribute), (attribute.name,))
