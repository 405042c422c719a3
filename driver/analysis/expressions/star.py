"""``*``, ``t.*``, ``struct.*`` and columns by regular expression."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from voltray.driver.analysis.errors import analysis_error, unresolved_column
from voltray.driver.analysis.expressions.attribute import in_scope
from voltray.driver.analysis.expressions.extract import extract_field
from voltray.driver.analysis.scope import NameParts, Scope
from voltray.driver.plan.expressions import UnresolvedAttribute, UnresolvedRegex, UnresolvedStar
from voltray.driver.plan.identifiers import quoted
from voltray.proto.expressions import (
    Alias,
    Attribute,
    Call,
    Expression,
    OuterReference,
    dtype_of,
    new_id,
    nullable_of,
    to_attribute,
)  # fmt: skip
from voltray.proto.types import BOOLEAN, StructField, StructType

if TYPE_CHECKING:
    from voltray.driver.analysis.environment import Environment
    from voltray.driver.analysis.resolver import ExpressionResolver, Typed


def star_attributes(star: UnresolvedStar, resolver: ExpressionResolver) -> tuple[Expression, ...]:
    """The columns (or struct fields, as aliases) that a star stands for."""
    columns = _starred(star, resolver)
    if not star.except_names:
        return columns
    return _without(columns, star, resolver)


def _starred(star: UnresolvedStar, resolver: ExpressionResolver) -> tuple[Expression, ...]:
    scope = resolver.scope
    if star.plan_id is not None:
        entries = scope.plans.entries.get(star.plan_id)
        if not entries:
            raise analysis_error("CANNOT_RESOLVE_DATAFRAME_COLUMN", star.origin, name="`*`")
        wanted = max(entries, key=lambda o: o.height).scope
        return tuple([scope.by_id.get(a.expr_id, (a,))[0] for a in wanted.attributes if a.expr_id in scope.ids])
    if not star.target:
        return scope.attributes
    found = scope.of_qualifier(star.target, resolver.environment.case_sensitive)
    if found:
        return tuple(found)
    for outer in resolver.analysis.outer:
        around = outer.scope.of_qualifier(star.target, resolver.environment.case_sensitive)
        if around:
            return tuple([Alias(OuterReference(a), a.name, new_id(), a.metadata) for a in around])
    struct = in_scope(star.target, scope, resolver, star.origin)
    for outer in resolver.analysis.outer:
        if struct is None:
            struct = in_scope(star.target, outer.scope, outer, star.origin)
    if struct is None:
        shown = ", ".join(sorted(quoted((a.name,)) for a in scope.attributes))
        raise analysis_error(
            "CANNOT_RESOLVE_STAR_EXPAND", star.origin, targetString=quoted(star.target), columns=shown
        )
    dtype = struct.dtype
    if not isinstance(dtype, StructType):
        raise analysis_error("_LEGACY_ERROR_TEMP_1050", star.origin, attributes=f"List({'.'.join(star.target)})")
    fields = [extract_field(struct, f.name, resolver, star.origin) for f in dtype.fields]
    return tuple(
        [Alias(t.expression, f.name, new_id(), t.metadata) for t, f in zip(fields, dtype.fields, strict=True)]
    )


def _without(
    columns: tuple[Expression, ...], star: UnresolvedStar, resolver: ExpressionResolver
) -> tuple[Expression, ...]:
    """The columns without those excluded, and without the nested fields excluded from them."""
    excluded: dict[int, list[NameParts]] = {}
    for parts in star.except_names:
        position, path = _excluded(parts, columns, star, resolver)
        others = excluded.setdefault(position, [])
        if any(path[: len(o)] == o or o[: len(path)] == path for o in others):
            shown = ", ".join([".".join(p) for p in star.except_names])
            raise analysis_error("EXCEPT_OVERLAPPING_COLUMNS", star.origin, columns=shown)
        others.append(path)
    kept: list[Expression] = []
    for position, column in enumerate(columns):
        paths = excluded.get(position)
        if paths is None:
            kept.append(column)
        elif () not in paths:
            kept.append(_without_fields(column, paths, resolver, star))
    return tuple(kept)


def _excluded(
    parts: NameParts, columns: tuple[Expression, ...], star: UnresolvedStar, resolver: ExpressionResolver
) -> tuple[int, NameParts]:
    """Which column a name of EXCEPT means, and the nested field of it."""
    named = tuple([_as_attribute(c) for c in columns])
    case_sensitive = resolver.environment.case_sensitive
    found, path = Scope(named).find(parts, case_sensitive)
    if not found:
        raise unresolved_column(parts, named, star.origin)
    if len(found) > 1:
        names = ", ".join([quoted((*a.qualifier, a.name)) for a in found])
        raise analysis_error("AMBIGUOUS_REFERENCE", star.origin, name=quoted(parts), referenceNames=f"[{names}]")
    dtype = found[0].dtype
    for name in path:
        fields = dtype.fields if isinstance(dtype, StructType) else ()
        inside = [f for f in fields if f.name == name or (not case_sensitive and f.name.lower() == name.lower())]
        if not inside:
            shown = ", ".join([quoted((f.name,)) for f in fields])
            raise analysis_error("FIELD_NOT_FOUND", star.origin, fieldName=quoted((name,)), fields=shown)
        dtype = inside[0].dataType
    position = next(i for i, a in enumerate(named) if a is found[0])
    return position, path if case_sensitive else tuple([p.lower() for p in path])


def _as_attribute(column: Expression) -> Attribute:
    if isinstance(column, Attribute):
        return column
    assert isinstance(column, Alias)
    return to_attribute(column)


def _without_fields(
    column: Expression, paths: list[NameParts], resolver: ExpressionResolver, star: UnresolvedStar
) -> Expression:
    from voltray.driver.analysis.resolver import Typed

    child = column.child if isinstance(column, Alias) else column
    name = _as_attribute(column).name
    rebuilt = _pruned(Typed(child, name, name), paths, resolver, star)
    metadata = column.metadata if isinstance(column, (Alias, Attribute)) else ()
    return Alias(rebuilt, name, new_id(), metadata)


def _pruned(struct: Typed, paths: list[NameParts], resolver: ExpressionResolver, star: UnresolvedStar) -> Expression:
    """A struct built again from the fields that no path names."""
    dtype = struct.dtype
    assert isinstance(dtype, StructType)
    cells: list[Expression] = []
    fields: list[StructField] = []
    for field in dtype.fields:
        own = [p for p in paths if p[0] in (field.name, field.name.lower())]
        if any(len(p) == 1 for p in own):
            continue
        value = extract_field(struct, field.name, resolver, star.origin)
        cell = _pruned(value, [p[1:] for p in own], resolver, star) if own else value.expression
        cells.append(cell)
        fields.append(StructField(field.name, dtype_of(cell), nullable_of(cell)))
    names = (("names", tuple([f.name for f in fields])),)
    built = Call("named_struct", tuple(cells), StructType(fields), False, options=names)
    if not struct.nullable:
        return built
    present = Call("isnotnull", (struct.expression,), BOOLEAN, False)
    return Call("when", (present, built), built.dtype, True)


def as_regex(expression: Expression, environment: Environment) -> UnresolvedRegex | None:
    """The regular expression that a name in backticks is, where the session reads such names so."""
    if not isinstance(expression, UnresolvedAttribute) or not expression.is_quoted or len(expression.parts) > 2:
        return None
    *target, pattern = expression.parts
    if re.fullmatch(r"\w+", pattern) or environment.conf("spark.sql.parser.quotedRegexColumnNames").lower() != "true":
        return None
    return UnresolvedRegex(pattern, origin=expression.origin, target=tuple(target))


def regex_attributes(regex: UnresolvedRegex, resolver: ExpressionResolver) -> tuple[Expression, ...]:
    """Columns whose whole name matches."""
    flags = 0 if resolver.environment.case_sensitive else re.IGNORECASE
    try:
        pattern = re.compile(regex.pattern, flags)
    except re.error as problem:
        raise analysis_error("INVALID_REGEXP_REPLACE", regex.origin, message=str(problem)) from problem
    columns = resolver.scope.attributes
    if regex.target:
        columns = tuple(resolver.scope.of_qualifier(regex.target, resolver.environment.case_sensitive))
    if regex.plan_id is not None:
        entries = resolver.scope.plans.entries.get(regex.plan_id, [])
        wanted = {a.expr_id for o in entries for a in o.scope.attributes}
        columns = tuple([a for a in columns if a.expr_id in wanted]) if entries else columns
    return tuple([a for a in columns if pattern.fullmatch(a.name)])
