"""Relations by name: tables and views, WITH, SQL text, relations that expressions refer to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from voltray.driver.analysis.errors import analysis_error
from voltray.driver.analysis.fresh_ids import with_fresh_ids
from voltray.driver.analysis.relations.common_tables import defined
from voltray.driver.analysis.relations.identifier_clause import identified
from voltray.driver.analysis.relations.leaf import scan_scope
from voltray.driver.analysis.relations.with_columns import qualified
from voltray.driver.analysis.resolver import Analysis, Definition
from voltray.driver.analysis.scope import Resolved, leaf_scope
from voltray.driver.plan import logical
from voltray.driver.plan import relations as r
from voltray.driver.plan.expressions import UnresolvedWindow
from voltray.proto.failures import SparkError


def resolve_named_table(relation: r.NamedTable, analysis: Analysis) -> Resolved:
    """A name of WITH, a view or a table."""
    if len(relation.parts) == 1:
        definition = analysis.definitions.get(relation.parts[0].lower())
        if definition is not None:
            return qualified(defined(definition), (relation.parts[0],))
    place = analysis.place or relation.origin
    found = _found(relation, analysis)
    if relation.is_streaming and isinstance(found, logical.FileScan):
        from voltray.driver.analysis.relations.streaming import table_stream

        return qualified(leaf_scope(table_stream(relation, found)), _table_qualifier(relation, found))
    if isinstance(found, logical.LogicalPlan):
        scan = scan_scope(found if isinstance(found, logical.FileScan) else with_fresh_ids(found, place))
        if isinstance(found, logical.FileScan):
            scan = scan_scope(with_fresh_ids(found))
        return qualified(scan, _table_qualifier(relation, found))
    outside = replace(analysis, outer=(), definitions={}, references={}, windows={}, parameters={}, place=place)
    resolved = outside.relation(found)
    if isinstance(found, r.SubqueryAlias | r.StoredView):
        return resolved
    return qualified(resolved, _stored_qualifier(relation.parts, analysis))


def _found(relation: r.NamedTable, analysis: Analysis) -> Any:
    try:
        return analysis.environment.resolve_table(relation)
    except SparkError as problem:
        failure = problem.failure
        if failure.condition != "TABLE_OR_VIEW_NOT_FOUND" or failure.contexts:
            raise
        raise analysis_error(failure.condition, relation.origin, extra=failure.parameters) from None


def _table_qualifier(relation: r.NamedTable, plan: logical.LogicalPlan) -> tuple[str, ...]:
    if isinstance(plan, logical.FileScan) and plan.table:
        table = plan.table
        return table if len(table) > 2 else ("spark_catalog", *table)
    if len(relation.parts) > 1 and relation.parts[-2].lower() == "global_temp":
        return ("global_temp", relation.parts[-1])
    return (relation.parts[-1],)


def _stored_qualifier(parts: tuple[str, ...], analysis: Analysis) -> tuple[str, ...]:
    if len(parts) >= 3:
        return parts
    database = (
        parts[-2] if len(parts) == 2 else str(getattr(analysis.environment.catalog, "current_database", "default"))
    )
    return ("spark_catalog", database, parts[-1])


# ---- others --------------------------------------------------------------------------------------------
def resolve_with_relations(relation: r.WithRelations, analysis: Analysis) -> Resolved:
    """A root whose subqueries (and SQL text) refer to other relations by plan id or alias."""
    references = dict(analysis.references)
    definitions = dict(analysis.definitions)
    for reference in relation.references:
        if reference.plan_id is not None:
            references[reference.plan_id] = reference
        if isinstance(reference, r.SubqueryAlias):
            definitions[reference.alias.lower()] = Definition(reference.child, (), analysis)
    inside = replace(analysis, references=references, definitions=definitions)
    return inside.relation(relation.root)


def resolve_sql_query(relation: r.SqlQuery, analysis: Analysis) -> Resolved:
    """SQL text with its arguments."""
    environment, named, positional = analysis.environment, relation.named_arguments, relation.positional_arguments
    text = identified(relation.text, environment, named, positional)
    if not named and not positional:
        return analysis.relation(environment.parse_query(text))
    from voltray.driver.sql.parser import parse_query

    return analysis.relation(parse_query(text, named, positional))


def resolve_window_definitions(relation: r.WindowDefinitions, analysis: Analysis) -> Resolved:
    """SQL's WINDOW clause."""
    windows = dict(analysis.windows)
    for name, window in relation.definitions:
        assert isinstance(window, UnresolvedWindow)
        windows[name.lower()] = window
    return replace(analysis, windows=windows).relation(relation.child)
