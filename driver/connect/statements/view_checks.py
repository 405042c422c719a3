"""What a view that lasts may not be made of: temporary objects, and columns without a name of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from voltray.driver.analysis.noted_variables import NotedVariables
from voltray.driver.plan import expressions as u
from voltray.driver.plan import relations as r
from voltray.driver.plan.identifiers import quoted
from voltray.driver.plan.logical import LogicalPlan
from voltray.proto.expressions import Expression
from voltray.proto.failures import spark_error

if TYPE_CHECKING:
    from voltray.driver.connect.session import Session

Name = tuple[str, ...]


class NotedSession:
    """A session that notes which temporary functions and variables an analysis finds in it."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.noted: list[tuple[str, Name]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    @property
    def variables(self) -> Mapping[str, Any]:
        """Session variables; those that are found are noted."""
        return NotedVariables(self._session.variables, self.noted)

    def user_function(self, name: Name) -> Any | None:
        """A temporary function, noted."""
        found = self._session.user_function(name)
        if found is not None:
            self.noted.append(("FUNCTION", name))
        return found


def analyzed_for_view(session: Session, query: r.Relation) -> tuple[LogicalPlan, list[tuple[str, Name]]]:
    """A view's query resolved, and what it uses that ends with the session."""
    from voltray.driver.sql.options import parsing_for

    noted = NotedSession(session)
    with parsing_for(session.conf):
        plan = session.backend.analyze(query, noted)  # type: ignore[arg-type]
    return plan, noted.noted


def refuse_temporary(view: Name, noted: list[tuple[str, Name]]) -> None:
    """INVALID_TEMP_OBJ_REFERENCE."""
    for kind, name in noted:
        raise spark_error(
            "INVALID_TEMP_OBJ_REFERENCE", obj="VIEW", objName=quoted(view), tempObj=kind, tempObjName=quoted(name)
        )


def refuse_nameless(view: Name, query: r.Relation, names: list[str]) -> None:
    """CREATE_PERMANENT_VIEW_WITHOUT_ALIAS: a column's name may not be one that was made up."""
    items = _items(query)
    for place, item in enumerate(items):
        if not _has_name(item):
            shown = names[place] if len(names) == len(items) else ""
            raise spark_error("CREATE_PERMANENT_VIEW_WITHOUT_ALIAS", name=quoted(view), attr=f'"{shown}"')


def _items(query: r.Relation) -> tuple[Expression, ...]:
    node: Any = query
    while isinstance(node, r.Relation):
        if isinstance(node, (r.Project, r.Aggregate)):
            return node.items
        node = getattr(node, "child", getattr(node, "left", getattr(node, "root", None)))
    return ()


def _has_name(item: Expression) -> bool:
    match item:
        case u.UnresolvedCast():
            return isinstance(item.child, u.UnresolvedAttribute)
        case u.UnresolvedExtract():
            return _has_name(item.child) and not isinstance(item.child, u.UnresolvedFunction)
        case u.UnresolvedFunction() | u.UnresolvedSubquery() | u.UnresolvedWindow():
            return _makes_columns(item)
    return True


def _makes_columns(item: Expression) -> bool:
    from voltray.executors.functions.catalogue import lookup
    from voltray.executors.functions.registry import FunctionKind

    entry = lookup(item.name[-1].lower()) if isinstance(item, u.UnresolvedFunction) else None
    return entry is not None and entry.kind is FunctionKind.GENERATOR
