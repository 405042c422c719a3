"""A session as the body of a function defined in SQL sees it: with the settings and names of its definition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from voltray.driver.analysis.errors import analysis_error
from voltray.driver.analysis.noted_variables import NotedVariables
from voltray.driver.plan.identifiers import quoted
from voltray.driver.plan.relations import NamedTable
from voltray.driver.plan.routines import SqlFunction
from voltray.proto.failures import SparkError


class FunctionEnvironment:
    """An environment over the session's own; ``stack`` are the functions whose bodies stand around this one."""

    def __init__(self, session: Any, function: SqlFunction, stack: tuple[SqlFunction, ...]) -> None:
        self.session = session
        self.function = function
        self.stack = stack
        self._confs = dict(function.confs)

    @classmethod
    def entered(cls, function: SqlFunction, environment: Any) -> FunctionEnvironment:
        """The environment of a function's body, within another's; CYCLIC_FUNCTION_REFERENCE where it is its own."""
        outside = environment.stack if isinstance(environment, FunctionEnvironment) else ()
        session = environment.session if isinstance(environment, FunctionEnvironment) else environment
        stack = (*outside, function)
        if any(_identity(f) == _identity(function) for f in outside):
            path = " -> ".join(quoted(f.name) for f in stack)
            raise analysis_error("CYCLIC_FUNCTION_REFERENCE", path=path)
        return cls(session, function, stack)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.session, name)

    @property
    def ansi(self) -> bool:
        """spark.sql.ansi.enabled, as it was when the function was made."""
        return self.conf("spark.sql.ansi.enabled").lower() == "true"

    @property
    def variables(self) -> Mapping[str, Any]:
        """Session variables, which a temporary function alone may use."""
        found: Mapping[str, Any] = self.session.variables if self.function.is_temporary else {}
        return found

    def conf(self, key: str) -> str:
        """A conf, as it was when the function was made."""
        return str(self._confs.get(key) or self.session.conf(key))

    def resolve_table(self, table: NamedTable) -> Any:
        """A table or view, as the function's definition meant it."""
        return found_table(self.session, self._qualified(table), table)

    def _qualified(self, table: NamedTable) -> NamedTable:
        if len(table.parts) > 1 or not self.function.namespace:
            return table
        if self.function.is_temporary and self.session.catalog.temp_view(table.parts) is not None:
            return table
        return replace(table, parts=(*self.function.namespace, *table.parts))

    def user_function(self, name: tuple[str, ...]) -> Any | None:
        """A function of the session, which a temporary function alone may use."""
        return self.session.user_function(name) if self.function.is_temporary else None

    def stored_function(self, name: tuple[str, ...]) -> Any | None:
        """A function of the catalog, found in the database where this one was made."""
        return self.session.stored_function(name if len(name) > 1 else (*self.function.namespace, *name))


def found_table(session: Any, table: NamedTable, written: NamedTable) -> Any:
    """What a name stands for; one that is not found is reported as it was written."""
    try:
        return session.resolve_table(table)
    except SparkError as problem:
        if problem.condition != "TABLE_OR_VIEW_NOT_FOUND":
            raise
        raise analysis_error(problem.condition, written.origin, relationName=quoted(written.parts)) from None


def _identity(function: SqlFunction) -> tuple[str, ...]:
    return tuple([part.lower() for part in function.name])


class RecordingEnvironment(FunctionEnvironment):
    """The environment of a definition, which keeps what its body refers to."""

    def __init__(self, session: Any, function: SqlFunction) -> None:
        super().__init__(session, function, (function,))
        self.tables: list[NamedTable] = []
        self.temporary: list[tuple[str, tuple[str, ...]]] = []
        self.functions: list[SqlFunction] = []

    @property
    def variables(self) -> Mapping[str, Any]:
        """Session variables; those looked at are noted."""
        return NotedVariables(self.session.variables, self.temporary)

    def resolve_table(self, table: NamedTable) -> Any:
        """A table or view, noted."""
        self.tables.append(table)
        if self.session.catalog.temp_view(table.parts) is not None:
            self.temporary.append(("VIEW", table.parts))
            return self.session.resolve_table(table)
        return super().resolve_table(table)

    def user_function(self, name: tuple[str, ...]) -> Any | None:
        """A function of the session, noted."""
        found = self.session.user_function(name)
        if found is not None:
            self.temporary.append(("FUNCTION", name))
        return self._noted(found)

    def stored_function(self, name: tuple[str, ...]) -> Any | None:
        """A function of the catalog, noted."""
        found = super().stored_function(name)
        if found is None and not self.function.is_temporary:
            full = name if len(name) > 1 else (*self.function.namespace[1:], *name)
            raise analysis_error("ROUTINE_NOT_FOUND", routineName=quoted(full))
        return self._noted(found)

    def _noted(self, found: Any | None) -> Any | None:
        if isinstance(found, SqlFunction):
            self.functions.append(found)
        return found
