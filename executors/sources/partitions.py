"""Hive-style partitions: values in the names of folders, their types, and how they are escaped."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from voltray.executors.sources.base import Options, SourceFile
from voltray.executors.sources.listing import Listing, file_uri, local_path
from voltray.proto.failures import ErrorKind, spark_error
from voltray.proto.types import (
    BOOLEAN,
    DATE,
    DOUBLE,
    INTEGER,
    LONG,
    STRING,
    TIMESTAMP,
    DataType,
    DecimalType,
    StructField,
    StructType,
)

DEFAULT_PARTITION = "__HIVE_DEFAULT_PARTITION__"
_ESCAPED = set("\"#%'*/:=?\\\x7f{[]^") | {chr(c) for c in range(1, 32)}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_TIMESTAMP = re.compile(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}(\.\d)?")


def escape(text: str) -> str:
    """A value or column name as a folder's name has it."""
    return "".join(f"%{ord(c):02X}" if c in _ESCAPED else c for c in text)


def unescape(text: str) -> str:
    """The value that a folder's name holds."""
    return re.sub(r"%([0-9A-Fa-f]{2})", lambda m: chr(int(m[1], 16)), text)


def partition_folder(names: Sequence[str], values: Sequence[str | None]) -> str:
    """``a=1/b=x``: the folder of a row's partition."""
    parts = (DEFAULT_PARTITION if v is None or v == "" else escape(v) for v in values)
    return "/".join(f"{escape(n)}={v}" for n, v in zip(names, parts, strict=True))


def discover_partitions(
    listing: Listing, options: Options, user_schema: StructType | None, *, infer_types: bool, time_zone: str
) -> tuple[tuple[SourceFile, ...], StructType]:
    """The files with their partition values, and the partition schema that their folders tell."""
    if options.flag("recursiveFileLookup"):
        return listing.files, StructType([])
    below = _folders_below_base(listing, options.get("basePath"))
    pairs = [tuple(_pair(folder) for folder in folders if "=" in folder) for folders in below]
    if not any(pairs):
        return _direct_files(listing), StructType([])
    names = {tuple(name for name, _ in p) for p in pairs}
    if len(names) > 1:
        raise _conflict(names, listing)
    columns = next(iter(names))
    values = [tuple(v for _, v in p) for p in pairs]
    declared = {f.name.lower(): f.dataType for f in user_schema.fields} if user_schema else {}
    fields = []
    for position, name in enumerate(columns):
        texts = {v[position] for v in values}
        dtype = declared.get(name.lower()) or (infer_type(texts, time_zone) if infer_types else STRING)
        fields.append(StructField(name, dtype, True))
    files = tuple(replace(f, partition_values=v) for f, v in zip(listing.files, values, strict=True))
    return files, StructType(fields)


def _folders_below_base(listing: Listing, base_path: str | None) -> list[tuple[str, ...]]:
    """The folders' names between each file and the base: the root read, or the option basePath."""
    if base_path is None:
        return list(listing.folders)
    base = local_path(base_path).rstrip("/") + "/"
    for root in listing.roots:
        if not (root + "/").startswith(base):
            message = f"Wrong basePath {base_path} for the root path: {file_uri(root)}"
            raise spark_error("", message=message)
    folders = (os.path.dirname(f.path) + "/" for f in listing.files)
    return [tuple(p for p in f.removeprefix(base).split("/") if p) for f in folders]


def _direct_files(listing: Listing) -> tuple[SourceFile, ...]:
    """Without partitions Spark reads the files right below each root, and not those of other folders."""
    return tuple(f for f, below in zip(listing.files, listing.folders, strict=True) if not below)


def _pair(folder: str) -> tuple[str, str | None]:
    name, _, value = folder.partition("=")
    return unescape(name), None if value == DEFAULT_PARTITION else unescape(value)


def _conflict(names: set[tuple[str, ...]], listing: Listing) -> Exception:
    shown = "\n\t".join(f"Partition column name list #{i}: {', '.join(n)}" for i, n in enumerate(sorted(names)))
    folders = sorted({os.path.dirname(f.path) for f in listing.files})
    return spark_error(
        "CONFLICTING_PARTITION_COLUMN_NAMES",
        ErrorKind.RUNTIME,
        distinctPartColLists=f"\n\t{shown}\n",
        suspiciousPaths="\n\t" + "\n\t".join(file_uri(f) for f in folders),
    )


def _is_integer(text: str, bits: int) -> bool:
    return re.fullmatch(r"[+-]?\d+", text) is not None and -(1 << (bits - 1)) <= int(text) < 1 << (bits - 1)


def _type_of(text: str) -> DataType:
    """The narrowest type of one value, in the order in which Spark tries them."""
    if _is_integer(text, 32):
        return INTEGER
    if _is_integer(text, 64):
        return LONG
    if re.fullmatch(r"[+-]?\d+", text) and len(text.lstrip("+-0")) <= 38:
        return DecimalType(38, 0)
    if _is_double(text):
        return DOUBLE
    if _DATE.fullmatch(text) and _valid(date.fromisoformat, text):
        return DATE
    if _TIMESTAMP.fullmatch(text) and _valid(datetime.fromisoformat, text):
        return TIMESTAMP
    if text.lower() in ("true", "false"):
        return BOOLEAN
    return STRING


def _valid(parse: Any, text: str) -> bool:
    try:
        parse(text)
    except ValueError:
        return False
    return True


def _is_double(text: str) -> bool:
    return re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(NaN|Infinity)", text) is not None


_WIDENING: tuple[DataType, ...] = (INTEGER, LONG, DecimalType(38, 0), DOUBLE)


def infer_type(texts: set[str | None], time_zone: str) -> DataType:
    """The type that holds all values of a partition column."""
    found = {_type_of(t) for t in texts if t is not None}
    if not found:
        return STRING
    if len(found) == 1:
        return next(iter(found))
    if found <= set(_WIDENING):
        return max(found, key=_WIDENING.index)
    return TIMESTAMP if found <= {DATE, TIMESTAMP} else STRING


def internal_value(text: str | None, dtype: DataType, time_zone: str) -> Any:
    """A partition value as an internal value of its type; None where the text is none of it."""
    if text is None:
        return None
    try:
        return _parse(text, dtype, time_zone)
    except (ValueError, InvalidOperation):
        raise spark_error(
            "INVALID_PARTITION_VALUE", sqlstate="42846", value=text, dataType=dtype.simpleString()
        ) from None


def _parse(text: str, dtype: DataType, time_zone: str) -> Any:
    kind = dtype.typeName()
    if kind in ("byte", "short", "integer", "long"):
        return int(text)
    if kind in ("float", "double"):
        return float(text)
    if isinstance(dtype, DecimalType):
        return Decimal(text)
    if kind == "boolean":
        return text.strip().lower() == "true"
    if kind == "date":
        return (date.fromisoformat(text[:10]) - date(1970, 1, 1)).days
    if kind in ("timestamp", "timestamp_ntz"):
        moment = datetime.fromisoformat(text)
        zone = ZoneInfo(time_zone) if kind == "timestamp" else UTC
        moment = moment if moment.tzinfo else moment.replace(tzinfo=zone)
        return (moment - _EPOCH) // timedelta(microseconds=1)
    if kind == "binary":
        return text.encode()
    return text
