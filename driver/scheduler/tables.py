"""Tables that plans carry: small ones travel with the task, large ones lie in the object store once."""

from __future__ import annotations

import threading
import weakref
from dataclasses import dataclass, field, replace
from typing import Any

from voltray.proto import operators
from voltray.proto.operators import BloomFilter, LocalScan, Operator
from voltray.proto.tasks import TableArgument

_INLINE_BYTES = 128 << 10


@dataclass(slots=True)
class StoredTables:
    """Object references of large tables, as long as the tables live."""

    references: dict[int, tuple[Any, Any]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def reference(self, table: Any) -> Any:
        """The table's place in the object store."""
        import ray

        key = id(table)
        with self.lock:
            known = self.references.get(key)
            if known is not None and known[0]() is table:
                return known[1]
        stored = ray.put(table)
        with self.lock:
            # The entry goes with the table, and with it the last hold on the object.
            self.references[key] = (weakref.ref(table, lambda _: self.references.pop(key, None)), stored)
        return stored


def take_out_tables(root: Operator, store: StoredTables) -> tuple[Operator, tuple[Any, ...]]:
    """The tree with large tables replaced by arguments, and those arguments."""
    import ray

    arguments: list[Any] = []
    done: dict[int, Operator] = {}
    stack: list[tuple[Operator, bool]] = [(root, False)]
    while stack:
        node, ready = stack.pop()
        inputs = operators.children_of(node)
        if ready or not inputs:
            built = tuple([done[id(child)] for child in inputs])
            same = all(a is b for a, b in zip(built, inputs, strict=True))
            made = node if same else operators.with_children(node, built)
            if isinstance(made, LocalScan | BloomFilter):
                is_handle = isinstance(made.data, ray.ObjectRef)
                if is_handle or made.data.nbytes > _INLINE_BYTES:
                    arguments.append(made.data if is_handle else store.reference(made.data))
                    made = replace(made, data=TableArgument(len(arguments) - 1))
                else:
                    made = replace(made, data=_trimmed(made.data))
            done[id(node)] = made
        else:
            stack.append((node, True))
            stack.extend((child, False) for child in inputs)
    return done[id(root)], tuple(arguments)


def _trimmed(table: Any) -> Any:
    """A slice of a table is pickled with the whole of its buffers; a copy has its own rows alone."""
    size = getattr(table, "get_total_buffer_size", lambda: 0)()
    return table.take(list(range(table.num_rows))) if size > 2 * table.nbytes + 4096 else table
