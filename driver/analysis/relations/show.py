"""``show`` and a notebook's table: the first rows as strings, then drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voltray.driver.analysis.functions import apply_function
from voltray.driver.analysis.resolver import Typed
from voltray.driver.analysis.scope import Resolved, leaf_scope
from voltray.driver.plan import logical
from voltray.driver.plan import relations as r
from voltray.proto.expressions import Alias, Attribute, new_id
from voltray.proto.types import STRING

if TYPE_CHECKING:
    from voltray.driver.analysis.resolver import Analysis

_MOST_ROWS = 2_147_483_631


def resolve_show_string(relation: r.ShowString, analysis: Analysis) -> Resolved:
    """A table drawn as text."""
    style = "vertical" if relation.vertical else "text"
    rows = max(0, min(relation.num_rows, _MOST_ROWS))
    child = analysis.relation(relation.child)
    return _drawn(child, style, rows, relation.truncate, "show_string", analysis)


def resolve_html_string(relation: r.HtmlString, analysis: Analysis) -> Resolved:
    """A table drawn as HTML."""
    rows = max(0, min(relation.num_rows, _MOST_ROWS))
    child = analysis.relation(relation.child)
    return _drawn(child, "html", rows, relation.truncate, "html_string", analysis)


def _drawn(child: Resolved, style: str, rows: int, truncate: int, name: str, analysis: Analysis) -> Resolved:
    resolver = analysis.over(child.scope)
    items: list[Alias | Attribute] = []
    for column in child.scope.attributes:
        text = apply_function("to_pretty_string", (Typed(column, column.name, column.name),), resolver)
        items.append(Alias(text.expression, column.name, new_id()))
    limited = logical.Limit(child.plan, rows + 1)
    strings = logical.Project(limited, tuple(items))
    output = (Attribute(new_id(), name, STRING, False),)
    return leaf_scope(logical.ShowString(strings, style, rows, truncate, output))
