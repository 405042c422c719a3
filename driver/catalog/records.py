"""What the catalog keeps: databases, tables and views, functions."""

from __future__ import annotations

from dataclasses import dataclass

from voltray.proto.types import StructType

CATALOG = "spark_catalog"
DEFAULT_DATABASE = "default"
GLOBAL_TEMP_DATABASE = "global_temp"

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Database:
    """A database; ``location`` is a local folder."""

    name: str
    location: str
    comment: str = ""
    properties: Pairs = ()


@dataclass(frozen=True, slots=True)
class Table:
    """A table (MANAGED or EXTERNAL) or a VIEW; ``schema`` has the partition columns last."""

    database: str
    name: str
    kind: str
    schema: StructType
    provider: str = ""
    location: str = ""
    partition_columns: tuple[str, ...] = ()
    bucket_count: int = 0
    bucket_columns: tuple[str, ...] = ()
    sort_columns: tuple[str, ...] = ()
    options: Pairs = ()
    properties: Pairs = ()
    comment: str | None = None
    view_text: str = ""
    view_database: str = ""
    view_confs: Pairs = ()
    view_names: tuple[str, ...] = ()
    """The names of the columns of a view's query, before the view's own names."""
    owner: str = ""
    created_at: int = 0
    partition_locations: Pairs = ()
    """Partitions that lie outside the table's folder: the folder's name they would have, and where they are."""
    clustering_columns: tuple[str, ...] = ()
    view_schema_mode: str = "COMPENSATION"
    shown_provider: str = ""
    """The format as the statement wrote it."""
    statistics: Pairs = ()
    """What ANALYZE found: ``size``, ``rows``, and ``column.property`` for columns."""

    @property
    def identifier(self) -> tuple[str, str, str]:
        """The full name."""
        return (CATALOG, self.database, self.name)

    @property
    def shown_name(self) -> str:
        """The full name as Spark's messages print it."""
        return ".".join(f"`{part}`" for part in self.identifier)

    @property
    def is_view(self) -> bool:
        """Whether it is a view."""
        return self.kind == "VIEW"


@dataclass(frozen=True, slots=True)
class StoredFunction:
    """A persistent function: its class, or the text of its SQL body, and what makes it."""

    database: str
    name: str
    class_name: str
    properties: Pairs = ()
