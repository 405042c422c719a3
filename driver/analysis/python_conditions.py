"""Where Spark refuses users' Python functions in conditions of joins."""

from __future__ import annotations

from voltray.driver.analysis.errors import analysis_error
from voltray.proto.expressions import Attribute, Expression, PythonCall, references, walk
from voltray.proto.failures import QueryContext

_SHOWN_KINDS = {
    "left": "LEFT OUTER",
    "right": "RIGHT OUTER",
    "full": "FULL OUTER",
    "left_semi": "LEFT SEMI",
    "left_anti": "LEFT ANTI",
}


def check_python_condition(
    condition: Expression,
    shown: str,
    kind: str,
    left: tuple[Attribute, ...],
    right: tuple[Attribute, ...],
    origin: QueryContext | None,
) -> None:
    """Refuse functions that are not deterministic, and in outer joins those that read both sides."""
    calls = [part for part in walk(condition) if isinstance(part, PythonCall)]
    for call in calls:
        if not call.deterministic:
            raise analysis_error("INVALID_NON_DETERMINISTIC_EXPRESSIONS", origin, sqlExprs=f'"{shown}"')
    if kind not in _SHOWN_KINDS:
        return
    sides = ({a.expr_id for a in left}, {a.expr_id for a in right})
    for call in calls:
        reads = references(call)
        if all(reads & side for side in sides):
            raise analysis_error("UNSUPPORTED_FEATURE.PYTHON_UDF_IN_ON_CLAUSE", origin, joinType=_SHOWN_KINDS[kind])
