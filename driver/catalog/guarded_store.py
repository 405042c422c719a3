"""The stored catalog as a user with limited rights sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voltray.driver.catalog.store import CatalogStore

if TYPE_CHECKING:
    from voltray.driver.catalog.access import Access
    from voltray.driver.catalog.records import Database, StoredFunction, Table

WHOLE_DATABASE = "*"


class GuardedStore(CatalogStore):
    """The same store, which asks for the user's rights at each table: listings leave out what may not be read."""

    def __init__(self, store: CatalogStore, access: Access) -> None:
        # The same connection under the same lock; only who asks is another.
        vars(self).update(vars(store))
        self._access = access

    def create_database(self, database: Database) -> bool:
        """Add a database whose tables the user may all write."""
        self._access.check_table(database.name, WHOLE_DATABASE, write=True)
        return super().create_database(database)

    def replace_database(self, database: Database) -> None:
        """Change a database whose tables the user may all write."""
        self._access.check_table(database.name, WHOLE_DATABASE, write=True)
        super().replace_database(database)

    def drop_database(self, name: str) -> None:
        """Drop a database whose tables the user may all write."""
        self._access.check_table(name, WHOLE_DATABASE, write=True)
        super().drop_database(name)

    def tables(self, database: str) -> list[Table]:
        """The tables and views that the user may read."""
        return [t for t in super().tables(database) if self._access.may_table(t.database, t.name, write=False)]

    def table(self, database: str, name: str) -> Table | None:
        """A table or view; raises where it is there and the user may not read it."""
        return self._access.check_stored(super().table(database, name))

    def create_table(self, table: Table, *, replacing: bool = False) -> bool:
        """Add or replace a table that the user may write."""
        self._access.check_table(table.database, table.name, write=True)
        return super().create_table(table, replacing=replacing)

    def drop_table(self, database: str, name: str) -> None:
        """Drop a table that the user may write."""
        self._access.check_table(database, name, write=True)
        super().drop_table(database, name)

    def functions(self, database: str) -> list[StoredFunction]:
        """The functions that the user may call."""
        return [f for f in super().functions(database) if self._access.may_table(f.database, f.name, write=False)]

    def function(self, database: str, name: str) -> StoredFunction | None:
        """A function; raises where it is there and the user may not call it."""
        found = super().function(database, name)
        if found is not None:
            self._access.check_table(found.database, found.name)
        return found

    def create_function(self, function: StoredFunction, *, replacing: bool = False) -> bool:
        """Add or replace a function under a name that the user may write."""
        self._access.check_table(function.database, function.name, write=True)
        return super().create_function(function, replacing=replacing)

    def drop_function(self, database: str, name: str) -> bool:
        """Drop a function under a name that the user may write."""
        self._access.check_table(database, name, write=True)
        return super().drop_function(database, name)
