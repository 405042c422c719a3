"""CACHE, UNCACHE and REFRESH."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voltray.driver.connect.statements.rows import NOTHING, Rows
from voltray.driver.plan import relations as r
from voltray.driver.plan import statements as s

if TYPE_CHECKING:
    from voltray.driver.connect.operations import Operation
    from voltray.driver.connect.session import Session


def cache_table(session: Session, operation: Operation, statement: s.CacheTable) -> Rows:
    """Keep a table's or query's rows."""
    if statement.query is not None:
        plan = session.analyze(statement.query)
        session.catalog.create_temp_view(statement.name[-1], plan, replace=False)
    session.caches.persist(session.analyze(r.NamedTable(statement.name)))
    return NOTHING


def uncache_table(session: Session, operation: Operation, statement: s.UncacheTable) -> Rows:
    """Let kept rows go."""
    if statement.name is None:
        session.caches.clear()
        return NOTHING
    if statement.if_exists and not session.catalog.exists(statement.name):
        return NOTHING
    session.caches.unpersist(session.analyze(r.NamedTable(statement.name)))
    return NOTHING


def refresh_table(session: Session, operation: Operation, statement: s.RefreshTable) -> Rows:
    """Files are listed anew for each query: there is nothing to forget but a cache."""
    if statement.path is not None:
        session.catalog.store.touch_below(statement.path.removeprefix("file:"))
        return NOTHING
    plan = session.analyze(r.NamedTable(statement.name))
    if session.caches.is_cached(plan):
        session.caches.unpersist(plan)
        session.caches.persist(plan)
    return NOTHING
