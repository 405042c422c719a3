"""Which expressions may raise, and so need to know the rows that Spark would evaluate."""

from __future__ import annotations

from voltray.proto.coercion import can_up_cast
from voltray.proto.expressions import (
    Alias,
    Attribute,
    Call,
    Cast,
    EvalMode,
    Expression,
    LambdaVariable,
    Literal,
    dtype_of,
    walk,
)  # fmt: skip
from voltray.proto.types import DecimalType, FractionalType, StringType

# Calls that give a value for every input.
_NEVER_RAISE = frozenset(
    {
        "==", "<=>", "<", "<=", ">", ">=", "and", "or", "not", "isnull", "isnotnull", "isnan", "in", "between",
        "when", "if", "coalesce", "nvl", "ifnull", "nvl2", "nullif", "greatest", "least", "nanvl", "equal_null",
        "like", "ilike", "upper", "lower", "length", "trim", "ltrim", "rtrim", "substring", "concat", "concat_ws",
        "startswith", "endswith", "contains", "instr", "get_field", "named_struct", "struct", "array", "positive",
        "&", "|", "^", "~", "try_add", "try_subtract", "try_multiply", "try_divide", "try_mod", "hash", "xxhash64",
        "date_add", "date_sub", "datediff", "year", "month", "dayofmonth", "hour", "minute", "second", "typeof",
        "monotonically_increasing_id",
    }
)  # fmt: skip
_UNCHECKED_ON_FLOATS = frozenset({"+", "-", "*", "negative", "abs"})


def may_raise(expression: Expression) -> bool:
    """Whether evaluating an expression for a row could fail."""
    return any(node_may_raise(node) for node in walk(expression))


def node_may_raise(node: Expression) -> bool:
    """Whether this one step could fail, its arguments being given."""
    match node:
        case Attribute() | Literal() | Alias() | LambdaVariable():
            return False
        case Cast():
            return node.mode is EvalMode.ANSI and not _safe_cast(node)
        case Call():
            if node.name in _NEVER_RAISE:
                return False
            return not (node.name in _UNCHECKED_ON_FLOATS and isinstance(dtype_of(node), FractionalType))
    return True


def _safe_cast(cast: Cast) -> bool:
    source, target = dtype_of(cast.child), cast.dtype
    if isinstance(target, DecimalType) and isinstance(source, DecimalType):
        return target.scale >= source.scale and target.precision - target.scale >= source.precision - source.scale
    return isinstance(target, StringType) or can_up_cast(source, target)
