"""A persistent view read back: its text parsed, its names resolved where the view was made."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

from voltray.driver.catalog.records import Table
from voltray.driver.plan.relations import NamedTable, Relation, StoredView, With

if TYPE_CHECKING:
    from voltray.driver.analysis.environment import Environment


def view_query(table: Table, environment: Environment) -> Relation:
    """The view's query under its name and the names of its columns."""
    query = environment.parse_query(table.view_text)
    database = table.view_database or table.database
    is_here = database == environment.catalog.current_database
    bound = query if is_here else _qualified(query, database, frozenset())
    fields, names = tuple(table.schema.fields), table.view_names
    return StoredView(bound, table.identifier, fields, names, table.view_schema_mode, table.view_text)


def _qualified(node: Any, database: str, defined: frozenset[str]) -> Any:
    """The same query with names of one part put into the view's database, but for those that WITH defines."""
    if isinstance(node, NamedTable):
        if len(node.parts) != 1 or node.parts[0].lower() in defined:
            return node
        return replace(node, parts=(database, *node.parts))
    if isinstance(node, With):
        defined = defined | {name.lower() for name, *_ in node.definitions}
    if isinstance(node, tuple):
        return tuple(_qualified(part, database, defined) for part in node)
    if is_dataclass(node) and not isinstance(node, type) and type(node).__module__.startswith("voltray."):
        changes = {}
        for item in fields(node):
            value = getattr(node, item.name)
            changed = _qualified(value, database, defined)
            if changed is not value and changed != value:
                changes[item.name] = changed
        return replace(node, **changes) if changes else node
    return node
