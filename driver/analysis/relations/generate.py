"""Rows made by generators: table functions, lateral views; and the parsing of text rows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from voltray.driver.analysis.errors import analysis_error, unsupported
from voltray.driver.analysis.projection import exposed_for
from voltray.driver.analysis.relations import collation_list, keyword_list, python_worker_logs
from voltray.driver.analysis.relations.columns import call, over
from voltray.driver.analysis.relations.range_function import resolve_range_function
from voltray.driver.analysis.scope import Resolved, Scope, leaf_scope, scope_over
from voltray.driver.analysis.select_list import Generated, as_generator
from voltray.driver.analysis.sql_functions import call_sql_table_function, find_sql_function, refuse_sql_functions
from voltray.driver.plan import logical
from voltray.driver.plan import relations as r
from voltray.driver.plan.expressions import (
    PythonFunction,
    UnresolvedAlias,
    UnresolvedExtract,
    UnresolvedFunction,
    UnresolvedStar,
)  # fmt: skip
from voltray.driver.plan.routines import SqlFunction
from voltray.proto.expressions import Attribute, Expression, Literal
from voltray.proto.failures import QueryContext
from voltray.proto.types import STRING, StringType

if TYPE_CHECKING:
    from voltray.driver.analysis.resolver import Analysis


def resolve_table_function(relation: r.TableFunction, analysis: Analysis) -> Resolved:
    """``range(...)`` or a generator in FROM."""
    name = relation.name[-1].lower()
    if len(relation.name) == 1 and name == "range":
        return resolve_range_function(relation, analysis)
    if len(relation.name) == 1 and name == keyword_list.NAME:
        return analysis.relation(keyword_list.keywords_relation(relation, analysis.environment))
    if len(relation.name) == 1 and name == collation_list.NAME:
        return analysis.relation(collation_list.collations_relation(relation))
    if len(relation.name) == 1 and name == python_worker_logs.NAME:
        return analysis.relation(python_worker_logs.logs_relation(relation, analysis.environment))
    user = analysis.environment.user_function(("table function", relation.name[-1].lower()))
    if isinstance(user, PythonFunction):
        called = replace(user, args=relation.args)
        return analysis.relation(r.PythonTableFunction(called, origin=relation.origin))
    defined = _sql_function(relation, analysis)
    if defined is not None:
        return call_sql_table_function(defined, relation, analysis)
    if len(relation.name) > 1:
        from voltray.driver.plan.identifiers import quoted

        shown = quoted(relation.name)
        raise analysis_error("INVALID_SQL_SYNTAX.INVALID_TABLE_VALUED_FUNC_NAME", relation.origin, funcName=shown)
    source = leaf_scope(logical.OneRow())
    function = UnresolvedFunction(relation.name, relation.args, origin=relation.origin)
    generated = _generator(function, source, analysis, relation.origin, table=True)
    plan = logical.Generate(source.plan, generated.generator, generated.attributes, generated.outer)
    return Resolved(plan, Scope(generated.attributes))


def _sql_function(relation: r.TableFunction, analysis: Analysis) -> SqlFunction | None:
    if isinstance(analysis.environment.user_function(relation.name), PythonFunction):
        return None
    return find_sql_function(relation.name, analysis.environment)


def _generator(
    expression: Expression,
    source: Resolved,
    analysis: Analysis,
    origin: QueryContext | None,
    names: tuple[str, ...] = (),
    table: bool = False,
) -> Generated:
    from voltray.driver.analysis.functions import find_function

    refuse_sql_functions("Generate", [expression], analysis.environment)
    if isinstance(expression, UnresolvedFunction) and table:
        known = find_function(expression.name[-1])
        if known is None or known.kind.value != "generator":
            from voltray.driver.plan.identifiers import quoted

            raise analysis_error("UNRESOLVABLE_TABLE_VALUED_FUNCTION", origin, name=quoted(expression.name))
    typed = analysis.over(source.scope).resolve(expression)
    generated = as_generator(expression, typed, names, origin)
    if generated is None:
        raise analysis_error(
            "UNSUPPORTED_GENERATOR.NOT_GENERATOR", origin, functionName=typed.text, classCanonicalName=""
        )
    return generated


def resolve_lateral_view(relation: r.LateralView, analysis: Analysis) -> Resolved:
    """LATERAL VIEW: each row joined with what a generator makes of it."""
    child = analysis.relation(relation.child)
    generated = _generator(relation.generator, child, analysis, relation.origin, relation.columns)
    plan, _ = exposed_for(child.plan, child.scope.attributes, [generated.generator])
    outer = relation.outer or generated.outer
    attributes = tuple([Attribute(a.expr_id, a.name, a.dtype, a.nullable or outer) for a in generated.attributes])
    made: logical.LogicalPlan = logical.Generate(plan, generated.generator, attributes, outer)
    qualifier = (relation.alias,) if relation.alias else ()
    visible = tuple([Attribute(a.expr_id, a.name, a.dtype, a.nullable, qualifier) for a in attributes])
    output = child.scope.attributes + visible
    if plan is not child.plan:
        made = logical.Project(made, child.scope.attributes + attributes)
    return Resolved(made, scope_over(output, child.scope))


# ---- text rows -----------------------------------------------------------------------------------------
def resolve_parse(relation: r.Parse, analysis: Analysis) -> Resolved:
    """``spark.read.json/csv`` of a DataFrame with one column of text."""
    child = analysis.relation(relation.child)
    columns = child.scope.attributes
    if len(columns) != 1 or not isinstance(columns[0].dtype, StringType):
        raise analysis_error("PARSE_INPUT_NOT_STRING_TYPE", relation.origin)
    if relation.schema is None:
        raise unsupported("parsing rows of text without a schema", relation.origin)
    pairs: list[Expression] = []
    for key, value in relation.options:
        pairs += [Literal(key, STRING), Literal(value, STRING)]
    schema = Literal(relation.schema.json(), STRING)
    arguments = (columns[0], schema, call("map", *pairs)) if pairs else (columns[0], schema)
    parsed = UnresolvedAlias(call(f"from_{relation.format}", *arguments), ("parsed",))
    rows = analysis.relation(r.Project(over(child), (parsed,)))
    fields = [
        UnresolvedAlias(UnresolvedExtract(rows.scope.attributes[0], Literal(f.name, STRING)), (f.name,))
        for f in relation.schema.fields
    ]
    return analysis.relation(r.Project(over(rows), tuple(fields)))


__all__ = ["UnresolvedStar", "resolve_lateral_view", "resolve_parse", "resolve_table_function"]
