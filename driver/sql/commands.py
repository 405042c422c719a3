"""Statements read from their words, since sqlglot keeps them as text: SET, RESET, SHOW, EXPLAIN, DESCRIBE, ..."""

from __future__ import annotations

import re
from collections.abc import Callable

from voltray.driver.plan import statements as s
from voltray.driver.plan.identifiers import split_identifier
from voltray.driver.sql.forms import read_form
from voltray.driver.sql.parser import parse_expression
from voltray.driver.sql.schema import parse_schema
from voltray.driver.sql.time_zones import set_time_zone
from voltray.proto.failures import ErrorKind, QueryContext, spark_error

_FLAGS = re.IGNORECASE | re.DOTALL
_NAME = r"(?P<name>(?:`(?:[^`]|``)*`|[\w$]+)(?:\s*\.\s*(?:`(?:[^`]|``)*`|[\w$]+))*)"
_LIKE = r"(?:\s+(?:LIKE\s+)?(?P<quote>['\"])(?P<pattern>.*?)(?P=quote))?"
_IN = rf"(?:\s+(?:IN|FROM)\s+{_NAME})?"


def parse_command(text: str) -> s.Statement | None:
    """The statement, where the text is one of these; None otherwise."""
    form = read_form(text)
    if form is not None:
        return form
    body = _without_comments(text).strip().rstrip(";").strip()
    for pattern, build in _COMMANDS:
        match = pattern.fullmatch(body)
        if match is not None:
            return build(match)
    wrong = _WRONG.get(body.split(None, 1)[0].upper() if body else "")
    if wrong is not None:
        raise spark_error(wrong, ErrorKind.PARSE, contexts=(QueryContext(text, 0, len(text) - 1),))
    return None


# What begins so and is none of the forms.
_WRONG = {"SET": "INVALID_SET_SYNTAX", "RESET": "INVALID_RESET_COMMAND_FORMAT"}


def _without_comments(text: str) -> str:
    stripped = text
    while True:
        match = re.match(r"\s*(--[^\n]*(\n|$)|/\*.*?\*/)", stripped, re.DOTALL)
        if match is None:
            return stripped
        stripped = stripped[match.end() :]


def _named(match: re.Match[str], group: str = "name") -> s.Name:
    found = match.groupdict().get(group)
    return split_identifier(re.sub(r"\s*\.\s*", ".", found)) if found else ()


def _set(match: re.Match[str]) -> s.Statement:
    value = match["value"]
    if value is not None and re.fullmatch(r"\s*`[^`]*`\s*", value):
        value = value.strip()[1:-1]
    return s.SetConf(match["key"].strip().strip("`"), value.strip() if value is not None else None)


def _show(what: str) -> Callable[[re.Match[str]], s.Statement]:
    def build(match: re.Match[str]) -> s.Statement:
        groups = match.groupdict()
        name = _named(match)
        other = _named(match, "other")
        if other:
            name = (*other, name[-1])
        return s.Show(what, name, groups.get("pattern"), groups.get("key"), (groups.get("scope") or "all").lower())

    return build


def _explain(match: re.Match[str]) -> s.Statement:
    from voltray.driver.sql.statements import parse_sql

    mode = (match["mode"] or "simple").lower()
    parsed = parse_sql(match["query"])
    if isinstance(parsed, s.Statement):
        return s.Explain(mode, None, parsed, match["query"])
    return s.Explain(mode, parsed)


def _declare(match: re.Match[str]) -> s.Statement:
    dtype = parse_schema(match["type"]) if match["type"] else None
    default = parse_expression(match["default"]) if match["default"] else None
    return s.DeclareVariable(_named(match), dtype, default, bool(match["replace"]))


def _p(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern.replace(" ", r"\s+"), _FLAGS)


_COMMANDS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], s.Statement]], ...] = (
    (_p(r"SET TIME ZONE\b(?P<zone>.*)"), lambda m: set_time_zone(m["zone"].strip())),
    (_p(r"SET(?: -v)?"), lambda m: s.SetConf()),
    (_p(r"SET (?!VAR\b|VARIABLE\b)(?P<key>`[^`]+`|[\w.\-:]+)(?:\s*=(?P<value>.*))?"), _set),
    (
        _p(r"RESET(?: (?P<key>`[^`]+`|[\w.\-]+))?"),
        lambda m: s.ResetConf(m["key"].strip("`") if m["key"] else None),
    ),
    (_p(r"SHOW TABLES" + _IN + _LIKE), _show("tables")),
    (_p(r"SHOW VIEWS" + _IN + _LIKE), _show("views")),
    (_p(r"SHOW CATALOGS" + _LIKE), _show("catalogs")),
    (
        _p(r"SHOW TBLPROPERTIES " + _NAME + r"(?:\s*\(\s*['\"]?(?P<key>[^'\")]+)['\"]?\s*\))?"),
        _show("tblproperties"),
    ),
    (_p(r"SHOW CURRENT (?:NAMESPACE|DATABASE|SCHEMA)"), _show("current_namespace")),
    (
        _p(r"EXPLAIN(?: (?P<mode>EXTENDED|CODEGEN|COST|FORMATTED))? (?P<query>.+)"),
        _explain,
    ),
    (_p(r"CLEAR CACHE"), lambda m: s.UncacheTable(None)),
    (
        _p(
            r"DECLARE(?P<replace> OR REPLACE)?(?: (?:VARIABLE|VAR)\b)? "
            + _NAME
            + r"(?: (?!DEFAULT\b)(?P<type>[\w<>(),:\s]+?))?(?:\s*(?:\bDEFAULT\b|=)\s*(?P<default>.+))?"
        ),
        _declare,
    ),
    (
        _p(r"DROP TEMPORARY (?:VARIABLE|VAR)(?P<exists> IF EXISTS)? " + _NAME),
        lambda m: s.DropVariable(_named(m), bool(m["exists"])),
    ),
)
