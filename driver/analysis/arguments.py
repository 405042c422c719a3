"""A call's arguments as written: stars unfolded, named arguments put in their parameters' order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from voltray.driver.analysis.errors import analysis_error
from voltray.driver.analysis.expressions.star import as_regex, regex_attributes, star_attributes
from voltray.driver.plan.expressions import NamedArgument, UnresolvedStar
from voltray.executors.functions.registry import Function
from voltray.proto.edit_distance import edit_distance
from voltray.proto.expressions import Expression
from voltray.proto.failures import QueryContext

if TYPE_CHECKING:
    from voltray.driver.analysis.resolver import ExpressionResolver


_WITH_NAMES = frozenset({
    "count_min_sketch", "explode", "explode_outer", "inline", "inline_outer", "mask", "posexplode", "posexplode_outer",
    "variant_explode", "variant_explode_outer",
})  # fmt: skip
"""Built-in functions whose parameters can be named: Spark refuses names for all others."""


def ordered_arguments(
    entry: Function,
    called_as: str,
    args: Sequence[Expression],
    resolver: ExpressionResolver,
    origin: QueryContext | None,
) -> list[Expression]:
    """The arguments by position."""
    regexes = [as_regex(a, resolver.environment) for a in args]
    if not any(isinstance(a, (NamedArgument, UnresolvedStar)) for a in args) and not any(regexes):
        return list(args)
    unfolded: list[Expression] = []
    for argument, regex in zip(args, regexes, strict=True):
        if regex is not None:
            unfolded.extend(regex_attributes(regex, resolver))
            continue
        if isinstance(argument, UnresolvedStar):
            unfolded.extend(star_attributes(argument, resolver))
        else:
            unfolded.append(argument)
    if not any(isinstance(a, NamedArgument) for a in unfolded):
        return unfolded
    return _by_name(entry, called_as, unfolded, origin)


def _by_name(entry: Function, called_as: str, args: list[Expression], origin: QueryContext | None) -> list[Expression]:
    routine = f"`{called_as}`"
    parameters = entry.signature.parameters
    names = [p.name.lower() for p in parameters]
    if entry.names[0] not in _WITH_NAMES:
        raise analysis_error("NAMED_PARAMETERS_NOT_SUPPORTED", origin, functionName=routine)
    slots: list[Expression | None] = [None] * len(parameters)
    named_seen = False
    for position, argument in enumerate(args):
        if not isinstance(argument, NamedArgument):
            if named_seen:
                last = parameters[min(position, len(parameters) - 1)].name
                raise analysis_error(
                    "UNEXPECTED_POSITIONAL_ARGUMENT", origin, routineName=routine, parameterName=f"`{last}`"
                )
            if position < len(slots):
                slots[position] = argument
            continue
        named_seen = True
        if argument.name.lower() not in names:
            likest = sorted((p.name for p in parameters), key=lambda n: edit_distance(n, argument.name))
            raise analysis_error(
                "UNRECOGNIZED_PARAMETER_NAME", origin, routineName=routine, argumentName=f"`{argument.name}`",
                proposal=" ".join(f"`{n}`" for n in likest),
            )  # fmt: skip
        index = names.index(argument.name.lower())
        if slots[index] is not None:
            kind = (
                "BOTH_POSITIONAL_AND_NAMED"
                if not isinstance(args[index], NamedArgument)
                else "DOUBLE_NAMED_ARGUMENT_REFERENCE"
            )
            raise analysis_error(f"DUPLICATE_ROUTINE_PARAMETER_ASSIGNMENT.{kind}", origin, routineName=routine,
                                 parameterName=f"`{parameters[index].name}`")  # fmt: skip
        slots[index] = argument.value
    return _filled(entry, routine, slots, origin)


def _filled(
    entry: Function, routine: str, slots: list[Expression | None], origin: QueryContext | None
) -> list[Expression]:
    while slots and slots[-1] is None:
        parameter = entry.signature.parameters[len(slots) - 1]
        if parameter.default is None and not parameter.optional:
            break
        slots.pop()
    ordered: list[Expression] = []
    for index, slot in enumerate(slots):
        parameter = entry.signature.parameters[index]
        value = slot if slot is not None else parameter.default
        if value is None:
            raise analysis_error("REQUIRED_PARAMETER_NOT_FOUND", origin, routineName=routine,
                                 parameterName=f"`{parameter.name}`", index=index)  # fmt: skip
        ordered.append(value)
    return ordered
