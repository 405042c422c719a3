"""What is known of a column's values: from ANALYZE TABLE, else from the footers of its files."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from voltray.driver.plan import logical
from voltray.driver.plan.logical import LogicalPlan
from voltray.proto.expressions import Alias, Attribute
from voltray.proto.types import (
    DataType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegralType,
    TimestampNTZType,
    TimestampType,
)

_EPOCH_DATE = datetime.date(1970, 1, 1)
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MICROSECOND = datetime.timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class ColumnStatistics:
    """Different values, least and greatest (internal values as numbers), and the share of NULLs, where known."""

    distinct: float | None = None
    low: float | None = None
    high: float | None = None
    null_share: float | None = None


def rows_of_scan(scan: logical.FileScan) -> float | None:
    """How many rows a scan's files have, where ANALYZE or the files' footers tell."""
    told = dict(scan.statistics).get("rows")
    if told is not None:
        return float(told)
    from voltray.executors.sources.catalogue import rows_of

    rows = rows_of(scan.format, scan.files)
    return None if rows is None else float(rows)


def statistics_of(plan: LogicalPlan, column: Attribute) -> ColumnStatistics:
    """What is known of a plan's column, from the scan that it comes from."""
    while not isinstance(plan, logical.FileScan):
        match plan:
            case logical.Project():
                item = next((i for i in plan.items if i.expr_id == column.expr_id), None)
                source = item.child if isinstance(item, Alias) else item
                if not isinstance(source, Attribute):
                    return ColumnStatistics()
                column, plan = source, plan.child
            case logical.SameOutput() | logical.Aggregate():
                plan = plan.child
            case logical.Join():
                on_left = any(a.expr_id == column.expr_id for a in plan.left.output)
                plan = plan.left if on_left else plan.right
            case _:
                return ColumnStatistics()
        if not any(a.expr_id == column.expr_id for a in plan.output):
            return ColumnStatistics()
    return _of_scan(plan, column)


def _of_scan(scan: logical.FileScan, column: Attribute) -> ColumnStatistics:
    told = {k: v for k, v in scan.statistics if k.startswith(f"{column.name}.")}
    if not told:
        return _of_footers(scan, column)
    values = {k.removeprefix(f"{column.name}."): v for k, v in told.items()}
    rows = rows_of_scan(scan)
    nulls = float(values.get("num_nulls", 0))
    return ColumnStatistics(
        float(values["distinct_count"]) if "distinct_count" in values else None,
        _number_of_text(values.get("min"), column.dtype),
        _number_of_text(values.get("max"), column.dtype),
        nulls / rows if rows else None,
    )


def _of_footers(scan: logical.FileScan, column: Attribute) -> ColumnStatistics:
    from voltray.executors.sources.catalogue import bounds_of

    bounds = bounds_of(scan.format, scan.files, column.name)
    if bounds is None:
        return ColumnStatistics()
    low, high = (number_of(value) for value in bounds)
    return ColumnStatistics(None, low, high, None)


def number_of(value: Any) -> float | None:
    """A value, internal or of Python's own types, as a number in which values of its type are in order."""
    match value:
        case bool() | None:
            return None
        case int() | float() | Decimal():
            return float(value)
        case datetime.datetime():
            moment = value if value.tzinfo is not None else value.replace(tzinfo=datetime.UTC)
            return float((moment - _EPOCH) // _MICROSECOND)
        case datetime.date():
            return float((value - _EPOCH_DATE).days)
    return None


def _number_of_text(text: str | None, dtype: DataType) -> float | None:
    if text is None:
        return None
    try:
        match dtype:
            case IntegralType() | FloatType() | DoubleType() | DecimalType():
                return float(text)
            case DateType():
                return number_of(datetime.date.fromisoformat(text))
            case TimestampType():
                return number_of(datetime.datetime.strptime(text, "%Y-%m-%d %H:%M:%S.%f %z"))
            case TimestampNTZType():
                return number_of(datetime.datetime.fromisoformat(text))
    except ValueError:
        return None
    return None
