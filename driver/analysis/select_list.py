"""A select list: stars unfolded, items named, generators set apart, aliases seen by the items behind them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from voltray.driver.analysis.errors import analysis_error, mismatch
from voltray.driver.analysis.expressions.alias import top_level_alias
from voltray.driver.analysis.expressions.star import as_regex, regex_attributes, star_attributes
from voltray.driver.analysis.functions import find_function
from voltray.driver.analysis.lateral_aliases import LateralAliases
from voltray.driver.analysis.resolver import Typed
from voltray.driver.analysis.sql_functions import refuse_sql_functions
from voltray.driver.plan.expressions import (
    ExpressionString,
    UnresolvedAlias,
    UnresolvedAttribute,
    UnresolvedFunction,
    UnresolvedRegex,
    UnresolvedStar,
)  # fmt: skip
from voltray.executors.functions.registry import FunctionKind
from voltray.proto.expressions import Alias, Attribute, Call, Expression, Literal, dtype_of, new_id, walk
from voltray.proto.failures import QueryContext
from voltray.proto.types import ArrayType, NullType, StructField, StructType

if TYPE_CHECKING:
    from voltray.driver.analysis.resolver import ExpressionResolver

Named = Alias | Attribute


@dataclass(frozen=True, slots=True, eq=False)
class Generated:
    """A generator in a select list with the attributes that it puts out."""

    generator: Call
    attributes: tuple[Attribute, ...]
    outer: bool
    text: str


Item = Named | Generated


def select_items(
    expressions: Iterable[Expression], resolver: ExpressionResolver, lateral: bool = True
) -> tuple[tuple[Item, ...], bool]:
    """The items of a select list in order, and whether one refers to another's alias."""
    aliases = LateralAliases() if lateral else None
    inside = replace(resolver, lateral=aliases) if aliases is not None else resolver
    items: list[Item] = []
    for expression in expressions:
        made = _items_of(expression, inside)
        items.extend(made)
        if aliases is not None:
            for item in made:
                if isinstance(item, Generated):
                    for column in item.attributes:
                        aliases.add(column)
                elif isinstance(item, Alias) and not _is_variable(expression, item):
                    aliases.add(item)
    return tuple(items), aliases is not None and aliases.used


def _is_variable(expression: Expression, item: Alias) -> bool:
    """Whether an item without an alias is a variable, which others go on meaning by its name."""
    return isinstance(expression, UnresolvedAttribute) and isinstance(item.child, Literal)


def _items_of(expression: Expression, resolver: ExpressionResolver) -> tuple[Item, ...]:
    if isinstance(expression, ExpressionString):
        expression = resolver.environment.parse_expression(expression.text)
    expression = as_regex(expression, resolver.environment) or expression
    if isinstance(expression, UnresolvedStar):
        return star_attributes(expression, resolver)  # type: ignore[return-value]
    if isinstance(expression, UnresolvedRegex):
        return regex_attributes(expression, resolver)  # type: ignore[return-value]
    if isinstance(expression, UnresolvedAlias):
        return _aliased(expression, resolver)
    typed = resolver.resolve(expression)
    generated = as_generator(expression, typed, ())
    if generated is not None:
        refuse_sql_functions("Generate", [expression], resolver.environment)
    return (generated,) if generated is not None else (checked_named(typed),)


def _aliased(expression: UnresolvedAlias, resolver: ExpressionResolver) -> tuple[Item, ...]:
    child = expression.child
    if isinstance(child, ExpressionString):
        child = resolver.environment.parse_expression(child.text)
    child = as_regex(child, resolver.environment) or child
    if isinstance(child, (UnresolvedStar, UnresolvedRegex)):
        columns = (
            star_attributes(child, resolver) if isinstance(child, UnresolvedStar) else regex_attributes(child, resolver)
        )
        if len(columns) == 1 and len(expression.names) == 1:
            return (top_level_alias(Typed(columns[0], ""), expression),)
        shown = f"regular expression '{child.pattern}'" if isinstance(child, UnresolvedRegex) else "'*'"
        raise analysis_error(
            "INVALID_USAGE_OF_STAR_OR_REGEX", expression.origin, elem=shown, prettyName="expression `alias`"
        )
    typed = resolver.resolve(child)
    generated = as_generator(child, typed, expression.names, expression.origin)
    if generated is not None:
        refuse_sql_functions("Generate", [child], resolver.environment)
        return (generated,)
    if len(expression.names) > 1:
        raise analysis_error(
            "MULTI_ALIAS_WITHOUT_GENERATOR", expression.origin, expr=f'"{typed.text}"',
            names=", ".join(expression.names),
        )  # fmt: skip
    alias = top_level_alias(typed, expression)
    refuse_nested_generator(typed)
    return (alias,)


def checked_named(typed: Typed) -> Named:
    """An output column, once no generator is nested in it."""
    refuse_nested_generator(typed)
    return typed.named()


def refuse_nested_generator(typed: Typed) -> None:
    """UNSUPPORTED_GENERATOR.NESTED_IN_EXPRESSIONS."""
    expression = typed.expression
    if isinstance(expression, Attribute):
        return
    for node in walk(expression):
        if isinstance(node, Call) and is_generator(node):
            raise analysis_error("UNSUPPORTED_GENERATOR.NESTED_IN_EXPRESSIONS", None, expression=f'"{typed.text}"')


def is_generator(call: Call) -> bool:
    """Whether a call makes rows."""
    entry = find_function(call.name)
    return entry is not None and entry.kind is FunctionKind.GENERATOR


def as_generator(
    expression: Expression, typed: Typed, names: tuple[str, ...], origin: QueryContext | None = None
) -> Generated | None:
    """The generator that a select item is, if it is one; ``names`` are its columns' aliases."""
    call = typed.expression
    if not isinstance(call, Call) or not is_generator(call):
        return None
    if call.name.removesuffix("_outer") in ("explode", "posexplode") and isinstance(dtype_of(call.args[0]), NullType):
        raise mismatch(
            "UNEXPECTED_INPUT_TYPE", typed.text, getattr(expression, "origin", None), paramIndex="first",
            requiredType='("ARRAY" or "MAP")', inputSql='"NULL"', inputType='"VOID"',
        )  # fmt: skip
    written = expression.name[-1].lower() if isinstance(expression, UnresolvedFunction) else call.name
    fields = generator_fields(call)
    outer = written.endswith("_outer") or call.name.endswith("_outer")
    if names and len(names) != len(fields.fields):
        raise analysis_error(
            "UDTF_ALIAS_NUMBER_MISMATCH", origin, aliasesSize=len(fields.fields), aliasesNames=",".join(names)
        )
    attributes = tuple(
        [
            Attribute(new_id(), names[i] if names else f.name, f.dataType, _may_be_null(f, outer))
            for i, f in enumerate(fields.fields)
        ]
    )
    return Generated(call, attributes, outer, typed.text)


def generator_fields(call: Call) -> StructType:
    """The columns that a generator puts out."""
    dtype = call.dtype
    if isinstance(dtype, ArrayType):
        dtype = dtype.elementType
    assert isinstance(dtype, StructType), call.name
    return dtype


def _may_be_null(field: StructField, outer: bool) -> bool:
    return field.nullable or outer or isinstance(field.dataType, NullType)
