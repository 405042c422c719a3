"""Relations without inputs: literal rows, ranges, data that the client sent, cached plans."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from voltray.driver.analysis.errors import analysis_error
from voltray.driver.analysis.fresh_ids import with_fresh_ids
from voltray.driver.analysis.local_data import local_data, local_plan
from voltray.driver.analysis.relations.python_source import resolve_python_source
from voltray.driver.analysis.scope import Resolved, leaf_scope
from voltray.driver.plan import logical
from voltray.driver.plan import relations as r
from voltray.proto.expressions import Attribute, new_id
from voltray.proto.types import LONG, StructField, StructType

if TYPE_CHECKING:
    from voltray.driver.analysis.resolver import Analysis


def resolve_one_row(relation: r.OneRow, analysis: Analysis) -> Resolved:
    """A row without columns."""
    return leaf_scope(logical.OneRow())


def resolve_range(relation: r.Range, analysis: Analysis) -> Resolved:
    """``spark.range``."""
    if relation.step == 0:
        raise analysis_error("INTERNAL_ERROR", relation.origin,
                             message="step (0) cannot be 0")  # fmt: skip
    attribute = Attribute(new_id(), "id", LONG, False)
    plan = logical.Range((attribute,), relation.start, relation.end, relation.step, relation.num_partitions)
    return leaf_scope(plan)


def resolve_local_relation(relation: r.LocalRelation, analysis: Analysis) -> Resolved:
    """Rows that the client sent."""
    return leaf_scope(local_data(relation, analysis.environment))


def resolve_cached_local_relation(relation: r.CachedLocalRelation, analysis: Analysis) -> Resolved:
    """Rows that the client sent before."""
    return leaf_scope(local_data(analysis.environment.local_chunks(relation), analysis.environment))


def resolve_cached_remote_relation(relation: r.CachedRemoteRelation, analysis: Analysis) -> Resolved:
    """A checkpointed DataFrame."""
    return leaf_scope(with_fresh_ids(analysis.environment.remote_relation(relation.relation_id)))


def resolve_command_relation(relation: r.CommandRelation, analysis: Analysis) -> Resolved:
    """A command's result rows."""
    fields = [StructField(name, dtype, nullable) for name, dtype, nullable in relation.schema]
    return leaf_scope(local_plan(StructType(fields), relation.rows))


def resolve_catalog_relation(relation: r.CatalogRelation, analysis: Analysis) -> Resolved:
    """A call of ``spark.catalog``."""
    from voltray.driver.catalog.operations import run_catalog_operation

    return leaf_scope(run_catalog_operation(relation, analysis.environment))


def resolve_data_source(relation: r.DataSource, analysis: Analysis) -> Resolved:
    """Files, or a stream."""
    if relation.is_streaming:
        from voltray.driver.analysis.relations.streaming import resolve_stream

        return resolve_stream(relation, analysis)
    source = analysis.environment.data_source(relation.format or "")
    if source is not None:
        return resolve_python_source(source, relation, analysis)
    from voltray.driver.catalog.file_relation import resolve_data_source

    return scan_scope(resolve_data_source(relation, analysis.environment))


def scan_scope(plan: logical.LogicalPlan) -> Resolved:
    """A scan's columns, with ``_metadata`` hidden behind them."""
    from voltray.driver.analysis.file_metadata import metadata_attribute

    hidden = (metadata_attribute(plan),) if isinstance(plan, logical.FileScan) else ()
    return leaf_scope(plan, hidden)


def resolve_unsupported(relation: r.Unsupported, analysis: Analysis) -> Resolved:
    """A relation that Voltray refuses."""
    from voltray.driver.analysis.errors import unsupported

    raise unsupported(relation.feature, relation.origin)


__all__ = ["pa"]
