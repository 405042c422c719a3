"""Confs of a session that planning and evaluation read; these travel with a query's evaluation context."""

from __future__ import annotations

from voltray.executors.functions.evaluation import EvaluationContext

BROADCAST_THRESHOLD = "spark.sql.autoBroadcastJoinThreshold"
SHUFFLE_PARTITIONS = "spark.sql.shuffle.partitions"
COALESCE_BYTES = "spark.sql.adaptive.advisoryPartitionSizeInBytes"
ADAPTIVE = "spark.sql.adaptive.enabled"
SKEW_JOIN = "spark.sql.adaptive.skewJoin.enabled"
SKEW_FACTOR = "spark.sql.adaptive.skewJoin.skewedPartitionFactor"
SKEW_THRESHOLD = "spark.sql.adaptive.skewJoin.skewedPartitionThresholdInBytes"
PARTITION_PRUNING = "spark.sql.optimizer.dynamicPartitionPruning.enabled"
BLOOM_FILTERS = "spark.sql.optimizer.runtime.bloomFilter.enabled"
BLOOM_BITS = "spark.sql.optimizer.runtime.bloomFilter.maxNumBits"
BLOOM_ITEMS = "spark.sql.optimizer.runtime.bloomFilter.maxNumItems"

EVALUATION_CONFS: tuple[str, ...] = (
    BROADCAST_THRESHOLD,
    SHUFFLE_PARTITIONS,
    COALESCE_BYTES,
    ADAPTIVE,
    SKEW_JOIN,
    SKEW_FACTOR,
    SKEW_THRESHOLD,
    PARTITION_PRUNING,
    BLOOM_FILTERS,
    BLOOM_BITS,
    BLOOM_ITEMS,
    "spark.sql.caseSensitive",
    "spark.sql.columnNameOfCorruptRecord",
    "spark.sql.csv.filterPushdown.enabled",
    "spark.sql.files.ignoreCorruptFiles",
    "spark.sql.files.ignoreMissingFiles",
    "spark.sql.files.maxPartitionBytes",
    "spark.sql.json.enablePartialResults",
    "spark.sql.jsonGenerator.ignoreNullFields",
    "spark.sql.legacy.allowHashOnMapType",
    "spark.sql.legacy.sizeOfNull",
    "spark.sql.legacy.timeParserPolicy",
    "spark.sql.mapKeyDedupPolicy",
    "spark.sql.maxPlanStringLength",
    "spark.sql.parquet.mergeSchema",
    "spark.sql.parquet.outputTimestampType",
    "spark.sql.repl.eagerEval.enabled",
    "spark.sql.session.timeZone",
    "spark.sql.sources.default",
    "spark.sql.sources.partitionColumnTypeInference.enabled",
    "spark.sql.sources.partitionOverwriteMode",
)

_UNITS = {"": 1, "b": 1, "k": 1 << 10, "kb": 1 << 10, "m": 1 << 20, "mb": 1 << 20, "g": 1 << 30, "gb": 1 << 30}


def size_conf(context: EvaluationContext, name: str, default: int) -> int:
    """A conf that is a size in bytes, such as ``10485760b`` or ``64MB``."""
    text = context.conf(name).strip().lower()
    number = text.rstrip("bkmg")
    try:
        return int(number) * _UNITS[text[len(number) :]] if number else default
    except (ValueError, KeyError):
        return default


def count_conf(context: EvaluationContext, name: str, default: int) -> int:
    """A conf that is a number."""
    text = context.conf(name).strip()
    return int(text) if text.isdecimal() else default


def number_conf(context: EvaluationContext, name: str, default: float) -> float:
    """A conf that is a number, whole or not."""
    try:
        return float(context.conf(name).strip() or default)
    except ValueError:
        return default


def flag_conf(context: EvaluationContext, name: str, default: bool) -> bool:
    """A conf that is true or false."""
    text = context.conf(name).strip().lower()
    return text == "true" if text else default
