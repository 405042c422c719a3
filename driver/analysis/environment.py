"""What analysis needs to know of the session it works for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import pyarrow as pa

    from voltray.driver.plan.logical import LogicalPlan
    from voltray.driver.plan.relations import CachedLocalRelation, LocalRelation, NamedTable, Relation
    from voltray.proto.expressions import Expression
    from voltray.proto.types import DataType


class Environment(Protocol):
    """A session as the analyzer, optimizer and planner see it (``driver.connect.session.Session`` is one)."""

    @property
    def user(self) -> str:
        """The user's name, for current_user()."""
        ...

    @property
    def time_zone(self) -> str:
        """spark.sql.session.timeZone."""
        ...

    @property
    def ansi(self) -> bool:
        """spark.sql.ansi.enabled."""
        ...

    @property
    def case_sensitive(self) -> bool:
        """spark.sql.caseSensitive."""
        ...

    @property
    def catalog(self) -> Any:
        """The session's ``driver.catalog.session_catalog.SessionCatalog``."""
        ...

    @property
    def variables(self) -> Mapping[str, Any]:
        """SQL session variables: lower-case name -> ``Literal``."""
        ...

    def conf(self, key: str) -> str:
        """A conf's value, or its default."""
        ...

    def local_chunks(self, relation: CachedLocalRelation) -> LocalRelation:
        """The uploaded data behind a cached local relation."""
        ...

    def remote_relation(self, relation_id: str) -> LogicalPlan:
        """A checkpointed plan of this session."""
        ...

    def resolve_table(self, table: NamedTable) -> LogicalPlan | Relation:
        """A temp view (its resolved plan), a persistent view (its unresolved query) or a table's scan."""
        ...

    def user_function(self, name: tuple[str, ...]) -> Any | None:
        """A function that the session or the catalog registered, or None."""
        ...

    def python_logs(self) -> tuple[str, ...]:
        """What the session's Python functions logged, as JSON records."""
        ...

    def stored_function(self, name: tuple[str, ...]) -> Any | None:
        """A function of the catalog, or None."""
        ...

    def data_source(self, name: str) -> Any | None:
        """A Python data source that the session registered, or None."""
        ...

    def collect(self, plan: LogicalPlan) -> pa.Table:
        """Run a plan now, for what analysis must know (pivot values, transpose); carriers, columns named by ids."""
        ...

    def parse_expression(self, text: str) -> Expression:
        """SQL text of one expression -> unresolved expression."""
        ...

    def parse_query(self, text: str) -> Relation:
        """SQL text of a query -> unresolved relation."""
        ...

    def parse_schema(self, text: str) -> DataType:
        """A schema as DDL (``a INT, b STRING``), as one type, or as Spark's JSON."""
        ...
