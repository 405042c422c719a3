"""What ALTER changes: one frozen dataclass for each form."""

from __future__ import annotations

from dataclasses import dataclass

from voltray.driver.plan.relations import Relation
from voltray.proto.expressions import Expression
from voltray.proto.types import DataType

Name = tuple[str, ...]
Options = tuple[tuple[str, str], ...]
PartitionSpec = tuple[tuple[str, Expression | None], ...]
"""Values of partition columns; None where the statement gives a column without a value."""


@dataclass(frozen=True, slots=True)
class Change:
    """Base of all changes."""


@dataclass(frozen=True, slots=True)
class RenameTo(Change):
    """``RENAME TO name``."""

    name: Name


@dataclass(frozen=True, slots=True)
class SetProperties(Change):
    """``SET TBLPROPERTIES (...)`` and ``SET DBPROPERTIES (...)``."""

    properties: Options


@dataclass(frozen=True, slots=True)
class UnsetProperties(Change):
    """``UNSET TBLPROPERTIES [IF EXISTS] (...)``."""

    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SetLocation(Change):
    """``[PARTITION (...)] SET LOCATION path``."""

    location: str
    partition: PartitionSpec | None = None


@dataclass(frozen=True, slots=True)
class SetSerde(Change):
    """``SET SERDE name`` (refused for tables of files) or ``SET SERDEPROPERTIES``."""

    serde: str | None
    properties: Options = ()
    partition: PartitionSpec | None = None


@dataclass(frozen=True, slots=True)
class NewColumn:
    """A column of CREATE TABLE or ADD COLUMNS; ``default`` is its expression's text."""

    name: Name
    dtype: DataType
    nullable: bool = True
    comment: str | None = None
    default: str | None = None
    generated: str = ""
    """What else was asked of it that tables of files cannot do, as Spark names it."""


@dataclass(frozen=True, slots=True)
class AddColumns(Change):
    """``ADD COLUMNS (...)``."""

    columns: tuple[NewColumn, ...]


@dataclass(frozen=True, slots=True)
class ReplaceColumns(Change):
    """``REPLACE COLUMNS (...)``."""

    columns: tuple[NewColumn, ...]


@dataclass(frozen=True, slots=True)
class DropColumns(Change):
    """``DROP COLUMNS [IF EXISTS] (...)``."""

    names: tuple[Name, ...]
    if_exists: bool


@dataclass(frozen=True, slots=True)
class RenameColumn(Change):
    """``RENAME COLUMN a TO b``."""

    name: Name
    to: str


@dataclass(frozen=True, slots=True)
class ColumnChange:
    """One column of ``ALTER COLUMN``."""

    name: Name
    dtype: DataType | None = None
    nullable: bool | None = None
    comment: str | None = None
    moved: bool = False
    default: str | None = None
    drop_default: bool = False


@dataclass(frozen=True, slots=True)
class ChangeColumns(Change):
    """``ALTER COLUMN`` in all its forms."""

    changes: tuple[ColumnChange, ...]


@dataclass(frozen=True, slots=True)
class AddPartitions(Change):
    """``ADD [IF NOT EXISTS] PARTITION (...) [LOCATION path] ...``."""

    partitions: tuple[tuple[PartitionSpec, str | None], ...]
    if_not_exists: bool


@dataclass(frozen=True, slots=True)
class DropPartitions(Change):
    """``DROP [IF EXISTS] PARTITION (...), ...``."""

    partitions: tuple[PartitionSpec, ...]
    if_exists: bool


@dataclass(frozen=True, slots=True)
class RenamePartition(Change):
    """``PARTITION (...) RENAME TO PARTITION (...)``."""

    partition: PartitionSpec
    to: PartitionSpec


@dataclass(frozen=True, slots=True)
class RecoverPartitions(Change):
    """``RECOVER PARTITIONS`` and ``MSCK REPAIR TABLE``."""

    statement: str


@dataclass(frozen=True, slots=True)
class RefusedChange(Change):
    """What Spark's analysis refuses for tables of files."""

    operation: str


@dataclass(frozen=True, slots=True)
class ClusterBy(Change):
    """``CLUSTER BY (...)`` or ``CLUSTER BY NONE``."""

    columns: tuple[Name, ...]


@dataclass(frozen=True, slots=True)
class SetCollation(Change):
    """``DEFAULT COLLATION name``."""

    collation: str


@dataclass(frozen=True, slots=True)
class SetViewQuery(Change):
    """``ALTER VIEW ... AS query``."""

    query: Relation
    text: str


@dataclass(frozen=True, slots=True)
class SetViewSchemaMode(Change):
    """``ALTER VIEW ... WITH SCHEMA mode``."""

    mode: str


@dataclass(frozen=True, slots=True)
class SetComment(Change):
    """``COMMENT ON TABLE name IS ...``."""

    comment: str | None
