"""OVER and ORDER BY: windows, their frames, and keys."""

from __future__ import annotations

from sqlglot import exp

from voltray.driver.plan import expressions as u
from voltray.driver.sql.context import SqlText
from voltray.driver.sql.converting import call, convert, convert_all
from voltray.proto.expressions import Expression
from voltray.proto.failures import ErrorKind, spark_error


def window(node: exp.Window, text: SqlText) -> Expression:
    function = convert(node.this, text)
    if node.args.get("alias") is not None and not node.args.get("partition_by") and not node.args.get("order"):
        return u.UnresolvedWindow(function, window_name=node.alias, origin=text.origin(node))
    if node.args.get("alias") is not None:
        raise text.refused_word("(", node)
    order = node.args.get("order")
    return u.UnresolvedWindow(
        function,
        convert_all(node.args.get("partition_by") or [], text),
        orders(order, text) if order is not None else (),
        frame(node.args.get("spec"), text),
        origin=text.origin(node),
    )


def frame(spec: exp.WindowSpec | None, text: SqlText) -> u.UnresolvedFrame | None:
    """A window frame clause."""
    if spec is None:
        return None
    if str(spec.args["kind"]).upper() == "GROUPS":
        raise text.refused_word("groups", spec)
    return u.UnresolvedFrame(str(spec.args["kind"]).lower(), _bound(spec, "start", text), _bound(spec, "end", text))


def _bound(spec: exp.WindowSpec, name: str, text: SqlText) -> Expression | str:
    value, side = spec.args.get(name), str(spec.args.get(f"{name}_side") or "").upper()
    if not isinstance(value, exp.Expression):
        if str(value).upper() != "UNBOUNDED":
            return "current"
        outside = "FOLLOWING" if name == "start" else "PRECEDING"
        return f"unbounded {side.lower()}" if side == outside else "unbounded"
    offset = convert(value, text)
    if any(True for _ in value.find_all(exp.Column)):
        words = "Frame bound value must be a literal."
        raise spark_error("_LEGACY_ERROR_TEMP_0064", ErrorKind.PARSE, msg=words)
    if side != "PRECEDING":
        return offset
    return call("-", offset)


def orders(node: exp.Order, text: SqlText) -> tuple[u.UnresolvedSortOrder, ...]:
    """The keys of an ORDER BY clause."""
    return tuple([order(o, text) for o in node.expressions])


def order(node: exp.Expression, text: SqlText) -> u.UnresolvedSortOrder:
    """One sort key; sqlglot has filled in Spark's default place of NULLs."""
    if not isinstance(node, exp.Ordered):
        return u.UnresolvedSortOrder(convert(node, text))
    descending = bool(node.args.get("desc"))
    nulls_first = node.args.get("nulls_first")
    return u.UnresolvedSortOrder(
        convert(node.this, text), not descending, bool(nulls_first) if nulls_first is not None else None
    )
