"""IDENTIFIER clauses: names that are constant strings, put into the text before it is read."""

from __future__ import annotations

from typing import Any

from voltray.driver.analysis.constants import constant_value
from voltray.driver.analysis.errors import analysis_error
from voltray.driver.analysis.functions import is_foldable
from voltray.driver.plan import relations as r
from voltray.driver.plan.expressions import UnresolvedAlias
from voltray.driver.sql.markers import with_identifiers, with_parameters
from voltray.proto.expressions import Alias, Expression, dtype_of
from voltray.proto.failures import SparkError
from voltray.proto.types import StringType

Named = tuple[tuple[str, Expression], ...]


def identified(text: str, environment: Any, named: Named = (), positional: tuple[Expression, ...] = ()) -> str:
    """The text with names in place of its IDENTIFIER clauses."""
    if "identifier" not in text.lower():
        return text
    if named or positional:  # the markers that stand inside of clauses go away with them
        text = with_parameters(text, dict(named), positional)
    return with_identifiers(text, lambda expression: _name(expression, environment))


def _name(text: str, environment: Any) -> str:
    from voltray.driver.analysis.analyzer import analyze

    item = UnresolvedAlias(environment.parse_expression(text), ("name",))
    try:
        plan = analyze(r.Project(r.OneRow(), (item,)), environment)
    except SparkError as failure:
        if not failure.condition.startswith("UNRESOLVED_COLUMN"):
            raise
        raise analysis_error("NOT_A_CONSTANT_STRING.NOT_CONSTANT", name="IDENTIFIER", expr=text) from None
    (alias,) = getattr(plan, "items", (None,))
    expression = alias.child if isinstance(alias, Alias) else None
    if expression is None or not is_foldable(expression):
        raise analysis_error("NOT_A_CONSTANT_STRING.NOT_CONSTANT", name="IDENTIFIER", expr=text)
    dtype = dtype_of(expression)
    if not isinstance(dtype, StringType):
        raise analysis_error("NOT_A_CONSTANT_STRING.WRONG_TYPE", name="IDENTIFIER", expr=text.upper(),
                             dataType=dtype.simpleString())  # fmt: skip
    value = constant_value(expression, environment)
    if value is None:
        raise analysis_error("NOT_A_CONSTANT_STRING.NULL", name="IDENTIFIER", expr=text)
    return str(value)
