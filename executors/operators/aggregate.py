"""Group-by, whole or in two parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import polars as pl

from voltray.executors.compiler import compile_expression, evaluation_of
from voltray.executors.functions.aggregate_entries import IGNORE_NULLS
from voltray.executors.functions.catalogue import lookup
from voltray.executors.functions.evaluation import Evaluation, EvaluationContext
from voltray.executors.functions.registry import Function, Split
from voltray.executors.operators.aggregate_arguments import shared_arguments
from voltray.executors.operators.columns import names_of, with_comparable_maps
from voltray.executors.operators.task import TaskContext
from voltray.proto.expressions import AggregateCall, Alias, Attribute, column_name, dtype_of
from voltray.proto.failures import ErrorKind, spark_error
from voltray.proto.operators import Aggregate, AggregateMode
from voltray.proto.types import DoubleType, FloatType


@dataclass(frozen=True, slots=True)
class PreparedAggregate:
    """One aggregate: its function, and its arguments as expressions over columns of the input."""

    name: str
    function: Function
    evaluation: Evaluation
    arguments: tuple[pl.Expr, ...] = ()
    columns: tuple[pl.Expr, ...] = ()
    """What must stand beside the input's columns for the arguments."""

    @property
    def call(self) -> AggregateCall:
        """The resolved call."""
        call = self.evaluation.call
        assert isinstance(call, AggregateCall)
        return call

    @property
    def buffers(self) -> tuple[str, ...]:
        """Names of the buffer columns; the value itself where the function does not split."""
        split = self.function.split
        return (self.name,) if split is None else buffer_columns(self.name, self.call, split)

    def collecting(self) -> tuple[pl.Expr, ...]:
        """Aggregating expressions from rows to buffers."""
        split = self.function.split
        if split is None:
            assert self.function.body is not None
            return (self.function.body(self.evaluation, *self.arguments),)
        return split.partial(self.evaluation, *self.arguments)

    def merging(self) -> tuple[pl.Expr, ...]:
        """Aggregating expressions from buffers of parts to buffers of the whole."""
        if self.function.split is None:
            raise _not_splittable(self.call)
        return self.function.split.merge(self.evaluation, *[pl.col(b) for b in self.buffers])

    def finished(self) -> pl.Expr:
        """The value, from merged buffers."""
        split = self.function.split
        if split is None:
            return pl.col(self.name)
        return split.finish(self.evaluation, *[pl.col(b) for b in self.buffers]).alias(self.name)


def compile_aggregate(operator: Aggregate, children: tuple[pl.LazyFrame, ...], task: TaskContext) -> pl.LazyFrame:
    """Arguments as columns, one Polars group-by, and the values of its buffers."""
    collects = operator.mode in (AggregateMode.WHOLE, AggregateMode.PARTIAL)
    frame = with_comparable_maps(children[0], operator.groups)
    aggregates = operator.aggregates
    if collects:
        aggregates, common = shared_arguments(aggregates)
        if common:
            frame = frame.with_columns([compile_expression(v, task.evaluation).alias(a.column) for a, v in common])
    prepared = [prepare(alias, task.evaluation, collects=collects) for alias in aggregates]
    columns = [c for p in prepared for c in p.columns]
    if columns:
        frame = frame.with_columns(columns)
    groups = names_of(operator.groups)
    grouped = gathered(frame, groups, prepared, merging=not collects)
    if operator.mode in (AggregateMode.PARTIAL, AggregateMode.MERGE):
        return grouped
    keys = [_normalised(a) for a in {a.column: a for a in operator.groups}.values()]
    if not keys and not prepared:
        return grouped
    return grouped.select([*keys, *[p.finished() for p in prepared]])


_ANY_ORDER = frozenset({"count", "count_if", "sum", "avg", "min", "max", "try_sum", "try_avg", "bool_and", "bool_or"})


def order_matters(operator: Aggregate) -> bool:
    """Whether the values depend on the order of the rows."""
    return not all(isinstance(a.child, AggregateCall) and a.child.name in _ANY_ORDER for a in operator.aggregates)


def gathered(
    frame: pl.LazyFrame, groups: Sequence[str], prepared: Sequence[PreparedAggregate], *, merging: bool
) -> pl.LazyFrame:
    """Groups and buffers, from rows or (``merging``) from buffers."""
    buffers: list[tuple[pl.Expr, str]] = []
    for one in prepared:
        values = one.merging() if merging else one.collecting()
        buffers += zip(values, one.buffers, strict=True)
    computed, shown = _computed_once(buffers)
    if groups:
        grouped = frame.group_by(groups, maintain_order=True).agg(computed)
        return grouped if len(computed) == len(shown) else grouped.select(*groups, *shown)
    if not buffers:
        return pl.LazyFrame({"#": [None]})
    whole = frame.select(computed)
    return whole if len(computed) == len(shown) else whole.select(shown)


def _computed_once(buffers: Sequence[tuple[pl.Expr, str]]) -> tuple[list[pl.Expr], list[pl.Expr]]:
    """What to compute, and every buffer by name over it: sum(x) and avg(x) need the same sum and count."""
    known: dict[str, list[tuple[pl.Expr, str]]] = {}
    computed, shown = [], []
    for value, name in buffers:
        alike = known.setdefault(str(value), [])
        same = next((n for v, n in alike if v.meta.eq(value)), None)
        if same is None:
            alike.append((value, name))
            computed.append(value.alias(name))
        shown.append(pl.col(name if same is None else same).alias(name))
    return computed, shown


def prepare(alias: Alias, context: EvaluationContext, *, collects: bool = True) -> PreparedAggregate:
    """Look an aggregate's function up and turn its arguments into columns."""
    call = alias.child
    assert isinstance(call, AggregateCall)
    function = lookup(call.name)
    if function is None or (function.split is None and function.body is None):
        raise spark_error("UNRESOLVED_ROUTINE", routineName=f"`{call.name}`", searchPath="[]")
    name = column_name(alias.expr_id)
    evaluation = evaluation_of(call, context)
    if not collects:
        return PreparedAggregate(name, function, evaluation)
    return _with_arguments(PreparedAggregate(name, function, evaluation), call, context)


def _with_arguments(prepared: PreparedAggregate, call: AggregateCall, context: EvaluationContext) -> PreparedAggregate:
    """FILTER sets arguments to NULL where the function does not see NULLs anyway, else it takes rows out."""
    everything = (*call.args, *[o.child for o in call.order_by])
    names = [f"{prepared.name}~{position}" for position in range(len(everything))]
    if call.filter is None:
        bare = [isinstance(a, Attribute) for a in everything]
        columns = [
            compile_expression(a, context).alias(n) for a, n, b in zip(everything, names, bare, strict=True) if not b
        ]
        arguments = [
            compile_expression(a, context) if b else pl.col(n) for a, n, b in zip(everything, names, bare, strict=True)
        ]
        return replace(prepared, columns=tuple(columns), arguments=_shaped(arguments, call))
    wanted = compile_expression(call.filter, context).fill_null(False)
    values = [compile_expression(a, context, wanted) for a in everything]
    if call.name in IGNORE_NULLS:
        columns = [pl.when(wanted).then(v).alias(n) for v, n in zip(values, names, strict=True)]
        return replace(prepared, columns=tuple(columns), arguments=_shaped([pl.col(n) for n in names], call))
    condition = f"{prepared.name}~where"
    columns = [wanted.alias(condition), *[v.alias(n) for v, n in zip(values, names, strict=True)]]
    kept = [pl.col(n).filter(pl.col(condition)) for n in names]
    return replace(prepared, columns=tuple(columns), arguments=_shaped(kept, call))


def _shaped(arguments: list[pl.Expr], call: AggregateCall) -> tuple[pl.Expr, ...]:
    """DISTINCT and WITHIN GROUP: each argument as the aggregate is to see it; order keys follow the arguments."""
    count = len(call.args)
    if call.distinct:
        # Where rows are ordered too, their order keys are among the distinct values (Spark allows no others).
        if len(arguments) == 1:
            arguments = [arguments[0].unique(maintain_order=True)]
        else:
            together = pl.struct([a.alias(str(i)) for i, a in enumerate(arguments)]).unique(maintain_order=True)
            arguments = [together.struct.field(str(i)) for i in range(len(arguments))]
    keys = arguments[count:]
    if keys:
        descending = [not o.ascending for o in call.order_by]
        nulls_last = [not o.nulls_first for o in call.order_by]
        arguments = [
            a.sort_by(keys, descending=descending, nulls_last=nulls_last, maintain_order=True) for a in arguments
        ]
    return tuple(arguments)


def buffer_columns(name: str, call: AggregateCall, split: Split) -> tuple[str, ...]:
    """Names of the columns of an aggregate's buffers."""
    return tuple([f"{name}.{buffer}" for buffer, _ in split.buffers(call)])


def _normalised(attribute: Attribute) -> pl.Expr:
    """A group's key as Spark shows it: -0.0 is 0.0."""
    column = pl.col(attribute.column)
    if isinstance(dtype_of(attribute), DoubleType | FloatType):
        return (column + pl.lit(0.0, dtype=pl.Float32)).alias(attribute.column)
    return column


def _not_splittable(call: AggregateCall) -> Exception:
    return spark_error("UNSUPPORTED_FEATURE", ErrorKind.UNSUPPORTED, message=f"{call.name} does not run in parts.")
