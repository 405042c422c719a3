"""A session's configuration, and the Config call on it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping

from pyspark.sql.connect.proto import base_pb2

from voltray.driver.connect.confs import definitions, validate
from voltray.driver.connect.errors import invalid_plan
from voltray.proto.failures import ErrorKind, SparkError, spark_error

logger = logging.getLogger("voltray.connect")

Pair = tuple[str, str | None]

NOT_SUPPORTED_IN_CONNECT = frozenset(
    ("spark.sql.execution.arrow.enabled", "spark.sql.execution.arrow.pyspark.fallback.enabled")
)
# What Voltray or its clients act on; any other known conf is stored and handed back, and changes nothing.
# A test holds the list to what the code reads.
HONOURED_PREFIXES = (
    "spark.app.",
    "spark.connect.session.",
    "spark.pyspark.",
    "spark.sql.execution.arrow.pyspark.",
    "spark.sql.execution.pandas.",
    "spark.sql.pyspark.",
    "spark.sql.repl.",
    "spark.sql.session.",
    "spark.sql.variable.",
)
HONOURED = frozenset(
    (
        "spark.connect.progress.reportInterval",
        "spark.sql.adaptive.advisoryPartitionSizeInBytes",
        "spark.sql.adaptive.enabled",
        "spark.sql.adaptive.skewJoin.enabled",
        "spark.sql.adaptive.skewJoin.skewedPartitionFactor",
        "spark.sql.adaptive.skewJoin.skewedPartitionThresholdInBytes",
        "spark.sql.ansi.doubleQuotedIdentifiers",
        "spark.sql.ansi.enabled",
        "spark.sql.ansi.enforceReservedKeywords",
        "spark.sql.autoBroadcastJoinThreshold",
        "spark.sql.caseSensitive",
        "spark.sql.columnNameOfCorruptRecord",
        "spark.sql.csv.filterPushdown.enabled",
        "spark.sql.cteRecursionLevelLimit",
        "spark.sql.cteRecursionRowLimit",
        "spark.sql.decimalOperations.allowPrecisionLoss",
        "spark.sql.execution.arrow.maxBytesPerBatch",
        "spark.sql.execution.arrow.maxRecordsPerBatch",
        "spark.sql.execution.pyspark.python",
        "spark.sql.execution.pyspark.udf.hideTraceback.enabled",
        "spark.sql.execution.pyspark.udf.simplifiedTraceback.enabled",
        "spark.sql.files.ignoreCorruptFiles",
        "spark.sql.files.ignoreMissingFiles",
        "spark.sql.files.maxPartitionBytes",
        "spark.sql.files.maxRecordsPerFile",
        "spark.sql.groupByAliases",
        "spark.sql.json.enablePartialResults",
        "spark.sql.jsonGenerator.ignoreNullFields",
        "spark.sql.legacy.allowHashOnMapType",
        "spark.sql.legacy.allowParameterlessCount",
        "spark.sql.legacy.allowStarWithSingleTableIdentifierInCount",
        "spark.sql.legacy.consecutiveStringLiterals.enabled",
        "spark.sql.legacy.ctePrecedencePolicy",
        "spark.sql.legacy.negativeIndexInArrayInsert",
        "spark.sql.legacy.parser.havingWithoutGroupByAsWhere",
        "spark.sql.legacy.sizeOfNull",
        "spark.sql.legacy.timeParserPolicy",
        "spark.sql.mapKeyDedupPolicy",
        "spark.sql.maxPlanStringLength",
        "spark.sql.optimizer.dynamicPartitionPruning.enabled",
        "spark.sql.optimizer.runtime.bloomFilter.enabled",
        "spark.sql.optimizer.runtime.bloomFilter.maxNumBits",
        "spark.sql.optimizer.runtime.bloomFilter.maxNumItems",
        "spark.sql.orc.compression.codec",
        "spark.sql.orc.mergeSchema",
        "spark.sql.orderByOrdinal",
        "spark.sql.parquet.compression.codec",
        "spark.sql.parquet.mergeSchema",
        "spark.sql.parquet.outputTimestampType",
        "spark.sql.parser.quotedRegexColumnNames",
        "spark.sql.pivotMaxValues",
        "spark.sql.prioritizeOrdinalResolutionInSort.enabled",
        "spark.sql.python.filterPushdown.enabled",
        "spark.sql.runSQLOnFiles",
        "spark.sql.scripting.continueHandlerEnabled",
        "spark.sql.shuffle.partitions",
        "spark.sql.sources.default",
        "spark.sql.sources.partitionColumnTypeInference.enabled",
        "spark.sql.sources.partitionOverwriteMode",
        "spark.sql.streaming.checkpointLocation",
        "spark.sql.streaming.noDataMicroBatches.enabled",
        "spark.sql.streaming.numRecentProgressUpdates",
        "spark.sql.streaming.schemaInference",
        "spark.sql.timestampType",
        "spark.sql.transposeMaxValues",
    )
)
# Confs of Spark's core that a running application cannot change (those of SQL are in confs.tsv).
_CORE_PREFIXES = (
    "spark.driver.", "spark.executor.", "spark.cores.", "spark.memory.", "spark.shuffle.", "spark.storage.",
    "spark.network.", "spark.rpc.", "spark.scheduler.", "spark.speculation", "spark.task.", "spark.dynamicAllocation.",
    "spark.eventLog.", "spark.history.", "spark.ui.", "spark.blacklist.", "spark.excludeOnFailure.", "spark.yarn.",
    "spark.kubernetes.", "spark.authenticate", "spark.ssl.", "spark.broadcast.", "spark.serializer", "spark.kryo",
    "spark.locality.", "spark.python.worker.", "spark.python.daemon.", "spark.submit.", "spark.files.",
    "spark.jars.ivy",
)  # fmt: skip

_told: set[str] = set()


class SessionConf:
    """The confs that a session has set, over the server's, over Spark's defaults."""

    def __init__(self, server: Mapping[str, str], values: Mapping[str, str] | None = None) -> None:
        self._server = server
        self._values = dict(values or {})
        self._lock = threading.Lock()

    def copy(self, server: Mapping[str, str] | None = None) -> SessionConf:
        """The same confs, to go ways of their own from here (CloneSession)."""
        return SessionConf(self._server if server is None else server, self._values)

    def value(self, key: str) -> str | None:
        """A conf's value, its default, or None."""
        found = self._values.get(key)
        if found is None:
            found = self._server.get(key)
        if found is None and (definition := definitions().get(key)) is not None:
            found = definition.default
        return found

    def get(self, key: str) -> str:
        """A conf's value or its default; raises SQL_CONF_NOT_FOUND."""
        value = self.value(key)
        if value is None:
            raise spark_error("SQL_CONF_NOT_FOUND", ErrorKind.NO_SUCH_ELEMENT, sqlConf=f'"{key}"')
        return value

    def flag(self, key: str) -> bool:
        """A boolean conf."""
        return (self.value(key) or "").strip().lower() == "true"

    def set(self, key: str, value: str) -> None:
        """Set a conf; raises where it cannot be changed or the value is not of its type."""
        self.check_modifiable(key)
        definition = definitions().get(key)
        if definition is not None:
            validate(definition, value)
            if value != definition.default:
                _tell_once(key)
        with self._lock:
            self._values[key] = value

    def unset(self, key: str) -> None:
        """Go back to the default."""
        self.check_modifiable(key)
        with self._lock:
            self._values.pop(key, None)

    def check_modifiable(self, key: str) -> None:
        """Raise where a session cannot change a conf."""
        definition = definitions().get(key)
        if definition is not None and definition.is_static:
            raise spark_error("CANNOT_MODIFY_STATIC_CONFIG", key=f'"{key}"')
        if definition is None and key.startswith(_CORE_PREFIXES):
            docs = "https://spark.apache.org/docs/latest"
            raise spark_error("CANNOT_MODIFY_CONFIG", key=f'"{key}"', docroot=docs)

    def is_modifiable(self, key: str) -> bool:
        """Whether a key is a conf of SQL that a session can change."""
        definition = definitions().get(key)
        return definition is not None and not definition.is_static

    def explicit(self) -> dict[str, str]:
        """What the session or the server has set."""
        with self._lock:
            return {**self._server, **self._values}


def _tell_once(key: str) -> None:
    honoured = key in HONOURED or key.startswith(HONOURED_PREFIXES)
    if honoured or key in _told:
        return
    _told.add(key)
    logger.warning("the conf %s is kept for its session but changes nothing in Voltray", key)


def answer_config(conf: SessionConf, request: base_pb2.ConfigRequest, response: base_pb2.ConfigResponse) -> None:
    """Perform one Config call."""
    kind = request.operation.WhichOneof("op_type")
    handler = _OPERATIONS.get(str(kind))
    if handler is None:
        raise invalid_plan("The operation of the Config request is not set.")
    operation = getattr(request.operation, str(kind))
    for key, value in handler(conf, operation, response):
        pair = response.pairs.add(key=key)
        if value is not None:
            pair.value = value


def _warn(keys: Iterable[str], response: base_pb2.ConfigResponse) -> None:
    known = definitions()
    for key in keys:
        if key in NOT_SUPPORTED_IN_CONNECT:
            response.warnings.append(f"The SQL config '{key}' is NOT supported in Spark Connect")
        elif key in known and known[key].warning:
            response.warnings.append(known[key].warning)


def _set(conf: SessionConf, operation: base_pb2.ConfigRequest.Set, response: base_pb2.ConfigResponse) -> list[Pair]:
    for pair in operation.pairs:
        if not pair.HasField("value"):
            text = f"requirement failed: value cannot be null for key: {pair.key}"
            raise spark_error("", ErrorKind.ILLEGAL_ARGUMENT, message=text)
        try:
            conf.set(pair.key, pair.value)
        except SparkError as failure:
            if not operation.silent:
                raise
            response.warnings.append(f"Failed to set {pair.key} to Some({pair.value}) due to {failure.failure.message}")
    _warn((p.key for p in operation.pairs), response)
    return []


def _get(conf: SessionConf, operation: base_pb2.ConfigRequest.Get, response: base_pb2.ConfigResponse) -> list[Pair]:
    _warn(operation.keys, response)
    # A conf that Spark knows but that has no default is answered without a value.
    return [(key, conf.value(key) if key in definitions() else conf.get(key)) for key in operation.keys]


def _get_with_default(
    conf: SessionConf, operation: base_pb2.ConfigRequest.GetWithDefault, response: base_pb2.ConfigResponse
) -> list[Pair]:
    _warn((p.key for p in operation.pairs), response)
    explicit = conf.explicit()
    found: list[Pair] = []
    for pair in operation.pairs:
        default = pair.value if pair.HasField("value") else None
        definition = definitions().get(pair.key)
        if definition is not None and default is not None:
            validate(definition, default)
        found.append((pair.key, explicit.get(pair.key, default)))
    return found


def _get_option(
    conf: SessionConf, operation: base_pb2.ConfigRequest.GetOption, response: base_pb2.ConfigResponse
) -> list[Pair]:
    _warn(operation.keys, response)
    return [(key, conf.value(key)) for key in operation.keys]


def _get_all(
    conf: SessionConf, operation: base_pb2.ConfigRequest.GetAll, response: base_pb2.ConfigResponse
) -> list[Pair]:
    prefix = operation.prefix
    return [(key[len(prefix) :], value) for key, value in conf.explicit().items() if key.startswith(prefix)]


def _unset(conf: SessionConf, operation: base_pb2.ConfigRequest.Unset, response: base_pb2.ConfigResponse) -> list[Pair]:
    for key in operation.keys:
        conf.unset(key)
    _warn(operation.keys, response)
    return []


def _is_modifiable(
    conf: SessionConf, operation: base_pb2.ConfigRequest.IsModifiable, response: base_pb2.ConfigResponse
) -> list[Pair]:
    _warn(operation.keys, response)
    return [(key, str(conf.is_modifiable(key)).lower()) for key in operation.keys]


_OPERATIONS: dict[str, Callable[..., list[Pair]]] = {
    "set": _set,
    "get": _get,
    "get_with_default": _get_with_default,
    "get_option": _get_option,
    "get_all": _get_all,
    "unset": _unset,
    "is_modifiable": _is_modifiable,
}
