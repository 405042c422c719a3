"""Statistical aggregates over one column (variance, skewness ..) and over pairs (correlation, regression).

Parts are merged by the usual formulas for central moments: means weighted by counts, and sums of powers of deviations
shifted from the part's mean to the common one.
"""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from voltray.executors.functions.aggregate_entries import aggregate
from voltray.executors.functions.columns import divide_by_zero
from voltray.executors.functions.evaluation import Evaluation
from voltray.executors.functions.registry import Accept, Function, Split, always_nullable, never_nullable, parameters
from voltray.proto.expressions import EvalMode
from voltray.proto.types import DOUBLE, LONG, DoubleType

DOUBLE_ARGUMENT = Accept((DoubleType,), (DOUBLE,), '"DOUBLE"')
Finish = Callable[..., pl.Expr]


# ---- one column -------------------------------------------------------------------------------------
def _moments(highest: int, finish: Finish, lost: int = 0) -> Split:
    """A split that keeps the count, the mean and the sums of powers of deviations up to ``highest``.

    ``lost`` degrees of freedom: a variance taken times its own divisor and divided again loses least.
    """
    powers = tuple(range(2, highest + 1))
    buffers = (("n", LONG), ("mean", DOUBLE), *[(f"m{p}", DOUBLE) for p in powers])

    def partial(evaluation: Evaluation, value: pl.Expr) -> tuple[pl.Expr, ...]:
        count = value.count().cast(pl.Int64)
        mean = value.mean()
        if highest == 2:
            return (count, mean, value.var(ddof=lost).fill_null(0.0) * (count - lost))
        deviation = value - mean
        return (count, mean, *[(deviation**p).sum() for p in powers])

    def merge(evaluation: Evaluation, n: pl.Expr, mean: pl.Expr, *sums: pl.Expr) -> tuple[pl.Expr, ...]:
        known = mean.fill_null(0.0)
        m2, m3, m4 = (sums[i].fill_null(0.0) if i < len(sums) else pl.lit(0.0) for i in range(3))
        total = n.sum()
        centre = (known * n).sum() / total
        shift = known - centre
        merged = [
            m2 + n * shift**2,
            m3 + 3 * shift * m2 + n * shift**3,
            m4 + 4 * shift * m3 + 6 * shift**2 * m2 + n * shift**4,
        ]
        return (total, centre, *[m.sum() for m in merged[: len(powers)]])

    return Split(
        lambda call: buffers, partial, merge, lambda evaluation, n, mean, *sums: finish(n.cast(pl.Float64), *sums)
    )


def _variance(n: pl.Expr, m2: pl.Expr) -> pl.Expr:
    return pl.when(n > 0).then(m2 / n)


def _sample_variance(n: pl.Expr, m2: pl.Expr) -> pl.Expr:
    return pl.when(n > 1).then(m2 / (n - 1.0))


def _skewness(n: pl.Expr, m2: pl.Expr, m3: pl.Expr) -> pl.Expr:
    return pl.when((n > 0) & (m2 != 0.0)).then(n.sqrt() * m3 / (m2 * m2 * m2).sqrt())


def _kurtosis(n: pl.Expr, m2: pl.Expr, m3: pl.Expr, m4: pl.Expr) -> pl.Expr:
    return pl.when((n > 0) & (m2 != 0.0)).then(n * m4 / (m2 * m2) - 3.0)


# ---- pairs ------------------------------------------------------------------------------------------
_PAIR_BUFFERS = (
    ("n", LONG),
    ("x", DOUBLE),
    ("y", DOUBLE),
    ("xy", DOUBLE),
    ("xx", DOUBLE),
    ("yy", DOUBLE),
)


def _pairs(finish: Finish, *, x_first: bool) -> Split:
    """A split over pairs without NULLs: count, both means, and the sums of products of deviations."""

    def partial(evaluation: Evaluation, first: pl.Expr, second: pl.Expr) -> tuple[pl.Expr, ...]:
        both = first.is_not_null() & second.is_not_null()
        left, right = (pl.when(both).then(v) for v in ((first, second) if x_first else (second, first)))
        x, y = left - left.mean(), right - right.mean()
        count = both.sum().cast(pl.Int64)
        return (count, left.mean(), right.mean(), (x * y).sum(), (x * x).sum(), (y * y).sum())

    def merge(evaluation: Evaluation, n: pl.Expr, *rest: pl.Expr) -> tuple[pl.Expr, ...]:
        x, y, xy, xx, yy = (r.fill_null(0.0) for r in rest)
        total = n.sum()
        x_mean, y_mean = (x * n).sum() / total, (y * n).sum() / total
        across, along = x - x_mean, y - y_mean
        return (
            total,
            x_mean,
            y_mean,
            (xy + n * across * along).sum(),
            (xx + n * across * across).sum(),
            (yy + n * along * along).sum(),
        )

    return Split(lambda call: _PAIR_BUFFERS, partial, merge, finish)


def _known(n: pl.Expr, value: pl.Expr) -> pl.Expr:
    return pl.when(n > 0).then(value)


def _correlation(
    evaluation: Evaluation, n: pl.Expr, x: pl.Expr, y: pl.Expr, xy: pl.Expr, xx: pl.Expr, yy: pl.Expr
) -> pl.Expr:
    divisor = (xx * yy).sqrt()
    value = pl.when((n > 1) & (divisor != 0.0)).then(xy / divisor)
    if evaluation.call.mode is not EvalMode.ANSI:
        return value
    return evaluation.checked(value, (n > 1) & (divisor == 0.0), divide_by_zero)


def _slope(
    evaluation: Evaluation, n: pl.Expr, x: pl.Expr, y: pl.Expr, xy: pl.Expr, xx: pl.Expr, yy: pl.Expr
) -> pl.Expr:
    return pl.when((n > 0) & (xx != 0.0)).then(xy / xx)


def _intercept(
    evaluation: Evaluation, n: pl.Expr, x: pl.Expr, y: pl.Expr, xy: pl.Expr, xx: pl.Expr, yy: pl.Expr
) -> pl.Expr:
    return pl.when((n > 0) & (xx != 0.0)).then(y - xy / xx * x)


def _determination(
    evaluation: Evaluation, n: pl.Expr, x: pl.Expr, y: pl.Expr, xy: pl.Expr, xx: pl.Expr, yy: pl.Expr
) -> pl.Expr:
    # Spark takes the dependent variable's spread for the one that must not vanish.
    fitted = pl.when(xx == 0.0).then(1.0).otherwise(xy * xy / (xx * yy))
    return pl.when((n > 0) & (yy != 0.0)).then(fitted)


# ---- entries ----------------------------------------------------------------------------------------
_ONE = parameters(("expr", DOUBLE_ARGUMENT))
_COLUMNS = parameters(("expr1", DOUBLE_ARGUMENT), ("expr2", DOUBLE_ARGUMENT))
_REGRESSION = parameters(("y", DOUBLE_ARGUMENT), ("x", DOUBLE_ARGUMENT))

_MOMENTS: tuple[tuple[str, int, Finish, int], ...] = (
    ("stddev_samp stddev std", 2, lambda n, m2: _sample_variance(n, m2).sqrt(), 1),
    ("stddev_pop", 2, lambda n, m2: _variance(n, m2).sqrt(), 0),
    ("var_samp variance", 2, _sample_variance, 1),
    ("var_pop", 2, _variance, 0),
    ("skewness", 3, _skewness, 0),
    ("kurtosis", 4, _kurtosis, 0),
)
_PAIRED: tuple[tuple[str, Finish], ...] = (
    ("corr", _correlation),
    ("covar_pop", lambda evaluation, n, x, y, xy, xx, yy: _known(n, xy / n)),
    ("covar_samp", lambda evaluation, n, x, y, xy, xx, yy: pl.when(n > 1).then(xy / (n - 1))),
)
_REGRESSIONS: tuple[tuple[str, Finish], ...] = (
    ("regr_count", lambda evaluation, n, x, y, xy, xx, yy: n),
    ("regr_avgx", lambda evaluation, n, x, y, xy, xx, yy: x),
    ("regr_avgy", lambda evaluation, n, x, y, xy, xx, yy: y),
    ("regr_sxx", lambda evaluation, n, x, y, xy, xx, yy: _known(n, xx)),
    ("regr_syy", lambda evaluation, n, x, y, xy, xx, yy: _known(n, yy)),
    ("regr_sxy", lambda evaluation, n, x, y, xy, xx, yy: _known(n, xy)),
    ("regr_slope", _slope),
    ("regr_intercept", _intercept),
    ("regr_r2", _determination),
)


def _regression(name: str, finish: Finish) -> Function:
    counts = name == "regr_count"
    nullable = never_nullable if counts else always_nullable
    return aggregate(name, _REGRESSION, LONG if counts else DOUBLE, _pairs(finish, x_first=False), nullable=nullable)


FUNCTIONS: tuple[Function, ...] = (
    *[aggregate(names, _ONE, DOUBLE, _moments(highest, finish, lost)) for names, highest, finish, lost in _MOMENTS],
    *[aggregate(name, _COLUMNS, DOUBLE, _pairs(finish, x_first=True)) for name, finish in _PAIRED],
    *[_regression(name, finish) for name, finish in _REGRESSIONS],
)
