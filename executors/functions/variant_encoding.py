"""The binary form of variants: Python values to (value, metadata) and back."""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from typing import Any

from voltray.executors.functions.java_numbers import java_double, java_float
from voltray.executors.functions.json_values import Members, RawFloat, quoted
from voltray.executors.functions.zones import zone_info, zone_of

Encoded = tuple[bytes, bytes]


class Day(int):
    """A date, in days since 1970."""


class Instant(int):
    """A timestamp, in microseconds since 1970."""


class LocalTime(int):
    """A timestamp without zone, in microseconds since 1970."""


class Single(float):
    """A single precision number."""


_PRIMITIVE, _SHORT_STRING, _OBJECT, _ARRAY = range(4)
(_NULL, _TRUE, _FALSE, _INT1, _INT2, _INT4, _INT8, _DOUBLE, _DECIMAL4, _DECIMAL8, _DECIMAL16, _DATE, _TIMESTAMP,
 _TIMESTAMP_NTZ, _FLOAT, _BINARY, _LONG_STRING) = range(17)  # fmt: skip
_INTS = ((_INT1, 1), (_INT2, 2), (_INT4, 4), (_INT8, 8))
_INT_SIZES = dict(_INTS)
_DECIMALS = ((_DECIMAL4, 4, 9), (_DECIMAL8, 8, 18), (_DECIMAL16, 16, 38))
_DECIMAL_SIZES = {kind: size for kind, size, _ in _DECIMALS}
_EPOCH = datetime(1970, 1, 1)


# ---- writing ---------------------------------------------------------------------------------------
def encode(value: Any) -> Encoded:
    """A value (dicts, lists, scalars) as a variant."""
    keys: dict[str, int] = {}
    body = _encoded(value, keys)
    return body, _metadata(keys)


def encode_json(value: Any) -> Encoded:
    """A parsed JSON value as a variant: numbers are exact decimals where they fit."""
    return encode(from_json(value))


def from_json(value: Any) -> Any:
    """A parsed JSON value as a value to encode."""
    match value:
        case RawFloat():
            return _number(value)
        case Members():
            return {name: from_json(item) for name, item in value}
        case list():
            return [from_json(item) for item in value]
        case int() if type(value) is int and not -(1 << 63) <= value < 1 << 63:
            return Decimal(value) if len(str(abs(value))) <= 38 else float(value)
    return value


def _number(text: str) -> Any:
    if "e" in text or "E" in text:
        return float(text)
    try:
        exact = Decimal(text)
    except InvalidOperation:
        return float(text)
    digits, exponent = len(exact.as_tuple().digits), -int(exact.as_tuple().exponent)
    return exact if max(digits, exponent) <= 38 else float(text)


def _metadata(keys: dict[str, int]) -> bytes:
    names = [k.encode() for k in keys]
    total = sum(len(n) for n in names)
    size = _width(max(total, len(names)))
    offsets, at = [0], 0
    for name in names:
        at += len(name)
        offsets.append(at)
    head = bytes([1 | (size - 1) << 6]) + len(names).to_bytes(size, "little")
    return head + b"".join([o.to_bytes(size, "little") for o in offsets]) + b"".join(names)


def _width(number: int) -> int:
    return max(1, (number.bit_length() + 7) // 8)


def _primitive(kind: int, payload: bytes = b"") -> bytes:
    return bytes([kind << 2]) + payload


def _encoded(value: Any, keys: dict[str, int]) -> bytes:
    if isinstance(value, dict):
        return _object(value, keys)
    if isinstance(value, list):
        items = [_encoded(v, keys) for v in value]
        return _array(items)
    return _scalar(value)


def _scalar(value: Any) -> bytes:
    match value:
        case None:
            return _primitive(_NULL)
        case bool():
            return _primitive(_TRUE if value else _FALSE)
        case Day():
            return _primitive(_DATE, int(value).to_bytes(4, "little", signed=True))
        case Instant() | LocalTime():
            kind = _TIMESTAMP if isinstance(value, Instant) else _TIMESTAMP_NTZ
            return _primitive(kind, int(value).to_bytes(8, "little", signed=True))
        case int():
            for kind, size in _INTS:
                if -(1 << (8 * size - 1)) <= value < 1 << (8 * size - 1):
                    return _primitive(kind, value.to_bytes(size, "little", signed=True))
        case Single():
            return _primitive(_FLOAT, struct.pack("<f", value))
        case float():
            return _primitive(_DOUBLE, struct.pack("<d", value))
        case Decimal():
            return _decimal(value)
        case str():
            data = value.encode()
            if len(data) < 64:
                return bytes([len(data) << 2 | _SHORT_STRING]) + data
            return _primitive(_LONG_STRING, len(data).to_bytes(4, "little") + data)
    data = bytes(value)
    return _primitive(_BINARY, len(data).to_bytes(4, "little") + data)


def _decimal(value: Decimal) -> bytes:
    if int(value.as_tuple().exponent) > 0:
        value = value.quantize(Decimal(1))
    sign, digits, exponent = value.as_tuple()
    scale = -int(exponent)
    unscaled = int("".join(map(str, digits))) * (-1 if sign else 1)
    precision = max(len(digits), scale)
    for kind, size, most in _DECIMALS:
        if precision <= most:
            return _primitive(kind, bytes([scale]) + unscaled.to_bytes(size, "little", signed=True))
    return _scalar(float(value))


def _object(value: dict[str, Any], keys: dict[str, int]) -> bytes:
    items: dict[str, bytes] = {}
    for name, item in value.items():
        keys.setdefault(name, len(keys))
        items[name] = _encoded(item, keys)
    starts, at = {}, 0
    for name, data in items.items():
        starts[name], at = at, at + len(data)
    ordered = sorted(items)
    large = len(items) > 255
    id_size = _width(max((keys[n] for n in ordered), default=0))
    offset_size = _width(at)
    head = bytes([(int(large) << 4 | (id_size - 1) << 2 | (offset_size - 1)) << 2 | _OBJECT])
    head += len(items).to_bytes(4 if large else 1, "little")
    ids = b"".join([keys[n].to_bytes(id_size, "little") for n in ordered])
    offsets = b"".join([starts[n].to_bytes(offset_size, "little") for n in ordered]) + at.to_bytes(
        offset_size, "little"
    )
    return head + ids + offsets + b"".join(items.values())


def _array(items: list[bytes]) -> bytes:
    large = len(items) > 255
    total = sum(len(i) for i in items)
    offset_size = _width(total)
    head = bytes([(int(large) << 2 | (offset_size - 1)) << 2 | _ARRAY]) + len(items).to_bytes(
        4 if large else 1, "little"
    )
    offsets, at = [], 0
    for item in items:
        offsets.append(at.to_bytes(offset_size, "little"))
        at += len(item)
    return head + b"".join(offsets) + at.to_bytes(offset_size, "little") + b"".join(items)


# ---- reading ---------------------------------------------------------------------------------------
def decode(value: bytes, metadata: bytes) -> Any:
    """A variant as dicts (keys in order), lists and scalars."""
    return _decoded(value, 0, _keys(metadata))


def _keys(metadata: bytes) -> list[str]:
    size = (metadata[0] >> 6 & 3) + 1
    count = int.from_bytes(metadata[1 : 1 + size], "little")
    offsets = [int.from_bytes(metadata[1 + size * (i + 1) : 1 + size * (i + 2)], "little") for i in range(count + 1)]
    start = 1 + size * (count + 2)
    return [metadata[start + a : start + b].decode() for a, b in pairwise(offsets)]


def _decoded(value: bytes, at: int, keys: list[str]) -> Any:
    basic, info = value[at] & 3, value[at] >> 2
    if basic == _SHORT_STRING:
        return value[at + 1 : at + 1 + info].decode()
    if basic == _OBJECT:
        return _decoded_object(value, at, info, keys)
    if basic == _ARRAY:
        return _decoded_array(value, at, info, keys)
    return _READERS[info](value, at + 1)


def _number_at(value: bytes, at: int, size: int) -> int:
    return int.from_bytes(value[at : at + size], "little")


def _decoded_object(value: bytes, at: int, info: int, keys: list[str]) -> dict[str, Any]:
    count_size, id_size, offset_size = 4 if info >> 4 & 1 else 1, (info >> 2 & 3) + 1, (info & 3) + 1
    count = _number_at(value, at + 1, count_size)
    ids = at + 1 + count_size
    offsets = ids + count * id_size
    data = offsets + (count + 1) * offset_size
    found = {}
    for i in range(count):
        name = keys[_number_at(value, ids + i * id_size, id_size)]
        found[name] = _decoded(value, data + _number_at(value, offsets + i * offset_size, offset_size), keys)
    return found


def _decoded_array(value: bytes, at: int, info: int, keys: list[str]) -> list[Any]:
    count_size, offset_size = 4 if info >> 2 & 1 else 1, (info & 3) + 1
    count = _number_at(value, at + 1, count_size)
    offsets = at + 1 + count_size
    data = offsets + (count + 1) * offset_size
    return [
        _decoded(value, data + _number_at(value, offsets + i * offset_size, offset_size), keys) for i in range(count)
    ]


def _signed(kind: Callable[[int], Any], size: int) -> Callable[[bytes, int], Any]:
    return lambda value, at: kind(int.from_bytes(value[at : at + size], "little", signed=True))


def _decimal_at(size: int) -> Callable[[bytes, int], Decimal]:
    def read(value: bytes, at: int) -> Decimal:
        return Decimal(int.from_bytes(value[at + 1 : at + 1 + size], "little", signed=True)).scaleb(-value[at])

    return read


def _sized(value: bytes, at: int) -> bytes:
    return bytes(value[at + 4 : at + 4 + _number_at(value, at, 4)])


_READERS: dict[int, Callable[[bytes, int], Any]] = {
    _NULL: lambda value, at: None, _TRUE: lambda value, at: True, _FALSE: lambda value, at: False,
    **{kind: _signed(int, size) for kind, size in _INTS},
    **{kind: _decimal_at(size) for kind, size, _ in _DECIMALS},
    _DOUBLE: lambda value, at: struct.unpack("<d", value[at : at + 8])[0],
    _FLOAT: lambda value, at: Single(struct.unpack("<f", value[at : at + 4])[0]),
    _DATE: _signed(Day, 4), _TIMESTAMP: _signed(Instant, 8), _TIMESTAMP_NTZ: _signed(LocalTime, 8),
    _BINARY: _sized, _LONG_STRING: lambda value, at: _sized(value, at).decode(),
}  # fmt: skip


# ---- text ------------------------------------------------------------------------------------------
def to_text(value: Any, time_zone: str) -> str:
    """A decoded variant as JSON text, its object keys in order."""
    match value:
        case dict():
            return "{" + ",".join([f"{quoted(k)}:{to_text(value[k], time_zone)}" for k in sorted(value)]) + "}"
        case list():
            return "[" + ",".join([to_text(v, time_zone) for v in value]) + "]"
        case None:
            return "null"
        case str():
            return quoted(value)
        case Day() | Instant() | LocalTime():
            return quoted(moment_text(value, time_zone))
        case bytes():
            import base64

            return quoted(base64.b64encode(value).decode())
        case float():
            text = java_float(value) if isinstance(value, Single) else java_double(value)
            return text if text[-1].isdigit() else quoted(text)
    return scalar_text(value)


def scalar_text(value: Any) -> str:
    """Booleans and exact numbers as text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return str(int(value))


def moment_text(value: Day | Instant | LocalTime, time_zone: str) -> str:
    """Dates and timestamps as a variant's text shows them."""
    if isinstance(value, Day):
        return (_EPOCH + timedelta(days=int(value))).date().isoformat()
    local = _EPOCH + timedelta(microseconds=int(value))
    if isinstance(value, LocalTime):
        return _clock(local)
    info = zone_info(time_zone)
    fixed = zone_of(time_zone)
    shift = (
        timedelta(seconds=fixed) if isinstance(fixed, int) else local.replace(tzinfo=UTC).astimezone(info).utcoffset()
    )
    assert shift is not None
    total = int(shift.total_seconds())
    sign = "-" if total < 0 else "+"
    return f"{_clock(local + shift)}{sign}{abs(total) // 3600:02d}:{abs(total) // 60 % 60:02d}"


def _clock(moment: datetime) -> str:
    text = moment.isoformat(sep=" ")
    return text.rstrip("0") if "." in text else text
