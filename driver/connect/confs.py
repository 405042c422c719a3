"""The confs of Spark: their defaults, types and limits, from ``confs.tsv`` (read off Spark 4.1.1)."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from voltray.proto.failures import ErrorKind, SparkError, spark_error

TIME_ZONE = "spark.sql.session.timeZone"
_MISSING = "\\N"
_SIZE = re.compile(r"(-?\d+)\s*(?:([kmgtp])(?:i?b)?|b)?", re.IGNORECASE)
_DURATION = re.compile(r"(-?\d+)\s*(us|ms|s|m|min|h|d)?", re.IGNORECASE)
_OFFSET = re.compile(r"(?:UTC|GMT|UT)?[+-](\d{1,2})(?::?(\d{2}))?(?::?(\d{2}))?")
_SIZE_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
_MILLISECONDS = {"us": 0.001, "ms": 1, "s": 1000, "m": 60_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}


@dataclass(frozen=True, slots=True)
class ConfDefinition:
    """A conf that Spark knows."""

    key: str
    default: str | None
    kind: str
    is_static: bool
    minimum: int | None
    options: tuple[str, ...]
    warning: str


@lru_cache(maxsize=1)
def definitions() -> Mapping[str, ConfDefinition]:
    """Every conf that Spark registers, by key."""
    text = resources.files("voltray.driver.connect").joinpath("confs.tsv").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in text.splitlines()[1:] if line)
    return {row[0]: _definition(row) for row in rows}


def _definition(row: list[str]) -> ConfDefinition:
    key, default, kind, static, minimum, options, warning = row
    if key == TIME_ZONE:
        default = local_time_zone()
    value = None if default == _MISSING else default.replace("\\t", "\t").replace("\\n", "\n").replace("\\\\", "\\")
    choices = tuple(options.split(", ")) if options else ()
    return ConfDefinition(key, value, kind, bool(static), int(minimum) if minimum else None, choices, warning)


def local_time_zone() -> str:
    """The machine's time zone, as a JVM finds it: TZ, then /etc/localtime."""
    named = os.environ.get("TZ", "").lstrip(":")
    if named and _is_time_zone(named):
        return named
    try:
        target = str(Path("/etc/localtime").resolve(strict=True))
    except OSError:
        return "UTC"
    _, found, name = target.partition("/zoneinfo/")
    return name if found and _is_time_zone(name) else "UTC"


def validate(definition: ConfDefinition, value: str) -> None:
    """Refuse a value that the conf does not take, with Spark's conditions."""
    check = _CHECKS.get(definition.kind)
    if check is not None:
        check(definition, value)


def _check_boolean(definition: ConfDefinition, value: str) -> None:
    if value.strip().lower() not in ("true", "false"):
        raise _mismatch(definition, value, "boolean")


def _number_check(bits: int, name: str) -> Callable[[ConfDefinition, str], None]:
    def check(definition: ConfDefinition, value: str) -> None:
        text = value.strip()
        if not re.fullmatch(r"[+-]?\d+", text) or not -(1 << (bits - 1)) <= int(text) < 1 << (bits - 1):
            raise _mismatch(definition, value, name)
        _check_minimum(definition, value, int(text))

    return check


def _check_double(definition: ConfDefinition, value: str) -> None:
    try:
        number = float(value)
    except ValueError:
        raise _mismatch(definition, value, "double") from None
    _check_minimum(definition, value, number)


def _size_check(name: str) -> Callable[[ConfDefinition, str], None]:
    def check(definition: ConfDefinition, value: str) -> None:
        size = parse_bytes(value)
        if size is None:
            raise _mismatch(definition, value, name)
        _check_minimum(definition, value, size)

    return check


def _duration_check(name: str) -> Callable[[ConfDefinition, str], None]:
    def check(definition: ConfDefinition, value: str) -> None:
        match = _DURATION.fullmatch(value.strip())
        if match is None:
            raise _mismatch(definition, value, name)
        _check_minimum(definition, value, int(match[1]))

    return check


def _check_options(definition: ConfDefinition, value: str) -> None:
    choices = {option.lower() for option in definition.options}
    if value.lower() not in choices:
        raise _invalid_value("OUT_OF_RANGE_OF_OPTIONS", definition, value, confOptions=", ".join(definition.options))


def _check_time_zone(definition: ConfDefinition, value: str) -> None:
    if not _is_time_zone(value):
        raise _invalid_value("TIME_ZONE", definition, value)


def _is_time_zone(name: str) -> bool:
    offset = _OFFSET.fullmatch(name)
    if offset is not None:
        return int(offset[1]) <= 18 and int(offset[2] or 0) < 60 and int(offset[3] or 0) < 60
    if name in ("Z", "UTC", "GMT", "UT"):
        return True
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _check_minimum(definition: ConfDefinition, value: str, number: float) -> None:
    if definition.minimum is None or number >= definition.minimum:
        return
    words = {0: "must not be negative", 1: "must be positive"}.get(definition.minimum, "must be more than one")
    requirement = f"The value of {definition.key} {words}"
    raise _invalid_value("REQUIREMENT", definition, value, confRequirement=requirement)


def _mismatch(definition: ConfDefinition, value: str, kind: str) -> SparkError:
    return _invalid_value("TYPE_MISMATCH", definition, value, confType=kind)


def _invalid_value(form: str, definition: ConfDefinition, value: str, **parameters: Any) -> SparkError:
    return spark_error(
        f"INVALID_CONF_VALUE.{form}",
        ErrorKind.ILLEGAL_ARGUMENT,
        confName=definition.key,
        confValue=value,
        **parameters,
    )


def parse_bytes(text: str) -> int | None:
    """A size such as ``10mb`` or ``1048576b`` in bytes; None where it is none."""
    match = _SIZE.fullmatch(text.strip())
    return None if match is None else int(match[1]) * 1024 ** _SIZE_POWERS[(match[2] or "").lower()]


def parse_milliseconds(text: str, plain_unit: str = "ms") -> float | None:
    """A duration such as ``2s`` in milliseconds; None where it is none."""
    match = _DURATION.fullmatch(text.strip())
    return None if match is None else int(match[1]) * _MILLISECONDS[(match[2] or plain_unit).lower()]


_CHECKS: dict[str, Callable[[ConfDefinition, str], None]] = {
    "boolean": _check_boolean,
    "int": _number_check(32, "int"),
    "long": _number_check(64, "long"),
    "double": _check_double,
    "bytes": _size_check("bytes in BYTE"),
    "mebibytes": _size_check("bytes in MiB"),
    "milliseconds": _duration_check("time in MILLISECONDS"),
    "seconds": _duration_check("time in SECONDS"),
    "options": _check_options,
    "time_zone": _check_time_zone,
}
