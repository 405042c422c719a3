"""About how much memory a task takes, from the true sizes of what it reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from voltray.driver.scheduler.lineage import StoredStage, keys_of
from voltray.proto import operators
from voltray.proto.failures import ErrorKind, spark_error
from voltray.proto.operators import Operator
from voltray.proto.tasks import BY_MAP, PartitionKey

# Rows that are read from an exchange are held, and operators above make copies of them; files are streamed.
_COPIES = 3
_EXPANSION = {"parquet": 4, "orc": 4}


def task_memory(operator: Operator, inputs: Mapping[str, StoredStage]) -> int:
    """An estimate in bytes."""
    total = sum(_COPIES * _read_bytes(key, inputs[key.source]) for key in keys_of(operator))
    for node in operators.walk(operator):
        if isinstance(node, operators.FileScan):
            stored: int = sum(f.block_length for f in node.files)
            share = len(node.attributes) / max(1, len(node.schema.fields) + len(node.partition_schema.fields))
            total += int(stored * _EXPANSION.get(node.format.lower(), 1) * min(1.0, share))
    return total


def check_fits(operator: Operator, inputs: Mapping[str, StoredStage], executor_memory: int) -> None:
    """Refuse a task that must hold more rows from files than an executor has memory: it would end the executor."""
    needed = sum(_read_bytes(key, inputs[key.source], in_files=True) for key in keys_of(operator))
    if needed > executor_memory:
        raise spark_error(
            "UNABLE_TO_ACQUIRE_MEMORY", ErrorKind.SPARK, requestedBytes=needed, receivedBytes=executor_memory
        )


def _read_bytes(key: PartitionKey, source: StoredStage, *, in_files: bool = False) -> int:
    reports = [o.report for o in source.outcomes if o is not None]
    if in_files:
        if not any(r.spilled for r in reports):
            return 0
        reports = [r if r.spilled else replace(r, bytes=(0,) * len(r.bytes)) for r in reports]
    if key.maps is not None:
        reports = reports[key.maps[0] : key.maps[1] + 1]
    if key.mode == BY_MAP:
        return sum(sum(r.bytes) for r in reports[key.first : key.last + 1])
    return sum(sum(r.bytes[key.first : key.last + 1]) for r in reports)
