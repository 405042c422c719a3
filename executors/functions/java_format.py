"""Formatting a column of timestamps by a Java pattern."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import polars as pl

from voltray.executors.functions import zones
from voltray.executors.functions.java_patterns import Field, Optional, Part, Text, read_pattern
from voltray.proto.failures import ErrorKind, spark_error

# Fields whose strftime form is exactly Java's.
_STRFTIME = {
    ("u", 4): "%Y", ("M", 1): "%-m", ("M", 2): "%m", ("M", 3): "%b", ("M", 4): "%B", ("L", 1): "%-m",
    ("L", 2): "%m", ("L", 3): "%b", ("L", 4): "%B", ("d", 1): "%-d", ("d", 2): "%d", ("D", 1): "%-j",
    ("D", 3): "%j", ("E", 1): "%a", ("E", 2): "%a", ("E", 3): "%a", ("E", 4): "%A", ("H", 1): "%-H",
    ("H", 2): "%H", ("h", 1): "%-I", ("h", 2): "%I", ("m", 1): "%-M", ("m", 2): "%M", ("s", 1): "%-S",
    ("s", 2): "%S", ("a", 1): "%p", ("S", 3): "%3f", ("S", 6): "%6f",
}  # fmt: skip
_ORDINALS = {1: "1st quarter", 2: "2nd quarter", 3: "3rd quarter", 4: "4th quarter"}
_FULL_ZONE_NAMES = {
    "UTC": "Coordinated Universal Time", "GMT": "Greenwich Mean Time", "PST": "Pacific Standard Time",
    "PDT": "Pacific Daylight Time", "MST": "Mountain Standard Time", "MDT": "Mountain Daylight Time",
    "EST": "Eastern Standard Time", "EDT": "Eastern Daylight Time", "CET": "Central European Standard Time",
    "CEST": "Central European Summer Time", "EET": "Eastern European Standard Time",
    "EEST": "Eastern European Summer Time", "WET": "Western European Standard Time",
    "WEST": "Western European Summer Time", "JST": "Japan Standard Time", "MSK": "Moscow Standard Time",
}  # fmt: skip


def format_local(local: pl.Series, pattern: str) -> pl.Series:
    """Timestamps without zone as text; a pattern that asks for a zone is refused."""
    return _formatted(local, None, "", pattern)


def format_instants(instants: pl.Series, pattern: str, time_zone: str) -> pl.Series:
    """Instants as text of their wall-clock time in a zone."""
    return _formatted(zones.local_series(instants, time_zone), instants, time_zone, pattern)


def _formatted(local: pl.Series, instants: pl.Series | None, time_zone: str, pattern: str) -> pl.Series:
    pieces = _merge(read_pattern(pattern, False))
    frame = pl.DataFrame({"t": local})
    columns: list[pl.Expr] = []
    for piece in pieces:
        match piece:
            case pl.Expr():
                columns.append(piece)
            case Field(letter, count) if letter in _ZONED:
                if instants is None:
                    raise spark_error("UNSUPPORTED_FEATURE.DATETIME_ZONE", ErrorKind.UNSUPPORTED, pattern=pattern)
                text = _ZONED[letter](instants, time_zone, count)
                frame = frame.with_columns(text.alias(f"z{len(columns)}"))
                columns.append(pl.col(f"z{len(columns)}"))
            case Field(letter, count):
                columns.append(_FIELDS[letter](pl.col("t"), count))
    if not columns:
        columns = [pl.lit("")]
    shown = pl.when(pl.col("t").is_not_null()).then(pl.concat_str(columns))
    return frame.select(shown.alias("text")).to_series()


def _merge(parts: tuple[Part, ...]) -> list[pl.Expr | Field]:
    """Parts with every run that strftime says exactly as one column."""
    merged: list[pl.Expr | Field] = []
    exact: list[Field | Text] = []
    for part in _opened(parts):
        if isinstance(part, Text) or (part.letter, part.count) in _STRFTIME:
            exact.append(part)
            continue
        merged += _run(exact)
        exact = []
        merged.append(part)
    return merged + _run(exact)


def _run(parts: list[Field | Text]) -> list[pl.Expr | Field]:
    if not parts:
        return []
    if all(isinstance(p, Text) for p in parts):
        return [pl.lit("".join([p.text for p in parts if isinstance(p, Text)]))]
    texts = [p.text.replace("%", "%%") if isinstance(p, Text) else _STRFTIME[(p.letter, p.count)] for p in parts]
    return [pl.col("t").dt.strftime("".join(texts))]


def _opened(parts: tuple[Part, ...]) -> list[Field | Text]:
    """Optional sections are always printed: every field is there."""
    return [x for p in parts for x in (_opened(p.parts) if isinstance(p, Optional) else [p])]


def _number(value: pl.Expr, width: int) -> pl.Expr:
    """A number padded with zeros, a minus before the padding."""
    wide = value.cast(pl.Int64)
    digits = wide.abs().cast(pl.String).str.zfill(width)
    return pl.when(wide < 0).then(pl.lit("-") + digits).otherwise(digits)


def _year(value: pl.Expr, count: int) -> pl.Expr:
    if count == 2:
        return _number(value.abs() % 100, 2)
    if count < 4:
        return _number(value, count)
    plus = value.cast(pl.Int64) >= 10**count
    return pl.when(plus).then(pl.lit("+") + _number(value, count)).otherwise(_number(value, count))


def _year_of_era(time: pl.Expr, count: int) -> pl.Expr:
    year = time.dt.year().cast(pl.Int64)
    return _year(pl.when(year > 0).then(year).otherwise(1 - year), count)


def _era(time: pl.Expr, count: int) -> pl.Expr:
    after, before = ("AD", "BC") if count < 4 else ("Anno Domini", "Before Christ")
    return pl.when(time.dt.year() > 0).then(pl.lit(after)).otherwise(pl.lit(before))


def _quarter(time: pl.Expr, count: int) -> pl.Expr:
    quarter = time.dt.quarter()
    if count <= 2:
        return _number(quarter, count)
    if count == 3:
        return pl.lit("Q") + quarter.cast(pl.String)
    return quarter.cast(pl.Int64).replace_strict(_ORDINALS, return_dtype=pl.String)


def _fraction(time: pl.Expr, count: int) -> pl.Expr:
    nanos = (time.to_physical() % 1_000_000) * 1000
    return _number(nanos // 10 ** (9 - count), count)


_FIELDS: dict[str, Callable[[pl.Expr, int], pl.Expr]] = {
    "u": lambda t, n: _year(t.dt.year(), n),
    "y": _year_of_era,
    "G": _era,
    "Q": _quarter,
    "q": _quarter,
    "D": lambda t, n: _number(t.dt.ordinal_day(), n),
    "k": lambda t, n: _number((t.dt.hour().cast(pl.Int64) + 23) % 24 + 1, n),
    "K": lambda t, n: _number(t.dt.hour() % 12, n),
    "S": _fraction,
    "F": lambda t, n: _number((t.dt.day().cast(pl.Int64) - 1) % 7 + 1, n),
}


def offset_text(seconds: int, style: str, zero: str) -> str:
    """An offset in one of Java's styles: H, HM, H:M, HMs, H:M:s (s only where not zero)."""
    if seconds == 0:
        return zero
    sign, amount = ("-", -seconds) if seconds < 0 else ("+", seconds)
    hours, minutes, rest = amount // 3600, amount // 60 % 60, amount % 60
    colon = ":" if ":" in style else ""
    text = f"{sign}{hours:02d}"
    if "M" in style or minutes:
        text += f"{colon}{minutes:02d}"
    return text + (f"{colon}{rest:02d}" if rest and "s" in style else "")


def _localized(seconds: int, full: bool) -> str:
    if seconds == 0:
        return "GMT"
    sign, amount = ("-", -seconds) if seconds < 0 else ("+", seconds)
    hours, minutes, rest = amount // 3600, amount // 60 % 60, amount % 60
    if full:
        return f"GMT{sign}{hours:02d}:{minutes:02d}" + (f":{rest:02d}" if rest else "")
    return f"GMT{sign}{hours}" + (f":{minutes:02d}" if minutes else "") + (f":{rest:02d}" if rest else "")


_OFFSET_STYLES = {1: "H", 2: "HM", 3: "H:M", 4: "HMs", 5: "H:Ms"}
_OFFSET_ZEROS = {1: "+00", 2: "+0000", 3: "+00:00", 4: "+0000", 5: "+00:00"}


def _offsets(instants: pl.Series, time_zone: str, text: Callable[[int], str]) -> pl.Series:
    seconds = zones.offset_seconds(instants, time_zone)
    known = {s: text(s) for s in seconds.unique().drop_nulls().to_list()}
    return seconds.replace_strict(known, return_dtype=pl.String) if known else seconds.cast(pl.String)


def _offset_x(instants: pl.Series, time_zone: str, count: int) -> pl.Series:
    return _offsets(instants, time_zone, lambda s: offset_text(s, _OFFSET_STYLES[count], _OFFSET_ZEROS[count]))


def _offset_capital_x(instants: pl.Series, time_zone: str, count: int) -> pl.Series:
    return _offsets(instants, time_zone, lambda s: offset_text(s, _OFFSET_STYLES[count], "Z"))


def _offset_z(instants: pl.Series, time_zone: str, count: int) -> pl.Series:
    if count == 4:
        return _offsets(instants, time_zone, lambda s: _localized(s, True))
    if count == 5:
        return _offset_capital_x(instants, time_zone, 5)
    return _offsets(instants, time_zone, lambda s: offset_text(s, "HM", "+0000"))


def _offset_o(instants: pl.Series, time_zone: str, count: int) -> pl.Series:
    return _offsets(instants, time_zone, lambda s: _localized(s, count == 4))


def _zone_id(instants: pl.Series, time_zone: str, count: int) -> pl.Series:
    return pl.Series([time_zone], dtype=pl.String).new_from_index(0, len(instants))


def zone_abbreviation(time_zone: str, micros: int) -> str:
    """A zone's short name at an instant (PST or PDT)."""
    info = zones.zone_info(time_zone)
    if info is None:
        return "UTC" if zones.zone_of(time_zone) == 0 else time_zone
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
    return moment.astimezone(info).tzname() or time_zone


def _zone_name(instants: pl.Series, time_zone: str, count: int) -> pl.Series:
    frame = pl.DataFrame({"o": zones.offset_seconds(instants, time_zone), "t": instants.to_physical()})
    firsts = frame.drop_nulls().group_by("o").agg(pl.col("t").max())
    names = {o: zone_abbreviation(time_zone, t) for o, t in firsts.iter_rows()}
    if count == 4:
        names = {o: _FULL_ZONE_NAMES.get(n, n) for o, n in names.items()}
    offsets = frame.get_column("o")
    return offsets.replace_strict(names, return_dtype=pl.String) if names else offsets.cast(pl.String)


_ZONED: dict[str, Callable[[pl.Series, str, int], pl.Series]] = {
    "X": _offset_capital_x, "x": _offset_x, "Z": _offset_z, "O": _offset_o, "V": _zone_id, "z": _zone_name,
}  # fmt: skip
