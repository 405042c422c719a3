"""Which names tables, views and databases may have: they become names of folders."""

from __future__ import annotations

import re

from voltray.driver.plan.identifiers import quote
from voltray.proto.failures import spark_error

_VALID = re.compile(r"\w+", re.ASCII)


def check_name(*parts: str) -> None:
    """Refuse a name whose last part has anything but letters, digits and underscores."""
    if not _VALID.fullmatch(parts[-1]):
        raise spark_error("INVALID_SCHEMA_OR_RELATION_NAME", name=".".join([quote(p) for p in parts]))
