"""Every relation, by exact type, with what resolves it."""

from __future__ import annotations

from collections.abc import Mapping

from voltray.driver.analysis.relations import (
    aggregate, as_of_join, columns, generate, join, leaf, null_values, project, rows, set_operation, show, sort,
    statistics, tables, to_schema, transpose, unpivot, with_columns,
)  # fmt: skip
from voltray.driver.analysis.relations import filter as filter_relation
from voltray.driver.analysis.resolver import RelationHandler
from voltray.driver.plan import relations as r

RELATIONS: Mapping[type, RelationHandler] = {
    r.Analyzed: columns.resolve_analyzed,
    r.OneRow: leaf.resolve_one_row,
    r.Range: leaf.resolve_range,
    r.LocalRelation: leaf.resolve_local_relation,
    r.CachedLocalRelation: leaf.resolve_cached_local_relation,
    r.CachedRemoteRelation: leaf.resolve_cached_remote_relation,
    r.CommandRelation: leaf.resolve_command_relation,
    r.CatalogRelation: leaf.resolve_catalog_relation,
    r.DataSource: leaf.resolve_data_source,
    r.Unsupported: leaf.resolve_unsupported,
    r.NamedTable: tables.resolve_named_table,
    r.With: tables.resolve_with,
    r.WithRelations: tables.resolve_with_relations,
    r.SqlQuery: tables.resolve_sql_query,
    r.WindowDefinitions: tables.resolve_window_definitions,
    r.TableFunction: generate.resolve_table_function,
    r.LateralView: generate.resolve_lateral_view,
    r.Project: project.resolve_project,
    r.Filter: filter_relation.resolve_filter,
    r.Aggregate: aggregate.resolve_aggregate,
    r.Join: join.resolve_join,
    r.AsOfJoin: as_of_join.resolve_as_of_join,
    r.SetOperation: set_operation.resolve_set_operation,
    r.Sort: sort.resolve_sort,
    r.Limit: rows.resolve_limit,
    r.Offset: rows.resolve_offset,
    r.Tail: rows.resolve_tail,
    r.Deduplicate: rows.resolve_deduplicate,
    r.Sample: rows.resolve_sample,
    r.Repartition: rows.resolve_repartition,
    r.RepartitionByExpression: rows.resolve_repartition_by_expression,
    r.Hint: rows.resolve_hint,
    r.CollectMetrics: rows.resolve_collect_metrics,
    r.SubqueryAlias: with_columns.resolve_subquery_alias,
    r.ToDataFrame: with_columns.resolve_to_data_frame,
    r.WithColumns: with_columns.resolve_with_columns,
    r.WithColumnsRenamed: with_columns.resolve_with_columns_renamed,
    r.Drop: with_columns.resolve_drop,
    r.ToSchema: to_schema.resolve_to_schema,
    r.Unpivot: unpivot.resolve_unpivot,
    r.Transpose: transpose.resolve_transpose,
    r.FillNa: null_values.resolve_fill_na,
    r.DropNa: null_values.resolve_drop_na,
    r.ReplaceNa: null_values.resolve_replace_na,
    r.Statistic: statistics.resolve_statistic,
    r.Parse: generate.resolve_parse,
    r.ShowString: show.resolve_show_string,
    r.HtmlString: show.resolve_html_string,
}
