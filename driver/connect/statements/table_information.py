"""What the catalog knows of a table, as DESCRIBE EXTENDED and SHOW TABLE EXTENDED print it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence

from voltray.driver.catalog.file_relation import CHAR_VARCHAR
from voltray.driver.catalog.records import CATALOG, Pairs, Table
from voltray.driver.plan.identifiers import quote
from voltray.driver.plan.redaction import redacted_conf
from voltray.executors.sources.partitions import DEFAULT_PARTITION, partition_folder
from voltray.proto.types import StructField

CREATED_BY = "Spark 4.1.1"


def redacted(pairs: Pairs) -> list[tuple[str, str]]:
    """Properties by key, secret ones hidden."""
    return sorted((k, redacted_conf(k, v)) for k, v in pairs)


def raw_type(field: StructField) -> str:
    """A column's type as it was declared: char and varchar are strings to queries."""
    declared: str = (field.metadata or {}).get(CHAR_VARCHAR) or field.dataType.simpleString()
    return declared


def shown_pairs(pairs: Pairs) -> str:
    """``[a=1, b=2]``."""
    return "[" + ", ".join([f"{k}={v}" for k, v in redacted(pairs)]) + "]"


def shown_names(names: Iterable[str]) -> str:
    """Names in back quotes, in brackets."""
    return "[" + ", ".join([quote(n) for n in names]) + "]"


def moment(milliseconds: int) -> str:
    """A time as Java prints it."""
    return time.strftime("%a %b %d %H:%M:%S UTC %Y", time.gmtime(milliseconds / 1000))


def information(table: Table) -> list[tuple[str, str]]:
    """All that is known of a table, in Spark's order."""
    rows = [
        ("Catalog", CATALOG),
        ("Database", table.database),
        ("Table", table.name),
        ("Created Time", moment(table.created_at)),
        ("Last Access", "UNKNOWN"),
        ("Created By", CREATED_BY),
        ("Type", table.kind),
        ("Provider", table.shown_provider or table.provider),
        *_buckets(table),
        ("Comment", table.comment or ""),
        *_view_rows(table),
        ("Table Properties", shown_pairs(table.properties) if table.properties else ""),
        ("Statistics", statistics_text(table)),
        ("Location", f"file:{table.location}" if table.location else ""),
        ("Storage Properties", shown_pairs(table.options) if table.options else ""),
        ("Partition Provider", "Catalog" if table.partition_columns else ""),
    ]
    return [(key, value) for key, value in rows if value]


def _buckets(table: Table) -> list[tuple[str, str]]:
    if not table.bucket_count:
        return []
    rows = [("Num Buckets", str(table.bucket_count)), ("Bucket Columns", shown_names(table.bucket_columns))]
    return [*rows, ("Sort Columns", shown_names(table.sort_columns))]


def storage_rows(table: Table) -> list[tuple[str, str]]:
    """How a table's files are laid out."""
    rows = [
        *_buckets(table),
        ("Location", f"file:{table.location}"),
        ("Storage Properties", shown_pairs(table.options) if table.options else ""),
    ]
    return [(key, value) for key, value in rows if value]


def _view_rows(table: Table) -> list[tuple[str, str]]:
    if not table.is_view:
        return []
    names = table.view_names or tuple([f.name for f in table.schema.fields])
    return [
        ("View Text", table.view_text),
        ("View Original Text", table.view_text),
        ("View Schema Mode", table.view_schema_mode),
        ("View Catalog and Namespace", f"{CATALOG}.{quote_if_needed(table.view_database or table.database)}"),
        ("View Query Output Columns", shown_names(names)),
    ]


def quote_if_needed(name: str) -> str:
    """A name in back quotes where it is no plain one."""
    return name if re.fullmatch(r"\w+", name) and not name.isdigit() else quote(name)


def statistics_text(table: Table) -> str:
    """``976 bytes, 5 rows``."""
    found = dict(table.statistics)
    if "size" not in found:
        return ""
    return f"{found['size']} bytes" + (f", {found['rows']} rows" if "rows" in found else "")


def information_text(table: Table) -> str:
    """The column ``information`` of SHOW TABLE EXTENDED."""
    lines = [f"{key}: {value}" for key, value in information(table)]
    if table.partition_columns:
        lines.append(f"Partition Columns: {shown_names(table.partition_columns)}")
    return "\n".join(lines) + f"\nSchema: {table.schema.treeString()}\n"


def partition_text(table: Table, values: Sequence[str | None]) -> str:
    """The column ``information`` of SHOW TABLE EXTENDED for one partition."""
    pairs = zip(table.partition_columns, values, strict=True)
    shown = [f"{n}={DEFAULT_PARTITION if v is None else v}" for n, v in pairs]
    folder = partition_folder(table.partition_columns, values)
    location = dict(table.partition_locations).get(folder) or f"{table.location}/{folder}"
    lines = [f"Partition Values: [{', '.join(shown)}]", f"Location: file:{location}"]
    return "\n".join([*lines, f"Created Time: {moment(table.created_at)}", "Last Access: UNKNOWN\n"])
