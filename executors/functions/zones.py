"""Time zones as Java reads them, and whole columns between instants and local time."""

from __future__ import annotations

import re
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

import polars as pl

from voltray.proto.failures import ErrorKind, SparkError, spark_error

_SHORT_IDS = {
    "ACT": "Australia/Darwin", "AET": "Australia/Sydney", "AGT": "America/Argentina/Buenos_Aires",
    "ART": "Africa/Cairo", "AST": "America/Anchorage", "BET": "America/Sao_Paulo", "BST": "Asia/Dhaka",
    "CAT": "Africa/Harare", "CNT": "America/St_Johns", "CST": "America/Chicago", "CTT": "Asia/Shanghai",
    "EAT": "Africa/Addis_Ababa", "ECT": "Europe/Paris", "IET": "America/Indiana/Indianapolis",
    "IST": "Asia/Kolkata", "JST": "Asia/Tokyo", "MIT": "Pacific/Apia", "NET": "Asia/Yerevan",
    "NST": "Pacific/Auckland", "PLT": "Asia/Karachi", "PNT": "America/Phoenix", "PRT": "America/Puerto_Rico",
    "PST": "America/Los_Angeles", "SST": "Pacific/Guadalcanal", "VST": "Asia/Ho_Chi_Minh",
    "EST": "-05:00", "MST": "-07:00", "HST": "-10:00",
}  # fmt: skip
_OFFSET = re.compile(r"(?:UTC|GMT|UT)?([+-])(\d{1,2})(?::?(\d{1,2}))?(?::?(\d{2}))?$")
_UTC_NAMES = frozenset({"UTC", "GMT", "UT", "Z", "Etc/UTC", "Etc/GMT", "Etc/UCT", "Zulu", "Etc/Zulu", "UCT"})


@lru_cache(maxsize=1)
def _known() -> frozenset[str]:
    return frozenset(available_timezones())


@lru_cache(maxsize=1024)
def zone_of(text: str) -> str | int:
    """A Java zone id as an IANA name or, for a fixed offset, its seconds; INVALID_TIMEZONE for any other text."""
    name = _SHORT_IDS.get(text, text)
    if name in _UTC_NAMES:
        return 0
    if name in _known():
        return name
    fixed = _OFFSET.match(name)
    if fixed is None:
        raise invalid_zone(text)
    sign, hours, minutes, seconds = fixed.groups()
    amount = int(hours) * 3600 + int(minutes or 0) * 60 + int(seconds or 0)
    if amount > 18 * 3600 or int(minutes or 0) > 59 or int(seconds or 0) > 59:
        raise invalid_zone(text)
    return -amount if sign == "-" else amount


def invalid_zone(text: str) -> SparkError:
    """INVALID_TIMEZONE of an unknown id."""
    return spark_error("INVALID_TIMEZONE", ErrorKind.DATE_TIME, timeZone=text)


def local_time(instant: pl.Expr, time_zone: str) -> pl.Expr:
    """The wall-clock time (a Datetime without zone) of an instant in a zone."""
    zone = zone_of(time_zone)
    if isinstance(zone, str):
        return instant.dt.convert_time_zone(zone).dt.replace_time_zone(None)
    plain = instant.dt.replace_time_zone(None)
    return plain if zone == 0 else plain + pl.duration(seconds=zone, time_unit="us")


def instant_of(local: pl.Expr, time_zone: str) -> pl.Expr:
    """The instant of a wall-clock time: the earlier of two, and in a gap later by the gap's length, as in Java."""
    zone = zone_of(time_zone)
    if isinstance(zone, int):
        moved = local if zone == 0 else local - pl.duration(seconds=zone, time_unit="us")
        return moved.dt.replace_time_zone("UTC")
    day = pl.duration(days=1, time_unit="us")
    plain = local.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    before = (local - day).dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null") + day
    return pl.coalesce(plain, before).dt.convert_time_zone("UTC")


def apply(function: object, series: pl.Series, time_zone: str) -> pl.Series:
    """:func:`local_time` or :func:`instant_of` of a series."""
    return series.to_frame("x").select(function(pl.col("x"), time_zone)).to_series()  # type: ignore[operator]


def local_series(instants: pl.Series, time_zone: str) -> pl.Series:
    """Wall-clock times of a series of instants."""
    return apply(local_time, instants, time_zone)


def instant_series(local: pl.Series, time_zone: str) -> pl.Series:
    """Instants of a series of wall-clock times."""
    return apply(instant_of, local, time_zone)


def offset_seconds(instants: pl.Series, time_zone: str) -> pl.Series:
    """Seconds east of Greenwich at each instant."""
    local = local_series(instants, time_zone).to_physical()
    return (local - instants.to_physical()) // 1_000_000


@lru_cache(maxsize=256)
def zone_info(time_zone: str) -> ZoneInfo | None:
    """Python's zone of a named zone, None for a fixed offset."""
    zone = zone_of(time_zone)
    return ZoneInfo(zone) if isinstance(zone, str) else None
