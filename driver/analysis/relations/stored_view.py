"""A view that lasts: its query's columns matched with those that it had when it was made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from voltray.driver.analysis.casts import cast_to
from voltray.driver.analysis.errors import analysis_error
from voltray.driver.analysis.relations.project import projected
from voltray.driver.analysis.relations.with_columns import qualified, refuse_duplicates
from voltray.driver.analysis.scope import Resolved
from voltray.driver.plan import relations as r
from voltray.driver.plan.identifiers import quoted
from voltray.proto.coercion import can_up_cast
from voltray.proto.expressions import Alias, Attribute, Expression, new_id
from voltray.proto.types import DataType, StructField, same_type, type_name

if TYPE_CHECKING:
    from voltray.driver.analysis.resolver import Analysis


def resolve_stored_view(relation: r.StoredView, analysis: Analysis) -> Resolved:
    """The view's columns, under its name: as many and of the types that its schema mode asks for."""
    child = analysis.relation(relation.query)
    found = child.scope.attributes
    if relation.mode == "EVOLUTION" and tuple([f.name for f in relation.fields]) == relation.query_names:
        refuse_duplicates([a.name for a in found], analysis, relation.origin)
        items = tuple([Alias(a, a.name, new_id(), a.metadata) for a in found])
        return qualified(projected(child, items), relation.name)
    matched = _matched(relation, found, analysis)
    items = tuple(
        [
            Alias(_as_view_has_it(relation, a, field, analysis), field.name, new_id(), _metadata(field, a))
            for a, field in zip(matched, relation.fields, strict=True)
        ]
    )
    return qualified(projected(child, items), relation.name)


def _metadata(field: StructField, found: Attribute) -> tuple[tuple[str, object], ...]:
    own = field.metadata or {}
    return tuple(own.items()) if own else found.metadata


def _matched(relation: r.StoredView, found: Sequence[Attribute], analysis: Analysis) -> list[Attribute]:
    """The query's columns that the view's columns were made of, by name; of like names by their order."""
    names = relation.query_names
    if not names or len(names) != len(relation.fields):
        names = tuple([f.name for f in relation.fields])
    chosen: list[Attribute] = []
    for place, name in enumerate(names):
        key = name if analysis.environment.case_sensitive else name.lower()
        like = [a for a in found if (a.name if analysis.environment.case_sensitive else a.name.lower()) == key]
        before = [n for n in names[:place] if n.lower() == name.lower()]
        wanted = len([n for n in names if n.lower() == name.lower()])
        if len(like) != wanted:
            raise _changed(relation, name, wanted, like)
        chosen.append(like[len(before)])
    return chosen


def _changed(relation: r.StoredView, name: str, wanted: int, found: Sequence[Attribute]) -> Exception:
    return analysis_error(
        "INCOMPATIBLE_VIEW_SCHEMA_CHANGE",
        relation.origin,
        viewName=quoted(relation.name),
        colName=f"`{name}`",
        expectedNum=wanted,
        actualCols="[" + ",".join([a.name for a in found]) + "]",
        suggestion=f"CREATE OR REPLACE VIEW {quoted(relation.name)} AS {relation.text}",
    )


def _as_view_has_it(
    relation: r.StoredView, found: Attribute, field: StructField, analysis: Analysis
) -> Expression:
    wanted: DataType = field.dataType
    if relation.mode in ("EVOLUTION", "TYPE EVOLUTION") or same_type(found.dtype, wanted):
        return found
    if relation.mode == "BINDING" and not can_up_cast(found.dtype, wanted):
        raise analysis_error(
            "CANNOT_UP_CAST_DATATYPE",
            relation.origin,
            expression=".".join([*found.qualifier, found.name]),
            sourceType=type_name(found.dtype),
            targetType=type_name(wanted),
            details="The type path of the target object is:\n\nYou can either add an explicit cast to the input data "
            "or choose a higher precision type of the field in the target object",
        )
    return cast_to(found, wanted, True)
