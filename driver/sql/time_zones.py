"""SET TIME ZONE: a zone's name, LOCAL, or an offset as an interval."""

from __future__ import annotations

from voltray.driver.plan import statements as s
from voltray.driver.sql.parser import parse_expression
from voltray.proto import types as t
from voltray.proto.expressions import Literal
from voltray.proto.failures import ErrorKind, SparkError, spark_error
from voltray.proto.interval_text import UNIT_MICROS

_TIME_ZONE = "spark.sql.session.timeZone"
_LARGEST_SECONDS = 18 * 3600


def set_time_zone(zone: str) -> s.Statement:
    """The statement of what stands behind SET TIME ZONE."""
    if zone.upper() == "LOCAL":
        return s.SetConf(_TIME_ZONE, local_time_zone=True)
    return s.SetConf(_TIME_ZONE, _zone_name(zone))


def _zone_name(zone: str) -> str:
    value = _constant(zone)
    if isinstance(value, Literal) and isinstance(value.dtype, t.StringType):
        return str(value.value)
    if not isinstance(value, Literal) or not zone.upper().startswith("INTERVAL"):
        message = "SET TIME ZONE takes a zone's name, LOCAL, or an interval of hours, minutes and seconds."
        raise spark_error("_LEGACY_ERROR_TEMP_0045", ErrorKind.PARSE, message=message)
    seconds, rest = divmod(abs(int(value.value)), UNIT_MICROS[3])
    if isinstance(value.dtype, t.YearMonthIntervalType) or rest or seconds > _LARGEST_SECONDS:
        condition = "INVALID_INTERVAL_FORMAT.TIMEZONE_INTERVAL_OUT_OF_RANGE"
        raise spark_error(condition, ErrorKind.PARSE, input=zone)
    return _offset(int(value.value) < 0, seconds)


def _constant(zone: str) -> object:
    try:
        return parse_expression(zone) if zone else None
    except SparkError as error:
        if error.condition == "PARSE_SYNTAX_ERROR":
            return None
        raise


def _offset(negative: bool, seconds: int) -> str:
    if not seconds:
        return "Z"
    minutes, second = divmod(seconds, 60)
    shown = f"{'-' if negative else '+'}{minutes // 60:02d}:{minutes % 60:02d}"
    return f"{shown}:{second:02d}" if second else shown
