"""Every kind of expression, by exact type, with what resolves it."""

from __future__ import annotations

from collections.abc import Mapping

from voltray.driver.analysis.expressions import (
    alias,
    attribute,
    cast,
    extract,
    function,
    literal,
    sort_order,
    subquery,
    update_fields,
    window,
)  # fmt: skip
from voltray.driver.analysis.resolver import ExpressionHandler
from voltray.driver.plan import expressions as u
from voltray.proto import expressions as e

EXPRESSIONS: Mapping[type, ExpressionHandler] = {
    u.UnresolvedAttribute: attribute.resolve_attribute,
    u.UnresolvedLambdaVariable: attribute.resolve_lambda_variable,
    u.UnresolvedStar: function.resolve_lone_star,
    u.UnresolvedRegex: function.resolve_lone_star,
    u.UnresolvedFunction: function.resolve_call,
    u.ExpressionString: function.resolve_text,
    u.NamedArgument: function.resolve_named_argument,
    u.UnresolvedLambda: function.resolve_lone_lambda,
    u.PythonFunction: function.resolve_python_function,
    u.UnresolvedAlias: alias.resolve_alias,
    u.UnresolvedCast: cast.resolve_cast,
    u.UnresolvedExtract: extract.resolve_extract,
    u.UnresolvedSortOrder: sort_order.resolve_sort_order,
    u.UnresolvedWindow: window.resolve_window,
    u.UnresolvedSubquery: subquery.resolve_subquery,
    u.UpdateFields: update_fields.resolve_update_fields,
    e.Literal: literal.resolve_literal,
    e.Attribute: literal.resolve_resolved,
    e.Alias: literal.resolve_resolved,
}
