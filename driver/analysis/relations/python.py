"""Users' Python functions over partitions, groups and pairs of groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voltray.driver.analysis.errors import analysis_error
from voltray.driver.analysis.python_functions import output_type
from voltray.driver.analysis.scope import Resolved, leaf_scope
from voltray.driver.plan import logical
from voltray.driver.plan import relations as r
from voltray.driver.plan.expressions import PythonFunction
from voltray.driver.plan.identifiers import quote, quoted
from voltray.driver.plan.logical import LogicalPlan
from voltray.proto.expressions import Alias, Attribute, Expression, PythonCall, new_id, to_attribute
from voltray.proto.failures import ErrorKind, spark_error
from voltray.proto.types import StructField, StructType

if TYPE_CHECKING:
    from voltray.driver.analysis.resolver import Analysis


def _function(
    function: PythonFunction, child: Resolved, analysis: Analysis
) -> tuple[PythonCall, tuple[Attribute, ...]]:
    dtype = output_type(function, analysis.over(child.scope))
    if not isinstance(dtype, StructType):
        dtype = StructType([StructField("value", dtype, True)])
    call = PythonCall(
        function.name, (), dtype, function.eval_type, function.command, function.python_version,
        function.deterministic,
    )  # fmt: skip
    return call, tuple([Attribute(new_id(), f.name, f.dataType, f.nullable) for f in dtype.fields])


def _refuse_ambiguous(child: Resolved, analysis: Analysis) -> None:
    """Functions of groups get their columns by name."""
    sensitive = analysis.environment.case_sensitive
    seen: dict[str, Attribute] = {}
    for attribute in child.scope.attributes:
        first = seen.setdefault(attribute.name if sensitive else attribute.name.lower(), attribute)
        if first is not attribute:
            names = ", ".join([quoted((*a.qualifier, a.name)) for a in (first, attribute)])
            raise analysis_error("AMBIGUOUS_REFERENCE", name=quote(first.name), referenceNames=f"[{names}]")


def _keyed(
    child: Resolved, keys: tuple[Expression, ...], analysis: Analysis
) -> tuple[LogicalPlan, tuple[Attribute, ...]]:
    """The input with its grouping expressions computed, and their attributes."""
    resolver = analysis.over(child.scope)
    named = [resolver.resolve(k).named() for k in keys]
    computed = tuple([n for n in named if isinstance(n, Alias)])
    plan = child.plan if not computed else logical.Project(child.plan, child.scope.attributes + computed)
    return plan, tuple([to_attribute(n) for n in named])


def resolve_map_in_python(relation: r.MapInPython, analysis: Analysis) -> Resolved:
    """``mapInPandas`` and ``mapInArrow``."""
    child = analysis.relation(relation.child)
    call, attributes = _function(relation.function, child, analysis)
    return leaf_scope(logical.MapInPython(child.plan, call, child.scope.attributes, attributes))


def resolve_map_groups(relation: r.MapGroups, analysis: Analysis) -> Resolved:
    """``groupBy(...).applyInPandas`` and ``applyInArrow``."""
    child = analysis.relation(relation.child)
    _refuse_ambiguous(child, analysis)
    plan, keys = _keyed(child, relation.keys, analysis)
    call, attributes = _function(relation.function, child, analysis)
    return leaf_scope(logical.MapGroupsInPython(plan, call, keys, child.scope.attributes, attributes))


def resolve_map_cogroups(relation: r.MapCogroups, analysis: Analysis) -> Resolved:
    """``cogroup(...).applyInPandas`` and ``applyInArrow``."""
    left, right = analysis.relation(relation.left), analysis.relation(relation.right)
    _refuse_ambiguous(left, analysis)
    _refuse_ambiguous(right, analysis)
    if len(relation.left_keys) != len(relation.right_keys):
        sizes = f"{len(relation.left_keys)} != {len(relation.right_keys)}"
        message = f"requirement failed: Cogroup keys must have same size: {sizes}"
        raise spark_error("", ErrorKind.ILLEGAL_ARGUMENT, message=message)
    left_plan, left_keys = _keyed(left, relation.left_keys, analysis)
    right_plan, right_keys = _keyed(right, relation.right_keys, analysis)
    call, attributes = _function(relation.function, left, analysis)
    return leaf_scope(
        logical.MapCogroupsInPython(
            left_plan, right_plan, call, left_keys, right_keys, left.scope.attributes, right.scope.attributes,
            attributes,
        )
    )  # fmt: skip
