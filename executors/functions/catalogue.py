"""The function library: every family, listed."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from voltray.executors.functions import (
    aggregates,
    arithmetic,
    array,
    array_build,
    bitwise,
    boolean,
    char_varchar,
    collated,
    collecting,
    comparison,
    conditional,
    csv,
    data_sketches,
    date_format,
    date_make,
    date_part,
    date_time,
    encoding,
    encryption,
    format_string,
    generator,
    geospatial,
    hash,
    higher_order,
    interval,
    json,
    map,
    math,
    misc,
    number_format,
    pretty_string,
    quantiles,
    random,
    regex,
    rounding,
    sequence,
    sketches,
    statistics,
    string,
    string_search,
    string_text,
    struct,
    sums,
    time_of_day,
    time_window,
    timestamp_zone,
    url,
    variant,
    window,
    xml,
    xpath,
)  # fmt: skip
from voltray.executors.functions.registry import Function

# A family is a module with a tuple FUNCTIONS; a new one is imported above and named here.
FAMILIES = (
    aggregates,
    arithmetic,
    array,
    array_build,
    bitwise,
    boolean,
    char_varchar,
    collated,
    collecting,
    comparison,
    conditional,
    date_format,
    date_make,
    date_part,
    date_time,
    encoding,
    encryption,
    format_string,
    generator,
    hash,
    higher_order,
    interval,
    map,
    math,
    misc,
    number_format,
    pretty_string,
    quantiles,
    random,
    regex,
    rounding,
    sequence,
    sketches,
    statistics,
    string,
    string_search,
    string_text,
    struct,
    sums,
    timestamp_zone,
    url,
    window,
    json,
    csv,
    variant,
    time_of_day,
    time_window,
    xml,
    xpath,
    data_sketches,
    geospatial,
)


@lru_cache(maxsize=1)
def _by_name() -> dict[str, Function]:
    found: dict[str, Function] = {}
    for family in FAMILIES:
        for function in family.FUNCTIONS:
            for name in function.names:
                if found.setdefault(name.lower(), function) is not function:
                    raise ValueError(f"two functions are called {name} ({family.__name__})")
    return found


def lookup(name: str) -> Function | None:
    """The function of a name, in any case."""
    return _by_name().get(name.lower())


def all_functions() -> Iterator[Function]:
    """Every function, once."""
    for family in FAMILIES:
        yield from family.FUNCTIONS
