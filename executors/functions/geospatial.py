"""Geospatial functions: Spark has them switched off."""

from __future__ import annotations

from typing import Any

from voltray.executors.functions.registry import ANY, Function, Parameter, Signature
from voltray.proto.expressions import Expression
from voltray.proto.types import BINARY


def _disabled(resolution: Any) -> Expression:
    raise resolution.error("UNSUPPORTED_FEATURE.GEOSPATIAL_DISABLED")


_ANYTHING = Signature((Parameter("geo", ANY),), repeated=1, minimum=1)
_NAMES = ("st_asbinary", "st_geogfromwkb", "st_geomfromwkb", "st_setsrid", "st_srid")

FUNCTIONS: tuple[Function, ...] = tuple(
    Function((name,), _ANYTHING, BINARY, resolve=_disabled, notes="Off in Spark unless a conf turns it on.")
    for name in _NAMES
)
