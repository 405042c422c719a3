"""Unresolved relations: one frozen dataclass for each relation of the Connect protocol (and of SQL).

``plan_id`` is the number by which the client's columns (``df["x"]``) refer to the relation. Expressions in
these nodes are unresolved (``driver.plan.expressions``) or literals.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from voltray.driver.plan.expressions import PythonFunction, UnresolvedSortOrder
from voltray.proto.expressions import Expression
from voltray.proto.failures import QueryContext
from voltray.proto.types import DataType, StructField, StructType


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """Base of all unresolved relations."""

    plan_id: int | None = None
    origin: QueryContext | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class MapInPython(Relation):
    """``mapInPandas`` or ``mapInArrow``."""

    child: Relation
    function: PythonFunction


@dataclass(frozen=True, slots=True)
class PythonTableFunction(Relation):
    """A user's Python table function on constant arguments."""

    function: PythonFunction


@dataclass(frozen=True, slots=True)
class MapGroups(Relation):
    """``applyInPandas`` or ``applyInArrow`` of grouped rows."""

    child: Relation
    keys: tuple[Expression, ...]
    function: PythonFunction


@dataclass(frozen=True, slots=True)
class MapCogroups(Relation):
    """``applyInPandas`` or ``applyInArrow`` of two inputs' groups."""

    left: Relation
    right: Relation
    left_keys: tuple[Expression, ...]
    right_keys: tuple[Expression, ...]
    function: PythonFunction


@dataclass(frozen=True, slots=True)
class OneRow(Relation):
    """A row without columns: what ``SELECT 1`` selects from."""


@dataclass(frozen=True, slots=True)
class InlineTable(Relation):
    """``VALUES``: a union of one projection a row; ``names`` are the columns that its alias gives."""

    child: Relation
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NamedTable(Relation):
    """A table or view by name; ``options`` are read options."""

    parts: tuple[str, ...]
    options: tuple[tuple[str, str], ...] = ()
    is_streaming: bool = False
    time_travel: Any = None


@dataclass(frozen=True, slots=True)
class DataSource(Relation):
    """``spark.read``: a format (None: spark.sql.sources.default), schema text (DDL or JSON), options and paths."""

    format: str | None
    schema: str | None
    options: tuple[tuple[str, str], ...]
    paths: tuple[str, ...]
    predicates: tuple[str, ...] = ()
    is_streaming: bool = False


@dataclass(frozen=True, slots=True)
class LocalRelation(Relation):
    """Rows sent by the client as Arrow IPC streams (one for a chunk); ``schema`` is DDL or JSON text, or None."""

    chunks: tuple[bytes, ...]
    schema: str | None


@dataclass(frozen=True, slots=True)
class CachedLocalRelation(Relation):
    """A local relation uploaded before as artifacts, by SHA-256 of its data chunks and of its schema."""

    data_hashes: tuple[str, ...]
    schema_hash: str | None = None


@dataclass(frozen=True, slots=True)
class CachedRemoteRelation(Relation):
    """A checkpointed DataFrame that the session keeps under an id."""

    relation_id: str


@dataclass(frozen=True, slots=True)
class Range(Relation):
    """``spark.range``."""

    start: int
    end: int
    step: int
    num_partitions: int | None = None


@dataclass(frozen=True, slots=True)
class TableFunction(Relation):
    """A table-valued function (``range``, ``explode`` ...) in FROM."""

    name: tuple[str, ...]
    args: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class SubqueryAlias(Relation):
    """``df.alias`` or ``(...) AS name (columns)``."""

    child: Relation
    alias: str
    qualifier: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StoredView(Relation):
    """A view of the catalog: its query, its columns, and the names that the query's columns had when it was made."""

    query: Relation
    name: tuple[str, ...]
    fields: tuple[StructField, ...]
    query_names: tuple[str, ...]
    mode: str
    text: str


@dataclass(frozen=True, slots=True)
class Project(Relation):
    """Select. ``child`` None: from one empty row."""

    child: Relation | None
    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Filter(Relation):
    """Where; ``is_having`` resolves against an aggregate below (SQL's HAVING)."""

    child: Relation
    condition: Expression
    is_having: bool = False


@dataclass(frozen=True, slots=True)
class Join(Relation):
    """Any join but as-of: kind inner, cross, left, right, full, left_semi, left_anti."""

    left: Relation
    right: Relation
    kind: str
    condition: Expression | None = None
    using: tuple[str, ...] = ()
    natural: bool = False
    lateral: bool = False


@dataclass(frozen=True, slots=True)
class AsOfJoin(Relation):
    """pandas-on-Spark's as-of join."""

    left: Relation
    right: Relation
    left_as_of: Expression
    right_as_of: Expression
    condition: Expression | None
    using: tuple[str, ...]
    kind: str
    tolerance: Expression | None
    allow_exact_matches: bool
    direction: str


@dataclass(frozen=True, slots=True)
class SetOperation(Relation):
    """union, intersect or except; ``by_name`` with ``allow_missing_columns`` for unionByName."""

    left: Relation
    right: Relation
    kind: str
    is_all: bool
    by_name: bool = False
    allow_missing_columns: bool = False


@dataclass(frozen=True, slots=True)
class Sort(Relation):
    """Sort, of the whole (``is_global``) or within partitions."""

    child: Relation
    orders: tuple[UnresolvedSortOrder, ...]
    is_global: bool = True


@dataclass(frozen=True, slots=True)
class Limit(Relation):
    """The first rows."""

    child: Relation
    limit: Expression


@dataclass(frozen=True, slots=True)
class Offset(Relation):
    """All but the first rows."""

    child: Relation
    offset: Expression


@dataclass(frozen=True, slots=True)
class Tail(Relation):
    """The last rows."""

    child: Relation
    limit: Expression


@dataclass(frozen=True, slots=True)
class Aggregate(Relation):
    """group_kind: groupby, rollup, cube, pivot, grouping_sets, all (GROUP BY ALL).

    ``items`` are the output items. From the DataFrame API (``prepend_groups``) the grouping expressions come
    first in the output and ``items`` behind them; from SQL ``items`` are the whole select list.
    """

    child: Relation
    group_kind: str
    groups: tuple[Expression, ...]
    items: tuple[Expression, ...]
    pivot_column: Expression | None = None
    pivot_values: tuple[Expression, ...] = ()
    grouping_sets: tuple[tuple[Expression, ...], ...] = ()
    prepend_groups: bool = True


@dataclass(frozen=True, slots=True)
class Deduplicate(Relation):
    """distinct and dropDuplicates."""

    child: Relation
    columns: tuple[str, ...]
    all_columns: bool
    within_watermark: bool = False


@dataclass(frozen=True, slots=True)
class Sample(Relation):
    """A random part between two bounds of [0, 1)."""

    child: Relation
    lower: float
    upper: float
    with_replacement: bool
    seed: int | None
    deterministic_order: bool = False


@dataclass(frozen=True, slots=True)
class Repartition(Relation):
    """``repartition(n)`` (shuffle) and ``coalesce(n)``."""

    child: Relation
    num_partitions: int
    shuffle: bool


@dataclass(frozen=True, slots=True)
class RepartitionByExpression(Relation):
    """``repartition(n, columns)`` and ``repartitionByRange`` (its expressions are sort orders)."""

    child: Relation
    expressions: tuple[Expression, ...]
    num_partitions: int | None


@dataclass(frozen=True, slots=True)
class ToDataFrame(Relation):
    """``toDF(names)``."""

    child: Relation
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WithColumns(Relation):
    """``withColumns`` (and withMetadata): each item replaces the column of its name or is added."""

    child: Relation
    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class WithColumnsRenamed(Relation):
    """``withColumnsRenamed``."""

    child: Relation
    renames: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Drop(Relation):
    """``drop`` by name or column."""

    child: Relation
    columns: tuple[Expression, ...]
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Hint(Relation):
    """A hint with its parameters."""

    child: Relation
    name: str
    parameters: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Unpivot(Relation):
    """``unpivot``/``melt``; ``values`` None takes all columns but the ids."""

    child: Relation
    ids: tuple[Expression, ...]
    values: tuple[Expression, ...] | None
    variable_name: str
    value_name: str


@dataclass(frozen=True, slots=True)
class Transpose(Relation):
    """``transpose``; the index column is the first where none is named."""

    child: Relation
    index: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class ToSchema(Relation):
    """``df.to(schema)``: reorder, cast and check columns by name."""

    child: Relation
    schema: StructType


@dataclass(frozen=True, slots=True)
class ShowString(Relation):
    """``show``: a single row with the table drawn as text."""

    child: Relation
    num_rows: int
    truncate: int
    vertical: bool


@dataclass(frozen=True, slots=True)
class HtmlString(Relation):
    """A notebook's table: a single row with the rows as HTML."""

    child: Relation
    num_rows: int
    truncate: int


@dataclass(frozen=True, slots=True)
class FillNa(Relation):
    """``na.fill``: one value for all of ``columns`` (or all that fit), or a value each."""

    child: Relation
    columns: tuple[str, ...]
    values: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class DropNa(Relation):
    """``na.drop``: rows with fewer than ``min_non_nulls`` (None: all) non-null cells among ``columns``."""

    child: Relation
    columns: tuple[str, ...]
    min_non_nulls: int | None


@dataclass(frozen=True, slots=True)
class ReplaceNa(Relation):
    """``na.replace``: (old, new) pairs in ``columns`` (or all that fit)."""

    child: Relation
    columns: tuple[str, ...]
    replacements: tuple[tuple[Expression, Expression], ...]


@dataclass(frozen=True, slots=True)
class Statistic(Relation):
    """``df.stat``, describe and summary, by the name of its message (crosstab, approx_quantile ...)."""

    child: Relation
    name: str
    columns: tuple[str, ...] = ()
    arguments: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Parse(Relation):
    """``spark.read.json/csv(rdd-like DataFrame of strings)``."""

    child: Relation
    format: str
    schema: StructType | None
    options: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class CollectMetrics(Relation):
    """``df.observe``."""

    child: Relation
    name: str
    metrics: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class WithWatermark(Relation):
    """``df.withWatermark``."""

    child: Relation
    event_time: str
    delay: str


@dataclass(frozen=True, slots=True)
class WithRelations(Relation):
    """A root whose expressions refer to other relations by plan id (subqueries, SQL views of DataFrames)."""

    root: Relation
    references: tuple[Relation, ...]


@dataclass(frozen=True, slots=True)
class With(Relation):
    """SQL's WITH: named relations (name, query, column list) for ``child``; ``level_limits`` one for each, if any."""

    child: Relation
    definitions: tuple[tuple[str, Relation, tuple[str, ...]], ...]
    recursive: bool = False
    level_limits: tuple[int | None, ...] = ()


@dataclass(frozen=True, slots=True)
class LateralView(Relation):
    """SQL's LATERAL VIEW [OUTER] generator(...) alias AS columns."""

    child: Relation
    generator: Expression
    alias: str | None
    columns: tuple[str, ...]
    outer: bool


@dataclass(frozen=True, slots=True)
class WindowDefinitions(Relation):
    """SQL's WINDOW clause: named windows for the select list in ``child``."""

    child: Relation
    definitions: tuple[tuple[str, Expression], ...]


@dataclass(frozen=True, slots=True)
class SqlQuery(Relation):
    """SQL text with parameters; ``views`` are (name, relation) pairs that the text may name."""

    text: str
    named_arguments: tuple[tuple[str, Expression], ...] = ()
    positional_arguments: tuple[Expression, ...] = ()


@dataclass(frozen=True, slots=True)
class CatalogRelation(Relation):
    """A call of ``spark.catalog``: its operation's name in the protocol and its fields."""

    operation: str
    arguments: tuple[tuple[str, Any], ...]


@dataclass(frozen=True, slots=True)
class CommandRelation(Relation):
    """A command's result rows, such as those of SHOW TABLES: a schema and rows of internal values."""

    schema: tuple[tuple[str, DataType, bool], ...]
    rows: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True, slots=True)
class Unsupported(Relation):
    """A relation that Voltray refuses, with the condition that says so."""

    feature: str


@dataclass(frozen=True, slots=True)
class Analyzed(Relation):
    """A relation that analysis has resolved already (``driver.analysis.scope.Resolved``), to build others over it."""

    resolved: Any
