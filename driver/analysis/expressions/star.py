"""``*``, ``t.*``, ``struct.*`` and columns by regular expression."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from voltray.driver.analysis.errors import analysis_error
from voltray.driver.analysis.expressions.attribute import in_scope
from voltray.driver.analysis.expressions.extract import extract_field
from voltray.driver.plan.expressions import UnresolvedRegex, UnresolvedStar
from voltray.driver.plan.identifiers import quoted
from voltray.proto.expressions import Alias, Attribute, Expression, OuterReference, new_id
from voltray.proto.types import StructType

if TYPE_CHECKING:
    from voltray.driver.analysis.resolver import ExpressionResolver


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
    dropped: set[int] = set()
    names = {c.name.lower() for c in columns if isinstance(c, (Attribute, Alias))}
    kept = list(columns)
    for parts in star.except_names:
        found = in_scope(parts, resolver.scope, resolver, star.origin)
        if found is not None and isinstance(found.expression, Attribute):
            dropped.add(found.expression.expr_id)
            continue
        if len(parts) == 1 and parts[0].lower() in names:
            kept = [c for c in kept if not (isinstance(c, Alias) and c.name.lower() == parts[0].lower())]
            continue
        if found is not None:
            kept = [_without_field(c, parts, resolver) for c in kept]
            continue
        from voltray.driver.analysis.errors import unresolved_column

        raise unresolved_column(parts, resolver.scope.attributes, star.origin)
    return tuple([c for c in kept if not (isinstance(c, Attribute) and c.expr_id in dropped)])


def _without_field(column: Expression, parts: tuple[str, ...], resolver: ExpressionResolver) -> Expression:
    from voltray.driver.analysis.expressions.update_fields import drop_field
    from voltray.driver.analysis.resolver import Typed

    if not isinstance(column, Attribute) or column.name.lower() != parts[0].lower():
        return column
    rebuilt = drop_field(Typed(column, column.name, column.name), parts[1:], resolver, None)
    return Alias(rebuilt.expression, column.name, new_id(), column.metadata)


def regex_attributes(regex: UnresolvedRegex, resolver: ExpressionResolver) -> tuple[Expression, ...]:
    """Columns whose whole name matches."""
    flags = 0 if resolver.environment.case_sensitive else re.IGNORECASE
    try:
        pattern = re.compile(regex.pattern, flags)
    except re.error as problem:
        raise analysis_error("INVALID_REGEXP_REPLACE", regex.origin, message=str(problem)) from problem
    columns = resolver.scope.attributes
    if regex.plan_id is not None:
        entries = resolver.scope.plans.entries.get(regex.plan_id, [])
        wanted = {a.expr_id for o in entries for a in o.scope.attributes}
        columns = tuple([a for a in columns if a.expr_id in wanted]) if entries else columns
    return tuple([a for a in columns if pattern.fullmatch(a.name)])
