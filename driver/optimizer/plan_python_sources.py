"""Users' data sources are asked how they are read, with the filters that stand above them."""

from __future__ import annotations

import base64
import json
from typing import Any

from voltray.driver.analysis.relations.python_source import asked
from voltray.driver.optimizer.traversal import transform_up
from voltray.driver.plan import logical
from voltray.driver.plan.logical import LogicalPlan
from voltray.driver.plan.predicates import conjunction, conjuncts
from voltray.executors.functions.variant_encoding import Day, Instant, LocalTime, encode
from voltray.proto.expressions import Attribute, Call, Expression, Literal, PythonCall, dtype_of, nullable_of
from voltray.proto.python_planning import PlanDataSourceRead
from voltray.proto.types import (
    AtomicType,
    DataType,
    DateType,
    StructField,
    StructType,
    TimestampNTZType,
    TimestampType,
)

_PUSHDOWN_CONF = "spark.sql.python.filterPushdown.enabled"
_BATCH_CONF = "spark.sql.execution.arrow.maxRecordsPerBatch"
_MAP_ARROW = 207
_COMPARISONS = {
    "==": "EqualTo",
    "<=>": "EqualNullSafe",
    ">": "GreaterThan",
    ">=": "GreaterThanOrEqual",
    "<": "LessThan",
    "<=": "LessThanOrEqual",
    "startswith": "StringStartsWith",
    "endswith": "StringEndsWith",
    "contains": "StringContains",
}
_FLIPPED = {"==": "==", "<=>": "<=>", ">": "<", ">=": "<=", "<": ">", "<=": ">="}
_NULLNESS = {"isnull": "IsNull", "isnotnull": "IsNotNull"}
_TYPED: dict[type[DataType], Any] = {DateType: Day, TimestampType: Instant, TimestampNTZType: LocalTime}


def plan_python_sources(plan: LogicalPlan, environment: Any) -> LogicalPlan:
    """Every source read as it says; filters that it applies itself are gone."""
    if not any(isinstance(node, logical.PythonSource) for node in logical.walk(plan)):
        return plan

    def planned(node: LogicalPlan) -> LogicalPlan:
        if isinstance(node, logical.Filter) and isinstance(node.child, logical.PythonSource):
            return _scan(node.child, conjuncts(node.condition), environment)
        return node

    filtered = transform_up(plan, planned)
    return transform_up(filtered, lambda n: _scan(n, (), environment) if isinstance(n, logical.PythonSource) else n)


def _scan(source: logical.PythonSource, conditions: tuple[Expression, ...], environment: Any) -> LogicalPlan:
    enabled = environment.conf(_PUSHDOWN_CONF).lower() == "true"
    pushed: list[tuple[int | None, dict[str, Any]]] = []
    if enabled:
        implied = [(None, f) for f in _not_null(conditions)]
        given = [(i, f) for i, c in enumerate(conditions) if (f := _filter(c)) is not None]
        pushed = [*implied, *given]
    filters = json.dumps([f for _, f in pushed]) if enabled else None
    rows = int(environment.conf(_BATCH_CONF))
    schema = source.schema
    request = PlanDataSourceRead(source.source, schema.json(), filters, rows if rows > 0 else 1 << 30)
    reply = asked(request, source.python_version, environment, "initialize", "reader")
    applied = {pushed[i][0] for i in reply.fact("supported")}
    command, *partitions = reply.parts
    call = PythonCall("read", (), schema, _MAP_ARROW, command, source.python_version)
    scan = logical.PythonScan(source.attributes, call, tuple(partitions))
    left = [c for i, c in enumerate(conditions) if i not in applied]
    condition = conjunction(left)
    return scan if condition is None else logical.Filter(scan, condition)


def _not_null(conditions: tuple[Expression, ...]) -> list[dict[str, Any]]:
    """What conditions imply and Spark pushes as well: columns compared are not null."""
    paths: list[tuple[str, ...]] = []
    for condition in conditions:
        if isinstance(condition, Call) and condition.name in _COMPARISONS and condition.name != "<=>":
            for argument in condition.args:
                path = _path(argument)
                if path and nullable_of(argument) and path not in paths:
                    paths.append(path)
    said = [f["columnPath"] for c in conditions if (f := _filter(c)) is not None and f["name"] == "IsNotNull"]
    return [_unary("IsNotNull", p) for p in paths if list(p) not in said]


def _unary(name: str, path: tuple[str, ...], *, negated: bool = False) -> dict[str, Any]:
    return {"name": name, "columnPath": list(path), "isNegated": negated}


def _filter(condition: Expression) -> dict[str, Any] | None:
    """A condition as Spark tells data sources of it, or None where it has no such form."""
    if not isinstance(condition, Call):
        return None
    name, args = condition.name, condition.args
    if name == "not":
        inner = _filter(args[0])
        return None if inner is None or inner["isNegated"] else {**inner, "isNegated": True}
    if name in _NULLNESS:
        path = _path(args[0])
        return None if path is None else _unary(_NULLNESS[name], path)
    if name == "in":
        path = _path(args[0])
        values = [_value(v) for v in args[1:]]
        if path is None or None in values:
            return None
        return {**_unary("In", path), "value": _variant([v[0] for v in values if v is not None])}
    if name == "!=":
        inner = _comparison("==", args)
        return None if inner is None else {**inner, "isNegated": True}
    return _comparison(name, args) if name in _COMPARISONS else None


def _comparison(name: str, args: tuple[Expression, ...]) -> dict[str, Any] | None:
    if len(args) != 2:
        return None
    path, value = _path(args[0]), _value(args[1])
    if path is None and name in _FLIPPED:
        name, path, value = _FLIPPED[name], _path(args[1]), _value(args[0])
    if path is None or value is None or value[0] is None:
        return None
    return {**_unary(_COMPARISONS[name], path), "value": _variant(value[0])}


def _path(expression: Expression) -> tuple[str, ...] | None:
    if isinstance(expression, Attribute):
        return (expression.name,)
    if isinstance(expression, Call) and expression.name == "get_field":
        above = _path(expression.args[0])
        struct = dtype_of(expression.args[0])
        if above is not None and isinstance(struct, StructType):
            field: StructField = struct.fields[expression.option("field")]
            return (*above, field.name)
    return None


def _value(expression: Expression) -> tuple[Any] | None:
    if not isinstance(expression, Literal) or not isinstance(expression.dtype, AtomicType):
        return None
    made = _TYPED.get(type(expression.dtype))
    return (expression.value if made is None or expression.value is None else made(expression.value),)


def _variant(value: Any) -> dict[str, str]:
    body, metadata = encode(value)
    return {"value": base64.b64encode(body).decode(), "metadata": base64.b64encode(metadata).decode()}
