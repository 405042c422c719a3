"""Relations that add, replace, rename, drop or qualify columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from voltray.driver.analysis.aggregation import aggregate_select, has_aggregate
from voltray.driver.analysis.errors import analysis_error
from voltray.driver.analysis.expressions.alias import renamed
from voltray.driver.analysis.expressions.attribute import find_attribute
from voltray.driver.analysis.relations.project import projected
from voltray.driver.analysis.scope import Resolved, Scope, scope_over
from voltray.driver.analysis.select_list import Generated, Item, select_items
from voltray.driver.plan import logical
from voltray.driver.plan import relations as r
from voltray.driver.plan.expressions import UnresolvedAttribute
from voltray.driver.plan.identifiers import quote
from voltray.proto.expressions import Alias, Attribute, new_id, to_attribute
from voltray.proto.failures import QueryContext, SparkError

if TYPE_CHECKING:
    from voltray.driver.analysis.resolver import Analysis


def folded(name: str, analysis: Analysis) -> str:
    """A name as names are compared in this session."""
    return name if analysis.environment.case_sensitive else name.lower()


def refuse_duplicates(names: Iterable[str], analysis: Analysis, origin: QueryContext | None) -> None:
    """COLUMN_ALREADY_EXISTS where a name occurs twice."""
    counts = Counter([folded(n, analysis) for n in names])
    for name, count in counts.items():
        if count > 1:
            raise analysis_error("COLUMN_ALREADY_EXISTS", origin, columnName=quote(name.lower()))


def resolve_with_columns(relation: r.WithColumns, analysis: Analysis) -> Resolved:
    """``withColumns``: replaces columns of a name, or adds new ones behind."""
    child = analysis.relation(relation.child)
    items, _ = select_items(relation.items, analysis.over(child.scope), lateral=False)
    named: dict[str, Item] = {}
    for item in items:
        name = item.attributes[0].name if isinstance(item, Generated) else item.name
        if folded(name, analysis) in named:
            raise analysis_error("COLUMN_ALREADY_EXISTS", relation.origin, columnName=quote(name.lower()))
        named[folded(name, analysis)] = item
    output: list[Item] = []
    placed: set[str] = set()
    for column in child.scope.attributes:
        name = folded(column.name, analysis)
        item = named.get(name, column)
        if isinstance(item, Alias) and name in placed:
            item = replace(item, expr_id=new_id())
        placed.add(name)
        output.append(item)
    output += [item for name, item in named.items() if name not in placed]
    if any(has_aggregate(i) for i in items):
        return aggregate_select(child, (), tuple(output), False, analysis, relation.origin)
    return projected(child, tuple(output))


def resolve_to_data_frame(relation: r.ToDataFrame, analysis: Analysis) -> Resolved:
    """``toDF(names)``."""
    child = analysis.relation(relation.child)
    columns = child.scope.attributes
    if len(columns) != len(relation.names):
        raise analysis_error(
            "ASSIGNMENT_ARITY_MISMATCH", relation.origin, numExpr=len(relation.names), numTarget=len(columns)
        )
    items = tuple([Alias(a, n, new_id(), a.metadata) for a, n in zip(columns, relation.names, strict=True)])
    return projected(child, items)


def resolve_with_columns_renamed(relation: r.WithColumnsRenamed, analysis: Analysis) -> Resolved:
    """``withColumnsRenamed``, one renaming after the other."""
    child = analysis.relation(relation.child)
    names = [a.name for a in child.scope.attributes]
    changed = False
    for existing, new in relation.renames:
        for position, name in enumerate(names):
            if folded(name, analysis) == folded(existing, analysis):
                names[position] = new
                changed = True
    if not changed:
        return projected(child, child.scope.attributes)
    if len(relation.renames) > 1:
        refuse_duplicates(names, analysis, relation.origin)
    items = [
        a if a.name == n else Alias(a, n, new_id(), a.metadata)
        for a, n in zip(child.scope.attributes, names, strict=True)
    ]
    return projected(child, tuple(items))


def resolve_drop(relation: r.Drop, analysis: Analysis) -> Resolved:
    """``drop``: names and columns that are not there are passed over."""
    child = analysis.relation(relation.child)
    resolver = analysis.over(child.scope)
    dropped: set[int] = set()
    for column in relation.columns:
        if isinstance(column, UnresolvedAttribute):
            try:
                typed = find_attribute(column, resolver)
            except SparkError as problem:
                if problem.condition.startswith(("UNRESOLVED_COLUMN", "CANNOT_RESOLVE_DATAFRAME_COLUMN")):
                    continue
                raise
        else:
            typed = resolver.resolve(column)
        if typed is not None and isinstance(typed.expression, Attribute):
            dropped.add(typed.expression.expr_id)
    names = {folded(n, analysis) for n in relation.names}
    kept = [a for a in child.scope.attributes if a.expr_id not in dropped and folded(a.name, analysis) not in names]
    return projected(child, tuple(kept))


def resolve_subquery_alias(relation: r.SubqueryAlias, analysis: Analysis) -> Resolved:
    """``AS name (columns)``: columns answer to the new qualifier alone."""
    child = analysis.relation(relation.child)
    inner = relation.child
    if isinstance(inner, r.TableFunction) and relation.columns:
        if len(relation.columns) != len(child.scope.attributes):
            raise analysis_error(
                "NUM_TABLE_VALUE_ALIASES_MISMATCH", relation.origin, funcName=quote(inner.name[-1]),
                aliasesNum=len(relation.columns), outColsNum=len(child.scope.attributes),
            )  # fmt: skip
    if relation.columns:
        child = with_column_names(child, relation.columns, relation.origin)
    if relation.alias == "__auto_generated_subquery_name":
        return qualified(child, ())
    return qualified(child, (*relation.qualifier, relation.alias))


def qualified(child: Resolved, qualifier: tuple[str, ...]) -> Resolved:
    """A relation's columns under a qualifier."""
    scope = child.scope
    attributes = tuple([replace(a, qualifier=qualifier) for a in scope.attributes])
    hidden = tuple([replace(a, qualifier=qualifier) for a in scope.hidden if a.expr_id not in scope.qualified_only])
    return Resolved(child.plan, Scope(attributes, hidden, frozenset(), scope.plans))


def with_column_names(child: Resolved, names: tuple[str, ...], origin: QueryContext | None) -> Resolved:
    """The columns under other names, by position."""
    columns = child.scope.attributes
    if len(names) != len(columns):
        raise analysis_error(
            "ASSIGNMENT_ARITY_MISMATCH", origin, numExpr=len(names), numTarget=len(columns)
        )
    items = tuple([renamed(a, n) for a, n in zip(columns, names, strict=True)])
    plan: logical.LogicalPlan = child.plan
    if any(isinstance(i, Alias) for i in items):
        plan = logical.Project(plan, items)
    return Resolved(plan, scope_over(tuple([to_attribute(i) for i in items]), child.scope, hidden=()))
