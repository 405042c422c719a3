"""A session: everything that one client has set, stored and started. No state of a user lives elsewhere."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from google.protobuf.unknown_fields import UnknownFieldSet
from pyspark.sql.connect.proto import base_pb2, relations_pb2

from voltray.driver.connect.artifacts import ArtifactStore
from voltray.driver.connect.caches import SessionCaches
from voltray.driver.connect.config import SessionConf
from voltray.driver.connect.confs import TIME_ZONE
from voltray.driver.connect.errors import ErrorStore, invalid_plan
from voltray.driver.connect.limits import EXECUTOR_ENVIRONMENT, UserConfs
from voltray.driver.connect.messages.relations import relation_from_message
from voltray.driver.connect.operations import Operation, OperationRegistry
from voltray.driver.connect.security.identity import Identity
from voltray.driver.connect.threads import start_deep_thread
from voltray.driver.monitoring.logs import OperationIds, within
from voltray.driver.plan.relations import LocalRelation
from voltray.driver.plan.streaming import refuse_streams
from voltray.driver.streaming.manager import StreamingManager
from voltray.executors.functions.evaluation import EvaluationContext

if TYPE_CHECKING:
    import pyarrow as pa

    from voltray.driver.catalog.session_catalog import SessionCatalog
    from voltray.driver.connect.backend import Backend
    from voltray.driver.plan.logical import LogicalPlan
    from voltray.driver.plan.relations import CachedLocalRelation, NamedTable, Relation
    from voltray.driver.scheduler.limits import Share
    from voltray.driver.scheduler.query import ObservedMetrics, QueryRun, QueryScheduler, ResultBatch, StageProgress
    from voltray.proto.expressions import Expression
    from voltray.proto.types import DataType

# Confs that executors read travel with each query.
# Table functions have names of their own: they are kept under this word and their name.
TABLE_FUNCTION = "table function"
TRAVELLING_PREFIXES = ("spark.sql.", "spark.pyspark.")


@dataclass(frozen=True, slots=True)
class SessionKey:
    """Sessions are a user's own: the same id of another user is another session."""

    user_id: str
    session_id: str


class Work:
    """Work without results of its own, as an operation follows it: a write or a checkpoint."""

    def __init__(self, scheduler: Any, operation_id: str) -> None:
        self._scheduler = scheduler
        self._operation_id = operation_id
        self._observed: tuple[ObservedMetrics, ...] = ()

    def batches(self) -> Iterator[ResultBatch]:
        """There are none."""
        return iter(())

    def cancel(self) -> None:
        """Stop the work."""
        self._scheduler.cancel(self._operation_id)

    def progress(self) -> tuple[StageProgress, ...]:
        """Where its stages stand."""
        stages: tuple[StageProgress, ...] = self._scheduler.progress(self._operation_id)
        return stages

    def observe(self, observed: tuple[ObservedMetrics, ...]) -> None:
        """Keep the metrics that the work has observed."""
        self._observed = observed

    def observed(self) -> tuple[ObservedMetrics, ...]:
        """The metrics, once the work is done."""
        return self._observed


class Session:
    """One session; the environment in which its plans are analysed, optimized and planned."""

    def __init__(self, key: SessionKey, backend: Backend, source: Session | None = None) -> None:
        self.key = key
        self.backend = backend
        self.server_side_session_id = str(uuid.uuid4())
        self.started = time.time()
        backend.monitor.totals.sessions += 1
        self.last_used = time.monotonic()
        self.operations = OperationRegistry()
        self.errors = ErrorStore()
        self.groups: frozenset[str] = frozenset() if source is None else source.groups
        """The user's groups, as the last call proved them."""
        confs = UserConfs(self, backend.server_confs)
        self.confs: SessionConf = SessionConf(confs) if source is None else source.confs.copy(confs)
        self.artifacts: ArtifactStore = ArtifactStore() if source is None else source.artifacts.copy()
        self.caches = SessionCaches(backend)
        self.streams: StreamingManager = StreamingManager(self, self._start_thread)
        self._variables: dict[str, Any] = {} if source is None else dict(source._variables)
        self._variable_defaults: dict[str, Expression] = {} if source is None else dict(source._variable_defaults)
        self._functions: dict[str, Any] = {} if source is None else dict(source._functions)
        self._data_sources: dict[str, Any] = {} if source is None else dict(source._data_sources)
        self._remote_relations: dict[str, LogicalPlan] = {}
        self._lock = threading.Lock()
        self._catalog = backend.open_catalog(self, None if source is None else source.catalog)

    # What analysis, the optimizer and the planner ask (driver.analysis.environment.Environment).

    @property
    def user(self) -> str:
        """The user's name."""
        return self.key.user_id

    @property
    def share(self) -> Share:
        """What the user may take, as of now."""
        return self.backend.limits.share_of(self.user, self.groups)

    @property
    def time_zone(self) -> str:
        """spark.sql.session.timeZone."""
        return self.confs.get(TIME_ZONE)

    @property
    def ansi(self) -> bool:
        """spark.sql.ansi.enabled."""
        return self.confs.flag("spark.sql.ansi.enabled")

    @property
    def case_sensitive(self) -> bool:
        """spark.sql.caseSensitive."""
        return self.confs.flag("spark.sql.caseSensitive")

    @property
    def catalog(self) -> SessionCatalog:
        """The session's view of the catalog."""
        return self._catalog

    @property
    def variables(self) -> Mapping[str, Any]:
        """SQL session variables."""
        return self._variables

    def set_variable(self, name: str, value: Any | None, default: Expression | None = None) -> None:
        """Give a session variable a value (and, where it is new, its default), or remove it with None."""
        with self._lock:
            changed = {**self._variables, name.lower(): value}
            self._variables = {k: v for k, v in changed.items() if v is not None}
            if default is not None:
                self._variable_defaults = {**self._variable_defaults, name.lower(): default}

    @property
    def outermost(self) -> Session:
        """The session itself, also where a script's variables stand before its own."""
        return self

    def variable_key(self, parts: tuple[str, ...]) -> str | None:
        """Under which key a name's variable would be kept, or None where a name can mean none."""
        from voltray.driver.connect.statements.variables import session_variable_key

        return session_variable_key(parts)

    def variable_default(self, key: str) -> Expression:
        """What DEFAULT means for a variable."""
        return self._variable_defaults[key]

    def conf(self, key: str) -> str:
        """A conf's value, or its default."""
        return self.confs.get(key)

    def local_chunks(self, relation: CachedLocalRelation) -> LocalRelation:
        """The uploaded data behind a cached local relation."""
        blobs = tuple([self._blob(h) for h in relation.data_hashes])
        if relation.schema_hash is None:
            # The older form: one blob that is a whole LocalRelation message.
            message = relations_pb2.LocalRelation.FromString(blobs[0])
            chunks = (message.data,) if message.HasField("data") else ()
            return LocalRelation(chunks, message.schema if message.HasField("schema") else None)
        schema = self._blob(relation.schema_hash).decode("utf-8") if relation.schema_hash else None
        return LocalRelation(blobs, schema)

    def remote_relation(self, relation_id: str) -> LogicalPlan:
        """A checkpointed plan of this session."""
        plan = self._remote_relations.get(relation_id)
        if plan is None:
            raise invalid_plan(f"No DataFrame with id {relation_id} is found in the session {self.key.session_id}")
        return plan

    def resolve_table(self, table: NamedTable) -> LogicalPlan | Relation:
        """A temp view, a persistent view or a table by its name."""
        return self._catalog.resolve_table(table, self)

    def user_function(self, name: tuple[str, ...]) -> Any | None:
        """A function that the session or the catalog registered."""
        if name[0] == TABLE_FUNCTION:
            return self._functions.get(" ".join(name))
        if len(name) == 1 and (found := self._functions.get(name[0].lower())) is not None:
            return found
        return None

    def python_logs(self) -> tuple[str, ...]:
        """What the session's Python functions logged, as JSON records."""
        return self.backend.scheduler.python_logs(self.executors_id)

    def stored_function(self, name: tuple[str, ...]) -> Any | None:
        """A function of the catalog."""
        from voltray.driver.connect.statements.sql_functions import stored_sql_function

        database, own = self._catalog.qualified(name)
        record = self._catalog.store.function(database, own)
        return None if record is None else stored_sql_function(record)

    @property
    def functions(self) -> Mapping[str, Any]:
        """The functions that the session registered."""
        return self._functions

    def unregister_function(self, name: str) -> bool:
        """Forget a function of the session; False where there is none."""
        with self._lock:
            known = name.lower() in self._functions
            self._functions = {k: v for k, v in self._functions.items() if k != name.lower()}
            return known

    def register_function(self, name: str, function: Any) -> None:
        """Register a function of the session."""
        with self._lock:
            self._functions = {**self._functions, name.lower(): function}

    def register_data_source(self, source: Any) -> None:
        """Register a Python data source of the session."""
        with self._lock:
            self._data_sources = {**self._data_sources, source.name.lower(): source}

    def data_source(self, name: str) -> Any | None:
        """A Python data source that the session registered, or None."""
        return self._data_sources.get(name.lower())

    def collect(self, plan: LogicalPlan) -> pa.Table:
        """Run a plan now and return its rows in carrier types."""
        return self.backend.scheduler.collect(self.optimize(plan), self.evaluation_context())

    def parse_expression(self, text: str) -> Expression:
        """SQL text of one expression."""
        return self.backend.parse_expression(text)

    def parse_query(self, text: str) -> Relation:
        """SQL text of a query."""
        return self.backend.parse_query(text)

    def parse_schema(self, text: str) -> DataType:
        """A schema as text."""
        return self.backend.parse_schema(text)

    @property
    def scheduler(self) -> QueryScheduler:
        """What runs plans."""
        return self.backend.scheduler

    @property
    def connect_url(self) -> str:
        """Where a process on this machine finds this very session."""
        settings = self.backend.settings
        if (own := self.backend.security.own_address) is not None:
            token = self.backend.security.authentication.own.token_of(self._own_identity())
            return f"sc://{own}/;session_id={self.key.session_id};token={token}"
        host = settings.host if settings.host not in ("0.0.0.0", "::", "") else "127.0.0.1"
        user = f";user_id={quote(self.key.user_id)}" if self.key.user_id else ""
        return f"sc://{host}:{self.backend.port}/;session_id={self.key.session_id}{user}"

    def _start_thread(self, target: Callable[[], None], name: str) -> threading.Thread:
        """Start a thread of the session's own; what is logged there says so."""

        def run() -> None:
            with within(OperationIds(self.key.session_id, self.user)):
                target()

        return start_deep_thread(run, name)

    def _own_identity(self) -> Identity:
        return Identity(self.user, self.groups, session_id=self.key.session_id)

    # The way of a query.

    def analyze_message(self, message: relations_pb2.Relation) -> LogicalPlan:
        """A relation message as a resolved plan."""
        if message.WhichOneof("rel_type") is None and not UnknownFieldSet(message):
            raise invalid_plan("This oneOf field in spark.connect.Relation is not set: RELTYPE_NOT_SET")
        return self.analyze(relation_from_message(message))

    def analyze(self, relation: Relation) -> LogicalPlan:
        """A relation as a resolved plan."""
        from voltray.driver.sql.options import parsing_for

        with parsing_for(self.conf):
            return self.backend.analyze(relation, self)

    def optimize(self, plan: LogicalPlan, operation: Operation | None = None) -> LogicalPlan:
        """A resolved plan as it is to be run, over cached data where there is some.

        Persisted data that is due is computed now, as work of the operation.
        """
        refuse_streams(plan)
        return self.backend.optimize(self.caches.use_cached(plan, self, operation), self)

    def execute(self, plan: LogicalPlan, operation: Operation) -> QueryRun:
        """Start a resolved plan as an operation's query."""
        self.admit(operation)
        optimized = self.optimize(plan, operation)
        operation.check_canceled()
        run = self.backend.scheduler.execute(
            optimized, self.evaluation_context(), operation_id=operation.work_id, user=self.user
        )
        operation.follow(run)
        return run

    def write(self, plan: LogicalPlan, specification: Any, operation: Operation) -> tuple[Iterable[Any], Work]:
        """Run a resolved plan into files; its tasks' reports, and the work with what it observed."""
        scheduler = self.backend.scheduler
        self.admit(operation)
        optimized = self.optimize(plan, operation)
        operation.check_canceled()
        work = Work(scheduler, operation.work_id)
        operation.follow(work)
        reports: Iterable[Any] = scheduler.write(
            optimized,
            self.evaluation_context(),
            specification,
            operation_id=operation.work_id,
            on_observed=work.observe,
        )
        return reports, work

    def admit(self, operation: Operation) -> None:
        """Wait until the user may run one query more; the operation has its place until it ends."""
        operation.admit(self.backend.admission, self.share)

    def keep(self, plan: LogicalPlan, cache_id: str, operation: Operation) -> None:
        """Compute a resolved plan and keep its data under an id."""
        self.admit(operation)
        optimized = self.optimize(plan, operation)
        operation.check_canceled()
        self.compute(optimized, cache_id, operation)

    def compute(self, optimized: LogicalPlan, cache_id: str, operation: Operation | None) -> None:
        """Compute an optimized plan and keep its data under an id, as work of the operation."""
        scheduler, context = self.backend.scheduler, self.evaluation_context()
        if operation is None:
            scheduler.cache(optimized, context, cache_id)
            return
        operation.follow(Work(scheduler, operation.work_id))
        scheduler.cache(optimized, context, cache_id, operation_id=operation.work_id)

    @property
    def executors_id(self) -> str:
        """Under what executors know the session; another one of the same client's id is another one there too."""
        return f"{self.key.user_id}/{self.server_side_session_id}"

    def evaluation_context(self) -> EvaluationContext:
        """What expressions see of the session, from now on."""
        return EvaluationContext(
            time_zone=self.time_zone,
            ansi=self.ansi,
            session_id=self.executors_id,
            files=self.artifacts.python_files,
            now_micros=time.time_ns() // 1000,
            confs=self._travelling_confs(),
        )

    def _travelling_confs(self) -> tuple[tuple[str, str], ...]:
        limits = self.share.limits
        confs = {**limits.confs, **self.confs.explicit()}
        environment = {EXECUTOR_ENVIRONMENT + name: value for name, value in limits.environment.items()}
        chosen = {k: v for k, v in confs.items() if k.startswith(TRAVELLING_PREFIXES)}
        return tuple(sorted({**chosen, **environment}.items()))

    def new_operation(self, request: base_pb2.ExecutePlanRequest) -> Operation:
        """An operation for a request, not yet registered."""
        return Operation(
            self.key.session_id,
            self.server_side_session_id,
            request,
            buffer_bytes=self.backend.settings.reattach_buffer_bytes,
            user=self.user,
        )

    def keep_remote_relation(self, plan: LogicalPlan) -> str:
        """Keep a checkpointed plan and return its id."""
        relation_id = str(uuid.uuid4())
        with self._lock:
            self._remote_relations[relation_id] = plan
        return relation_id

    def remove_remote_relation(self, relation_id: str) -> LogicalPlan | None:
        """Forget a checkpointed plan."""
        with self._lock:
            return self._remote_relations.pop(relation_id, None)

    def clone(self, key: SessionKey) -> Session:
        """A new session with the state that this one has now."""
        return Session(key, self.backend, self)

    def close(self) -> None:
        """Stop what runs and let everything go."""
        self.streams.close()
        for operation in self.operations.all():
            operation.cancel("The session was closed.")
            self.operations.remove(operation)
        with self._lock:
            kept, self._remote_relations = self._remote_relations, {}
        for plan in kept.values():
            self.caches.release_data_of(plan)
        self.caches.close()
        self.artifacts.close()
        self.backend.security.authentication.own.forget(self._own_identity())
        self.backend.scheduler.end_session(self.executors_id)

    def _blob(self, hash_text: str) -> bytes:
        blob = self.artifacts.blob(hash_text)
        if blob is None:
            raise invalid_plan(f"Cannot find a cached local relation for hash: {hash_text}")
        return blob
