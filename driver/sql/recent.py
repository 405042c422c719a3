"""Queries' texts read lately: a client sends the same text as a command, for its schema, to be run, and again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

from voltray.driver.plan.relations import Relation
from voltray.driver.sql.options import GrammarOptions, current_options

_KEPT = 512
_LONGEST = 2048
Read = TypeVar("Read")


class RecentQueries:
    """The relations of short texts without parameters; relations never change, so all sessions may share them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, GrammarOptions], Relation] = OrderedDict()

    def get(self, text: str) -> Relation | None:
        """What a text has been read as, under the session's settings."""
        key = (text, current_options())
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
        return found

    def read(self, text: str, read: Callable[[], Read]) -> Read | Relation:
        """What a text is: from before, or read now, and kept where it is a query."""
        found = self.get(text)
        if found is not None:
            return found
        fresh = read()
        if isinstance(fresh, Relation) and len(text) <= _LONGEST:
            with self._lock:
                self._kept[(text, current_options())] = fresh
                while len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
        return fresh


RECENT = RecentQueries()
