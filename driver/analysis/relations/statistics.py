"""``describe``, ``summary`` and ``df.stat``, written as ordinary aggregations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from voltray.driver.analysis.errors import analysis_error
from voltray.driver.analysis.relations.columns import call, named_columns, over
from voltray.driver.analysis.scope import Resolved, scope_over
from voltray.driver.plan import logical
from voltray.driver.plan import relations as r
from voltray.driver.plan.expressions import UnresolvedAlias, UnresolvedCast
from voltray.proto import types as t
from voltray.proto.expressions import Alias, Attribute, Expression, Literal, new_id
from voltray.proto.failures import ErrorKind, spark_error

if TYPE_CHECKING:
    from voltray.driver.analysis.resolver import Analysis

DEFAULT_SUMMARY = ("count", "mean", "stddev", "min", "25%", "50%", "75%", "max")
DESCRIBED = ("count", "mean", "stddev", "min", "max")
PERCENTILE_ACCURACY = 10_000


def resolve_statistic(relation: r.Statistic, analysis: Analysis) -> Resolved:
    """A statistic by its name."""
    return _STATISTICS[relation.name](relation, analysis.relation(relation.child), analysis)


def _arguments(relation: r.Statistic) -> dict[str, Any]:
    return dict(relation.arguments)


def _double(expression: Expression, mode: str | None = None) -> Expression:
    return UnresolvedCast(expression, t.DOUBLE, mode)


def _text(expression: Expression) -> Expression:
    return UnresolvedCast(expression, t.STRING)


# ---- describe and summary -------------------------------------------------------------------------
def _describe(relation: r.Statistic, child: Resolved, analysis: Analysis) -> Resolved:
    return _summarized(DESCRIBED, named_columns(relation.columns, child, analysis), child, analysis)


def _summary(relation: r.Statistic, child: Resolved, analysis: Analysis) -> Resolved:
    statistics = _arguments(relation)["statistics"] or DEFAULT_SUMMARY
    return _summarized(statistics, list(child.scope.attributes), child, analysis)


def _summarized(statistics: tuple[str, ...], columns: list[Attribute], child: Resolved, analysis: Analysis) -> Resolved:
    """One aggregation of every statistic of every column, its one row then unfolded to a row a statistic."""
    columns = [a for a in columns if isinstance(a.dtype, (t.NumericType, t.StringType))]
    items = [
        UnresolvedAlias(_text(_statistic(name, column)), (f"{name} of {position}",))
        for name in statistics
        for position, column in enumerate(columns)
    ]
    if not items:
        empty = r.Project(r.OneRow(), (UnresolvedAlias(Literal("", t.STRING), ("none",)),))
        folded = analysis.relation(empty)
    else:
        folded = analysis.relation(r.Aggregate(over(child), "groupby", (), tuple(items)))
    cells = folded.plan.output
    width = len(columns)
    rows = enumerate(statistics)
    projections = tuple([(Literal(name, t.STRING), *cells[i * width : (i + 1) * width]) for i, name in rows])
    names = ["summary", *[c.name for c in columns]]
    output = tuple([Attribute(new_id(), name, t.STRING, True) for name in names])
    plan = logical.Expand(folded.plan, projections, output)
    return Resolved(plan, scope_over(plan.output, child.scope, hidden=()))


def _statistic(name: str, column: Attribute) -> Expression:
    lower = name.lower()
    is_text = isinstance(column.dtype, t.StringType)
    number = _double(column, "try") if is_text else column
    if lower.endswith("%"):
        return _percentile(name, number)
    known: Mapping[str, Callable[[], Expression]] = {
        "count": lambda: call("count", column),
        "count_distinct": lambda: _distinct_count(column),
        "approx_count_distinct": lambda: call("approx_count_distinct", column),
        "mean": lambda: call("avg", number),
        "stddev": lambda: call("stddev_samp", number),
        "min": lambda: call("min", column),
        "max": lambda: call("max", column),
    }
    build = known.get(lower)
    if build is None:
        raise spark_error(
            "UNSUPPORTED_STATISTIC",
            ErrorKind.ILLEGAL_ARGUMENT,
            sqlstate="42K0D",
            message=f"[UNSUPPORTED_STATISTIC] {name} is not a recognised statistic; count, count_distinct, "
            "approx_count_distinct, mean, stddev, min, max and percentiles such as 25% are.",
        )
    return build()


def _distinct_count(column: Attribute) -> Expression:
    from voltray.driver.plan.expressions import UnresolvedFunction

    return UnresolvedFunction(("count",), (column,), distinct=True, is_operator=True)


def _percentile(name: str, number: Expression) -> Expression:
    try:
        fraction = float(name[:-1]) / 100
    except ValueError:
        fraction = -1.0
    if not 0 <= fraction <= 1:
        raise spark_error(
            "INVALID_PARAMETER_VALUE",
            ErrorKind.ILLEGAL_ARGUMENT,
            sqlstate="22023",
            message=f"[INVALID_PARAMETER_VALUE] Unable to parse {name} as a percentile: it must lie in [0%, 100%].",
        )
    accuracy = Literal(PERCENTILE_ACCURACY, t.INTEGER)
    return call("percentile_approx", number, Literal(fraction, t.DOUBLE), accuracy)


# ---- df.stat --------------------------------------------------------------------------------------
def _pair(relation: r.Statistic, child: Resolved, analysis: Analysis) -> tuple[Attribute, Attribute]:
    first, second = named_columns(relation.columns, child, analysis)
    return first, second


def _numeric_pair(what: str, relation: r.Statistic, child: Resolved, analysis: Analysis) -> tuple[Attribute, Attribute]:
    pair = _pair(relation, child, analysis)
    for column in pair:
        if not isinstance(column.dtype, t.NumericType):
            shown = column.dtype.simpleString()
            raise spark_error(
                "UNSUPPORTED_STATISTIC_TYPE",
                ErrorKind.ILLEGAL_ARGUMENT,
                sqlstate="42K0D",
                message=f"requirement failed: Currently {what} calculation for columns with dataType {shown} "
                "not supported.",
            )
    return pair


def _moment(function: str, what: str, name: str) -> Callable[[r.Statistic, Resolved, Analysis], Resolved]:
    def resolved(relation: r.Statistic, child: Resolved, analysis: Analysis) -> Resolved:
        first, second = _numeric_pair(what, relation, child, analysis)
        method = _arguments(relation).get("method", "pearson")
        if method != "pearson":
            raise spark_error(
                "UNSUPPORTED_CORRELATION",
                ErrorKind.ILLEGAL_ARGUMENT,
                sqlstate="42K0D",
                message="requirement failed: Currently only the calculation of the Pearson "
                "Correlation coefficient is supported.",
            )
        zero = Literal(0.0, t.DOUBLE)
        pair = [call("coalesce", _double(c), zero) for c in (first, second)]
        item = UnresolvedAlias(call(function, *pair), (name,))
        return analysis.relation(r.Aggregate(over(child), "groupby", (), (item,)))

    return resolved


def _crosstab(relation: r.Statistic, child: Resolved, analysis: Analysis) -> Resolved:
    first, second = _pair(relation, child, analysis)
    null = Literal("null", t.STRING)
    names = (f"{relation.columns[0]}_{relation.columns[1]}", "column")
    texts = [
        UnresolvedAlias(call("coalesce", _text(c), null), (n,)) for c, n in zip((first, second), names, strict=True)
    ]
    pairs = analysis.relation(r.Project(over(child), tuple(texts)))
    group, right = pairs.scope.attributes
    counted = call("count", Literal(1, t.INTEGER))
    table = analysis.relation(r.Aggregate(over(pairs), "pivot", (group,), (counted,), right))
    return analysis.relation(r.FillNa(over(table), (), (Literal(0, t.LONG),)))


def _approx_quantile(relation: r.Statistic, child: Resolved, analysis: Analysis) -> Resolved:
    arguments = _arguments(relation)
    error = float(arguments["relative_error"])
    accuracy = 2**31 - 1 if error == 0 else max(1, min(2**31 - 1, round(1 / error)))
    probabilities = Literal(list(arguments["probabilities"]), t.ArrayType(t.DOUBLE, False))
    empty = UnresolvedCast(call("array"), t.ArrayType(t.DOUBLE, True))
    lists: list[Expression] = []
    for column in named_columns(relation.columns, child, analysis):
        if not isinstance(column.dtype, t.NumericType):
            raise analysis_error(
                "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE",
                sqlExpr=f'"{column.name}"', paramIndex="first", requiredType='"NUMERIC"',
                inputSql=f'"{column.name}"', inputType=t.type_name(column.dtype),
            )  # fmt: skip
        number = call("nanvl", _double(column), UnresolvedCast(Literal(None, t.NULL), t.DOUBLE))
        quantiles = call("percentile_approx", number, probabilities, Literal(accuracy, t.INTEGER))
        lists.append(call("coalesce", quantiles, empty))
    item = UnresolvedAlias(call("array", *lists), ("approx_quantile",))
    return analysis.relation(r.Aggregate(over(child), "groupby", (), (item,)))


def _freq_items(relation: r.Statistic, child: Resolved, analysis: Analysis) -> Resolved:
    """Values that make up more than the support of a column, exactly (Spark may give some more)."""
    support = float(_arguments(relation)["support"])
    if not 0.0001 <= support <= 1:
        raise spark_error(
            "INVALID_PARAMETER_VALUE",
            ErrorKind.ILLEGAL_ARGUMENT,
            sqlstate="22023",
            message=f"requirement failed: Support must be in [1e-4, 1], but got {support}.",
        )
    folded: Resolved | None = None
    for column in named_columns(relation.columns, child, analysis):
        part = _frequent(column, support, child, analysis)
        if folded is None:
            folded = part
        else:
            folded = analysis.relation(r.Join(over(folded), over(part), "cross"))
    assert folded is not None
    return folded


def _frequent(column: Attribute, support: float, child: Resolved, analysis: Analysis) -> Resolved:
    from voltray.driver.analysis.fresh_ids import with_fresh_ids

    copy = with_fresh_ids(child.plan)
    place = [a.expr_id for a in child.plan.output].index(column.expr_id)
    value = copy.output[place]
    fresh = Resolved(copy, scope_over(copy.output, child.scope, hidden=()))
    counted = UnresolvedAlias(call("count", Literal(1, t.INTEGER)), ("n",))
    groups = analysis.relation(r.Aggregate(over(fresh), "groupby", (value,), (counted,)))
    value, number = groups.scope.attributes
    pairs = UnresolvedAlias(call("collect_list", call("struct", value, number)), ("pairs",))
    total = UnresolvedAlias(call("sum", number), ("total",))
    listed = analysis.relation(r.Aggregate(over(groups), "groupby", (), (pairs, total)))
    return analysis.relation(r.Project(over(listed), (_chosen(listed, column, support),)))


def _chosen(listed: Resolved, column: Attribute, support: float) -> Expression:
    from voltray.driver.plan.expressions import UnresolvedExtract, UnresolvedLambda, UnresolvedLambdaVariable

    pairs, total = listed.scope.attributes
    pair = UnresolvedLambdaVariable(("pair",))
    number = UnresolvedExtract(pair, Literal("n", t.STRING))
    few = call("<=", call("size", pairs), Literal(int(1 / support), t.INTEGER))  # Spark counts so many, then gives all
    often = call("or", few, call(">", number, call("*", total, Literal(support, t.DOUBLE))))
    kept = call("filter", pairs, UnresolvedLambda(often, ("pair",)))
    value = UnresolvedExtract(pair, Literal(column.name, t.STRING))
    values = call("transform", kept, UnresolvedLambda(value, ("pair",)))
    return UnresolvedAlias(values, (f"{column.name}_freqItems",))


def _sample_by(relation: r.Statistic, child: Resolved, analysis: Analysis) -> Resolved:
    arguments = _arguments(relation)
    typed = analysis.over(child.scope).resolve(arguments["column"])
    stratum = (
        UnresolvedAlias(typed.expression, ("stratum",)) if isinstance(typed.expression, Alias) else typed.expression
    )
    branches: list[Expression] = []
    for value, fraction in arguments["fractions"]:
        branches += [call("<=>", stratum, value), Literal(float(fraction), t.DOUBLE)]
    chance = call("when", *branches, Literal(0.0, t.DOUBLE)) if branches else Literal(0.0, t.DOUBLE)
    seed = arguments["seed"]
    random = call("rand", Literal(seed, t.LONG)) if seed is not None else call("rand")
    return analysis.relation(r.Filter(over(child), call("<", random, chance)))


_STATISTICS: Mapping[str, Callable[[r.Statistic, Resolved, Analysis], Resolved]] = {
    "summary": _summary,
    "describe": _describe,
    "crosstab": _crosstab,
    "cov": _moment("covar_samp", "covariance", "cov"),
    "corr": _moment("corr", "correlation", "corr"),
    "approx_quantile": _approx_quantile,
    "freq_items": _freq_items,
    "sample_by": _sample_by,
}
