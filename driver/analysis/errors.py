"""The analyzer's errors: Spark's conditions with their parameters and the place they arose at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from voltray.driver.plan.identifiers import quoted
from voltray.proto.edit_distance import edit_distance
from voltray.proto.expressions import Attribute, Expression, dtype_of
from voltray.proto.failures import ErrorKind, QueryContext, SparkError, spark_error
from voltray.proto.types import DataType, type_name

ORDINALS = (
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh",
    "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth",
)  # fmt: skip


def analysis_error(
    condition: str,
    origin: QueryContext | None = None,
    *,
    extra: Any = None,
    **parameters: object,
) -> SparkError:
    """An AnalysisException of a condition; ``extra`` holds parameters whose names are taken (``condition``)."""
    contexts = (origin,) if origin is not None else ()
    return spark_error(condition, ErrorKind.ANALYSIS, contexts=contexts, extra=extra, **parameters)  # type: ignore[arg-type]


def unsupported(feature: str, origin: QueryContext | None = None) -> SparkError:
    """What Voltray does not do (yet), by name."""
    contexts = (origin,) if origin is not None else ()
    return spark_error(
        "UNSUPPORTED_FEATURE",
        ErrorKind.UNSUPPORTED,
        contexts=contexts,
        sqlstate="0A000",
        message=f"[UNSUPPORTED_FEATURE] Voltray does not support {feature}. SQLSTATE: 0A000",
        feature=feature,
    )


def ordinal(position: int) -> str:
    """``first`` for 0, ``second`` for 1 ..."""
    return ORDINALS[position] if position < len(ORDINALS) else f"{position + 1}th"


def suggestions(name: str, part_count: int, candidates: Sequence[tuple[str, ...]]) -> list[str]:
    """At most five names like the one not found, the likest first."""
    if part_count == 1 and len({c[:-1] for c in candidates}) == 1:
        candidates = [c[-1:] for c in candidates]
    elif part_count <= 2 and len({c[:-2] for c in candidates}) == 1:
        candidates = [c[-2:] for c in candidates]
    shown = [quoted(c) for c in candidates[:2000]]
    return sorted(shown, key=lambda c: edit_distance(c, name))[:5]


def unresolved_column(
    parts: Sequence[str], candidates: Iterable[Attribute], origin: QueryContext | None
) -> SparkError:
    """A column that nothing provides, with the likest that there are."""
    name = ".".join(parts)
    by_name = sorted(candidates, key=lambda a: (a.name, a.expr_id))
    proposals = suggestions(name, len(parts), [(*a.qualifier, a.name) for a in by_name])
    if not proposals:
        return analysis_error("UNRESOLVED_COLUMN.WITHOUT_SUGGESTION", origin, objectName=quoted(tuple(parts)))
    return analysis_error(
        "UNRESOLVED_COLUMN.WITH_SUGGESTION",
        origin,
        objectName=quoted(tuple(parts)),
        proposal=", ".join(proposals),
    )


def mismatch(kind: str, sql: str, origin: QueryContext | None = None, **parameters: object) -> SparkError:
    """DATATYPE_MISMATCH.kind of an expression (``sql`` is its generated name)."""
    return analysis_error(f"DATATYPE_MISMATCH.{kind}", origin, sqlExpr=f'"{sql}"', **parameters)


def shown_type(expression: Expression | DataType) -> str:
    """A type as messages print it."""
    return type_name(expression if isinstance(expression, DataType) else dtype_of(expression))
