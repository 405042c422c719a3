"""Hiding secrets from plans, listings, pages and logs: by the name that a value has, as Spark does."""

from __future__ import annotations

import re
from collections.abc import Iterable

REDACTED = "*********(redacted)"
_SPARKS = re.compile(r"secret|password|token|access[.]?key", re.IGNORECASE)
_SECRET = re.compile(r"secret|passw|token|credential|(?:access|account|api|private|sas)[._-]?key", re.IGNORECASE)
_ASSIGNED = re.compile(
    r"""(?P<name>[\w.`"'-]*(?:secret|passw|token|credential|(?:access|account|api|private|sas)[._-]?key)[\w.`"'-]*)"""
    r"""(?P<between>\s*(?:=>?|:)\s*(?=[^\s'",;)>])|\s*(?:=>?|:|,|\s)\s*(?=['"]))"""
    r"""(?P<value>'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.)*"|[^\s'",;)]+)""",
    re.IGNORECASE,
)


def is_secret(name: str) -> bool:
    """Whether a value under this name is hidden from plans and logs."""
    return _SECRET.search(name) is not None


def redacted_conf(key: str, value: str) -> str:
    """A conf or property as SET and SHOW print it (``spark.redaction.regex``)."""
    return REDACTED if _SPARKS.search(key) else value


def redacted_pairs(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Options as plans and pages print them."""
    return [(key, REDACTED if is_secret(key) else value) for key, value in pairs]


def redacted_text(text: str) -> str:
    """A statement as pages and logs print it: what is assigned to a name of a secret is hidden."""
    return _ASSIGNED.sub(lambda found: found["name"] + found["between"] + REDACTED, text)
