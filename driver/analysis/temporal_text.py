"""Dates, times and intervals as text, for the names and messages made during analysis."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from voltray.proto.types import DayTimeIntervalType, YearMonthIntervalType

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_TIME_UNITS = ("DAY", "HOUR", "MINUTE", "SECOND")
_YEAR_MONTH_UNITS = ("YEAR", "MONTH")


def date_text(days: int) -> str:
    """Days since 1970 as ``2024-01-31``."""
    try:
        return (date(1970, 1, 1) + timedelta(days=days)).isoformat()
    except OverflowError:
        return str(days)


def timestamp_text(micros: int, time_zone: str | None) -> str:
    """Microseconds since 1970 as a wall clock shows them, without needless zeros in the fraction."""
    try:
        moment = _EPOCH + timedelta(microseconds=micros)
        if time_zone is not None:
            moment = moment.astimezone(_zone(time_zone))
    except (OverflowError, ValueError):
        return str(micros)
    text = moment.strftime("%Y-%m-%d %H:%M:%S") if moment.year >= 1000 else _padded(moment)
    fraction = f"{moment.microsecond:06d}".rstrip("0")
    return f"{text}.{fraction}" if fraction else text


def _padded(moment: datetime) -> str:
    return f"{moment.year:04d}-" + moment.strftime("%m-%d %H:%M:%S")


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except Exception:  # noqa: BLE001 - offsets and other names that zoneinfo does not know
        return ZoneInfo("UTC")


def time_text(nanos: int) -> str:
    """Nanoseconds of a day as ``12:30:00``."""
    seconds, rest = divmod(nanos, 1_000_000_000)
    text = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    fraction = f"{rest:09d}".rstrip("0")
    return f"{text}.{fraction}" if fraction else text


def day_time_text(micros: int, dtype: DayTimeIntervalType) -> str:
    """Microseconds as ``INTERVAL '1 02:03:04' DAY TO SECOND``."""
    start, end = dtype.startField, dtype.endField
    sign = "-" if micros < 0 else ""
    seconds, fraction = divmod(abs(micros), 1_000_000)
    factors = (86400, 3600, 60, 1)
    values: list[int] = []
    for unit in range(start, end + 1):
        amount, seconds = divmod(seconds, factors[unit])
        values.append(amount)
    pieces: list[str] = []
    for position, (unit, amount) in enumerate(zip(range(start, end + 1), values, strict=True)):
        separator = "" if position == 0 else " " if unit == 1 else ":"
        pieces.append(separator + (str(amount) if unit == 0 else f"{amount:02d}"))
    if end == 3 and fraction:
        pieces.append("." + f"{fraction:06d}".rstrip("0"))
    return f"INTERVAL '{sign}{''.join(pieces)}' {_units(_DAY_TIME_UNITS, start, end)}"


def year_month_text(months: int, dtype: YearMonthIntervalType) -> str:
    """Months as ``INTERVAL '1-2' YEAR TO MONTH``."""
    start, end = dtype.startField, dtype.endField
    sign = "-" if months < 0 else ""
    years, rest = divmod(abs(months), 12)
    shown = f"{years}-{rest}" if (start, end) == (0, 1) else str(years) if start == 0 else str(abs(months))
    return f"INTERVAL '{sign}{shown}' {_units(_YEAR_MONTH_UNITS, start, end)}"


def _units(names: tuple[str, ...], start: int, end: int) -> str:
    return names[start] if start == end else f"{names[start]} TO {names[end]}"
