"""Messages of ``df.stat``, ``describe`` and ``summary``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from voltray.driver.connect.messages.expressions import expression_from_message
from voltray.driver.connect.messages.literals import literal_from_message
from voltray.driver.plan.relations import Relation, Statistic

Arguments = tuple[tuple[str, ...], tuple[tuple[str, Any], ...]]


def statistic_from_message(name: str, field: Any, child: Relation) -> Relation:
    """A statistic with its columns and its other arguments."""
    columns, arguments = READERS[name](field)
    return Statistic(child, name, columns, arguments)


def _summary(field: Any) -> Arguments:
    return (), (("statistics", tuple(field.statistics)),)


def _describe(field: Any) -> Arguments:
    return tuple(field.cols), ()


def _two_columns(field: Any) -> Arguments:
    return (field.col1, field.col2), ()


def _corr(field: Any) -> Arguments:
    return (field.col1, field.col2), (("method", field.method if field.HasField("method") else "pearson"),)


def _approx_quantile(field: Any) -> Arguments:
    arguments = (("probabilities", tuple(field.probabilities)), ("relative_error", field.relative_error))
    return tuple(field.cols), arguments


def _freq_items(field: Any) -> Arguments:
    return tuple(field.cols), (("support", field.support if field.HasField("support") else 0.01),)


def _sample_by(field: Any) -> Arguments:
    fractions = tuple([(literal_from_message(f.stratum), f.fraction) for f in field.fractions])
    seed = field.seed if field.HasField("seed") else None
    return (), (("column", expression_from_message(field.col)), ("fractions", fractions), ("seed", seed))


READERS: dict[str, Callable[[Any], Arguments]] = {
    "summary": _summary,
    "describe": _describe,
    "crosstab": _two_columns,
    "cov": _two_columns,
    "corr": _corr,
    "approx_quantile": _approx_quantile,
    "freq_items": _freq_items,
    "sample_by": _sample_by,
}
