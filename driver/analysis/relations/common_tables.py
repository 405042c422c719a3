"""SQL's WITH: what its names mean, and which of them refer to themselves."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace

from voltray.driver.analysis.errors import analysis_error
from voltray.driver.analysis.functions import find_function
from voltray.driver.analysis.projection import outer_references
from voltray.driver.analysis.relations.recursion import resolve_level, resolve_recursion
from voltray.driver.analysis.relations.with_columns import with_column_names
from voltray.driver.analysis.resolver import PRECEDENCE_POLICY, Analysis, Definition
from voltray.driver.analysis.scope import Resolved
from voltray.driver.plan import logical
from voltray.driver.plan import relations as r
from voltray.driver.plan.identifiers import quoted
from voltray.driver.plan.recursion import ComputedOnce, RecursionReference
from voltray.proto.expressions import Call, Expression, Literal, PythonCall, walk

_DOCUMENTATION = "https://spark.apache.org/docs/latest"


def resolve_with(relation: r.With, analysis: Analysis) -> Resolved:
    """The query of a WITH clause."""
    return with_definitions(relation, analysis).relation(relation.child)


def with_definitions(relation: r.With, analysis: Analysis) -> Analysis:
    """What names mean inside: each is visible to the definitions behind it and to the query, or also to itself."""
    _refuse_duplicates(relation)
    definitions = dict(analysis.definitions)
    policy = analysis.environment.conf(PRECEDENCE_POLICY).upper()
    if policy == "LEGACY" and relation.recursive:
        raise analysis_error("RECURSIVE_CTE_IN_LEGACY_MODE", None)
    limits = relation.level_limits or (None,) * len(relation.definitions)
    for i, (name, query, columns) in enumerate(relation.definitions):
        behind = [q for _, q, _ in relation.definitions[i + 1 :]]
        uses = sum(count_uses(q, name.lower()) for q in (*behind, relation.child))
        definition = Definition(
            query,
            columns,
            replace(analysis, definitions=dict(definitions), fixed_names=analysis.kept(definitions), windows={}),
            name,
            relation.recursive and count_uses(query, name.lower()) > 0,
            limits[i],
            origin=relation.origin,
            shared_id=str(uuid.uuid4()) if uses > 1 else None,
        )
        if not uses:
            defined(definition)
        if policy == "EXCEPTION" and name.lower() in analysis.definitions:
            raise analysis_error(
                "_LEGACY_ERROR_TEMP_1200", relation.origin, name=name, config=f'"{PRECEDENCE_POLICY}"',
                docroot=_DOCUMENTATION,
            )
        if name.lower() not in analysis.fixed_names:
            definitions[name.lower()] = definition
    return replace(analysis, definitions=definitions)


def _refuse_duplicates(relation: r.With) -> None:
    names = [name.lower() for name, _, _ in relation.definitions]
    repeated = [n for i, n in enumerate(names) if names.index(n) == i and names.count(n) > 1]
    if repeated:
        shown = ", ".join([quoted((n,)) for n in repeated])
        raise analysis_error("DUPLICATED_CTE_NAMES", relation.origin, duplicateNames=shown)


def count_uses(node: object, name: str) -> int:
    """How often a query names a table, but for where a WITH inside gives the name another meaning."""
    if isinstance(node, r.NamedTable):
        return int(len(node.parts) == 1 and node.parts[0].lower() == name)
    if isinstance(node, r.With):
        return _uses_in_with(node, name)
    return sum(count_uses(part, name) for part in _parts(node))


def _uses_in_with(node: r.With, name: str) -> int:
    total = 0
    for defined_name, query, _ in node.definitions:
        is_same = defined_name.lower() == name
        if not (is_same and node.recursive):
            total += count_uses(query, name)
        if is_same:
            return total
    return total + count_uses(node.child, name)


def _parts(node: object) -> Iterator[object]:
    if isinstance(node, Literal):
        return
    if isinstance(node, tuple):
        yield from node
    elif is_dataclass(node):
        for f in fields(node):
            value = getattr(node, f.name)
            if isinstance(value, tuple) or is_dataclass(value):
                yield value


def defined(definition: Definition) -> Resolved:
    """A definition's plan, under ids of its own at each occurrence."""
    if definition.level is not None:
        return resolve_level(definition.level)
    if definition.is_recursive:
        return resolve_recursion(definition)
    resolved = definition.analysis.relation(definition.relation)
    if definition.shared_id is not None and _differs_each_time(resolved.plan):
        resolved = Resolved(ComputedOnce(resolved.plan, definition.shared_id), resolved.scope)
    if definition.columns:
        return with_column_names(resolved, definition.columns, None)
    return resolved


def _differs_each_time(plan: logical.LogicalPlan) -> bool:
    """Whether a plan gives other values each time, and may stand alone."""
    nodes = list(logical.walk(plan))
    if any(isinstance(n, RecursionReference) for n in nodes) or outer_references(plan):
        return False
    return any(_varies(part) for n in nodes for e in logical.expressions_of(n) for part in walk(e))


def _varies(expression: Expression) -> bool:
    if isinstance(expression, PythonCall):
        return not expression.deterministic
    if not isinstance(expression, Call):
        return False
    entry = find_function(expression.name)
    return entry is not None and not entry.deterministic
