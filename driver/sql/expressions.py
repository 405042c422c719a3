"""sqlglot's expressions made into unresolved ones: one converter for each node class."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sqlglot import exp

from voltray.driver.plan import expressions as u
from voltray.driver.sql import literals, predicates, windows
from voltray.driver.sql.context import SqlText
from voltray.driver.sql.converting import Converter, call, convert, convert_all
from voltray.driver.sql.expression_grammar import TYPED_LITERAL, TYPED_NUMBER
from voltray.driver.sql.intervals import INTERVAL_LITERAL, interval_literal
from voltray.driver.sql.nodes import Pipe, TableArgument
from voltray.driver.sql.schema import parse_schema, parse_type
from voltray.driver.sql.type_text import type_text
from voltray.proto import types as t
from voltray.proto.expressions import Expression, Literal
from voltray.proto.failures import ErrorKind, spark_error

# Binary and unary operators: node class -> the name that the DataFrame API gives the operator.
_BINARY: dict[type[exp.Expression], str] = {
    exp.Add: "+",
    exp.Sub: "-",
    exp.Mul: "*",
    exp.Div: "/",
    exp.IntDiv: "div",
    exp.Mod: "%",
    exp.EQ: "==",
    exp.NullSafeEQ: "<=>",
    exp.NEQ: "!=",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
    exp.And: "and",
    exp.Or: "or",
    exp.BitwiseAnd: "&",
    exp.BitwiseOr: "|",
    exp.BitwiseXor: "^",
    exp.BitwiseLeftShift: "<<",
    exp.BitwiseRightShift: ">>",
    exp.JSONBExtractScalar: ">>>",
    exp.DPipe: "concat",
    exp.RegexpLike: "rlike",
    exp.RegexpILike: "rlike",
}
_UNARY: dict[type[exp.Expression], str] = {
    exp.Not: "not",
    exp.Neg: "negative",
    exp.BitwiseNot: "~",
}
# Functions that are written without parentheses, or have a grammar of their own.
_NULLARY: dict[type[exp.Expression], str] = {
    exp.CurrentDate: "current_date",
    exp.CurrentTimestamp: "current_timestamp",
    exp.CurrentTime: "current_time",
    exp.CurrentUser: "current_user",
    exp.SessionUser: "session_user",
    exp.CurrentCatalog: "current_catalog",
    exp.CurrentSchema: "current_schema",
    exp.Localtimestamp: "localtimestamp",
}


# ---- names and literals ---------------------------------------------------------------------------
def _column(node: exp.Column, text: SqlText) -> Expression:
    parts = tuple([p.name for p in node.parts])
    if isinstance(node.this, exp.Star):
        return _star_of(node.this, parts[:-1], text, node)
    if node.args.get("join_mark"):
        raise text.error(node)
    is_quoted = bool(node.this.args.get("quoted"))
    return u.UnresolvedAttribute(parts, origin=text.origin(node), is_quoted=is_quoted)


def _identifier(node: exp.Identifier, text: SqlText) -> Expression:
    return u.UnresolvedAttribute((node.name,), origin=text.origin(node))


def _dot(node: exp.Dot, text: SqlText) -> Expression:
    if isinstance(node.expression, exp.Anonymous):
        names, function = _dotted_function(node, text)
        return _call_named(names, function, text)
    if isinstance(node.expression, exp.Star):
        names = tuple([p.name for p in node.this.flatten()]) if isinstance(node.this, exp.Dot) else (node.this.name,)
        return _star_of(node.expression, names, text, node)
    field = Literal(node.expression.name, t.STRING)
    child = convert(node.this, text)
    if isinstance(child, u.UnresolvedAttribute):
        return u.UnresolvedAttribute((*child.parts, node.expression.name), origin=text.origin(node))
    return u.UnresolvedExtract(child, field, text.origin(node))


def _dotted_function(node: exp.Dot, text: SqlText) -> tuple[tuple[str, ...], exp.Anonymous]:
    *qualifier, function = list(node.flatten())
    assert isinstance(function, exp.Anonymous)
    return (*[q.name for q in qualifier], str(function.this)), function


def _star_of(node: exp.Star, target: tuple[str, ...], text: SqlText, whole: exp.Expression) -> Expression:
    excluded = node.args.get("except_") or node.args.get("except") or []
    names = tuple([tuple([p.name for p in getattr(e, "parts", [e])]) for e in excluded])
    return u.UnresolvedStar(target, except_names=names, origin=text.origin(whole))


def _star(node: exp.Star, text: SqlText) -> Expression:
    return _star_of(node, (), text, node)


def _literal(node: exp.Literal, text: SqlText) -> Expression:
    if node.is_string:
        return Literal(node.this, t.STRING)
    try:
        return literals.number(node.this, text.origin(node))
    except (ValueError, ArithmeticError):
        raise text.refused_word(node.this, node) from None


def _null(node: exp.Null, text: SqlText) -> Expression:
    return Literal(None, t.NULL)


def _boolean(node: exp.Boolean, text: SqlText) -> Expression:
    return Literal(bool(node.this), t.BOOLEAN)


def _raw_string(node: exp.RawString, text: SqlText) -> Expression:
    return Literal(node.this, t.STRING)


def _adjacent_strings(node: exp.Concat, text: SqlText) -> Expression:
    return Literal("".join([part.name for part in node.expressions]), t.STRING)


def _variable(node: exp.Var, text: SqlText) -> Expression:
    return u.UnresolvedAttribute((node.name,), origin=text.origin(node))


def _hex_string(node: exp.HexString, text: SqlText) -> Expression:
    digits = node.this if len(node.this) % 2 == 0 else "0" + node.this
    return Literal(bytes.fromhex(digits), t.BINARY)


def _placeholder(node: exp.Placeholder, text: SqlText) -> Expression:
    return text.parameter(node.name if node.this else None, node)


def _parameter(node: exp.Parameter, text: SqlText) -> Expression:
    return text.parameter(node.name, node)


# ---- operators ------------------------------------------------------------------------------------
def _binary(name: str) -> Converter:
    def converted(node: Any, text: SqlText) -> Expression:
        # A long chain (a AND b AND ...) leans left: walk it down instead of recursing into it.
        chain = []
        while type(node) in _BINARY and type(node) not in _QUALIFIED:
            chain.append(node)
            node = node.this
        result = convert(node, text)
        for item in reversed(chain):
            operator = _BINARY[type(item)]
            result = call(operator, result, convert(item.expression, text), origin=text.origin(item))
        return result

    return converted


_QUALIFIED = (exp.Like, exp.ILike)


def _unary(name: str) -> Converter:
    def converted(node: Any, text: SqlText) -> Expression:
        if name == "negative" and isinstance(node.this, exp.Literal) and not node.this.is_string:
            return literals.number("-" + node.this.this, text.origin(node))
        if name == "negative" and isinstance(node.this, exp.Anonymous) and node.this.this == TYPED_NUMBER:
            return literals.suffixed_number("-" + node.this.expressions[0].this, text.origin(node))
        shown = "-" if name == "negative" else name  # the operator and the function have names of their own
        return call(shown, convert(node.this, text), origin=text.origin(node))

    return converted


def _nullary(name: str) -> Converter:
    def converted(node: Any, text: SqlText) -> Expression:
        return call(name, *([convert(node.this, text)] if node.args.get("this") else []), origin=text.origin(node))

    return converted


def _paren(node: exp.Paren, text: SqlText) -> Expression:
    return convert(node.this, text)


def _cast(mode: str | None) -> Converter:
    def converted(node: Any, text: SqlText) -> Expression:
        dtype = data_type(node.to, text)
        return u.UnresolvedCast(convert(node.this, text), dtype, mode, text.origin(node))

    return converted


def data_type(node: exp.Expression, text: SqlText) -> t.DataType:
    """The Spark type that a type node means."""
    written = node.meta.get("written", "")
    if _PLAIN_TYPE.fullmatch(written):  # as it was written: sqlglot forgets what Spark refuses
        return parse_type(written)
    return parse_schema(type_text(node))


_PLAIN_TYPE = re.compile(r"\w+\s*(?:\([\d\s,]*\))?")


def _collate(node: exp.Collate, text: SqlText) -> Expression:
    written = node.expression
    name = Literal(written.name.rpartition(".")[2], t.STRING)
    return call("collate", convert(node.this, text), name, origin=text.origin(node))


def _bracket(node: exp.Bracket, text: SqlText) -> Expression:
    result = convert(node.this, text)
    for index in node.expressions:
        result = u.UnresolvedExtract(result, convert(index, text), text.origin(node))
    return result


def _json_extract(node: exp.JSONExtract, text: SqlText) -> Expression:
    path = node.expression.sql(dialect="databricks").strip("'")
    shown = path if path.startswith("$") else "$" + path if path.startswith("[") else "$." + path
    shown = re.sub(r'\.?\["([^"\\]*)"\]', r"['\1']", shown)
    value = convert(node.this, text)
    found = call("variant_get", value, Literal(shown, t.STRING), Literal("variant", t.STRING))
    keys = [a or b for a, b in _PATH_KEY.findall(shown)]
    return u.UnresolvedAlias(found, (keys[-1],), origin=text.origin(node)) if keys else found


# A column that is a part of a VARIANT is called by the last key on the way to it.
_PATH_KEY = re.compile(r"\.([^.\[\]]+)|\[['\"]([^'\"]+)['\"]\]")


def _at_time_zone(node: exp.AtTimeZone, text: SqlText) -> Expression:
    return call("from_utc_timestamp", convert(node.this, text), convert(node.args["zone"], text))


def _tuple(node: exp.Tuple, text: SqlText) -> Expression:
    return call("(,)", *convert_all(node.expressions, text), origin=text.origin(node))


def _alias(node: exp.Alias, text: SqlText) -> Expression:
    return u.UnresolvedAlias(convert(node.this, text), (node.alias,), origin=text.origin(node))


def _aliases(node: exp.Aliases, text: SqlText) -> Expression:
    names = tuple([i.name for i in node.expressions])
    return u.UnresolvedAlias(convert(node.this, text), names, origin=text.origin(node))


# ---- functions ------------------------------------------------------------------------------------
def _anonymous(node: exp.Anonymous, text: SqlText) -> Expression:
    if node.this == TYPED_NUMBER:
        return literals.suffixed_number(node.expressions[0].this, text.origin(node))
    if node.this == INTERVAL_LITERAL:
        return interval_literal(node, text)
    if node.this == TYPED_LITERAL:
        name, value = node.expressions
        return text.typed_literal(name.this, value, node)
    this = node.this
    return _call_named((this if isinstance(this, str) else this.name,), node, text)


def _call_named(name: tuple[str, ...], node: exp.Anonymous, text: SqlText) -> Expression:
    args = list(node.expressions)
    distinct = bool(args) and isinstance(args[0], exp.Distinct)
    if distinct:
        args = list(args[0].expressions)
    timed = len(args) == 3 and len(name) == 1 and name[0].lower() in _UNIT_FUNCTIONS
    if timed and isinstance(args[0], exp.Literal) and args[0].is_string:
        raise spark_error(
            "INVALID_PARAMETER_VALUE.DATETIME_UNIT", ErrorKind.PARSE, functionName=f"`{name[0].lower()}`",
            parameter="`unit`", invalidValue=f"'{args[0].name}'",
        )  # fmt: skip
    if timed and _is_unit(args[0]):
        name, args = (_UNIT_FUNCTIONS[name[0].lower()],), [exp.Literal.string(args[0].name), *args[1:]]
    converted = tuple([_argument(a, text) for a in args])
    return u.UnresolvedFunction(name, converted, distinct=distinct, origin=text.origin(node))


# Functions whose first argument of three is a unit, written bare.
_UNIT_FUNCTIONS = {
    **dict.fromkeys(("dateadd", "date_add", "timestampadd"), "timestampadd"),
    **dict.fromkeys(("datediff", "date_diff", "timediff", "timestampdiff"), "timestampdiff"),
}
_UNITS = frozenset({
    "YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "DAYOFYEAR", "HOUR", "MINUTE", "SECOND", "MILLISECOND", "MICROSECOND"
})  # fmt: skip


def _is_unit(node: exp.Expression) -> bool:
    return isinstance(node, (exp.Column, exp.Var, exp.Identifier)) and node.name.upper() in _UNITS


def _argument(node: exp.Expression, text: SqlText) -> Expression:
    if isinstance(node, (exp.Kwarg, exp.PropertyEQ)):
        return u.NamedArgument(node.this.name, _argument(node.expression, text), text.origin(node))
    if isinstance(node, TableArgument):
        return u.UnresolvedSubquery(
            "table_argument",
            text.query(node.this),
            partition_by=convert_all(node.args["partition_by"], text),
            order_by=tuple([windows.order(o, text) for o in node.args["order_by"]]),
            with_single_partition=node.args["single"],
            origin=text.origin(node),
        )
    if isinstance(node, exp.Table):
        return u.UnresolvedSubquery("table_argument", text.query(node), origin=text.origin(node))
    return convert(node, text)


def _filter(node: exp.Filter, text: SqlText) -> Expression:
    if not isinstance(node.expression, exp.Where):
        raise text.error(node.expression)
    return _with_function(node, text, filter=convert(node.expression.this, text))


def _within_group(node: exp.WithinGroup, text: SqlText) -> Expression:
    return _with_function(node, text, order_by=windows.orders(node.expression, text))


def _nulls(ignore: bool) -> Converter:
    def converted(node: Any, text: SqlText) -> Expression:
        return _with_function(node, text, ignore_nulls=ignore)

    return converted


def _with_function(node: Any, text: SqlText, **changes: Any) -> Expression:
    from dataclasses import replace

    function = convert(node.this, text)
    if not isinstance(function, u.UnresolvedFunction):
        raise text.error(node)
    return replace(function, origin=text.origin(node) or function.origin, **changes)


def _lambda(node: exp.Lambda, text: SqlText) -> Expression:
    names = tuple([i.name for i in node.expressions])
    return u.UnresolvedLambda(convert(node.this, text), names, text.origin(node))


def _special(name: str, *parts: str) -> Converter:
    def converted(node: Any, text: SqlText) -> Expression:
        present: list[exp.Expression] = []
        for part in parts:
            value = node.args.get(part)
            present += value if isinstance(value, list) else [value] if value is not None else []
        return call(name, *convert_all(present, text), origin=text.origin(node))

    return converted


def _substring(node: exp.Substring, text: SqlText) -> Expression:
    name = "substr" if node.meta.get("called") == "substr" else "substring"
    return _special(name, "this", "start", "length")(node, text)


def _position(node: exp.StrPosition, text: SqlText) -> Expression:
    """``POSITION(a IN b)`` is locate; the function ``position`` has a name of its own."""
    origin = text.origin(node)
    parts = [node.args[p] for p in ("substr", "this", "position") if node.args.get(p) is not None]
    name = "position" if "position" in node.args else "locate"  # sqlglot leaves it out where IN was written
    return call(name, *convert_all(parts, text), origin=origin)


def _extract(node: exp.Extract, text: SqlText) -> Expression:
    return call("extract", Literal(node.name, t.STRING), convert(node.expression, text), origin=text.origin(node))


def _trim(node: exp.Trim, text: SqlText) -> Expression:
    name = {"LEADING": "ltrim", "TRAILING": "rtrim"}.get(str(node.args.get("position") or "").upper(), "trim")
    characters = [node.expression] if node.args.get("expression") is not None else []
    return call(name, *convert_all([*characters, node.this], text), origin=text.origin(node))


# ---- subqueries -----------------------------------------------------------------------------------
def _exists(node: exp.Exists, text: SqlText) -> Expression:
    return u.UnresolvedSubquery("exists", text.query(node.this), origin=text.origin(node))


def _subquery(node: exp.Subquery, text: SqlText) -> Expression:
    return u.UnresolvedSubquery("scalar", text.query(node.this), origin=text.origin(node))


def _select(node: exp.Expression, text: SqlText) -> Expression:
    return u.UnresolvedSubquery("scalar", text.query(node), origin=text.origin(node))


CONVERTERS: Mapping[type[exp.Expression], Converter] = {
    **{kind: _binary(name) for kind, name in _BINARY.items()},
    **{kind: _unary(name) for kind, name in _UNARY.items()},
    **{kind: _nullary(name) for kind, name in _NULLARY.items()},
    exp.Column: _column,
    exp.Identifier: _identifier,
    exp.Dot: _dot,
    exp.Star: _star,
    exp.Literal: _literal,
    exp.Concat: _adjacent_strings,
    exp.Var: _variable,
    exp.Any: _special("any", "this"),
    exp.Array: _special("array", "expressions"),
    exp.Null: _null,
    exp.Boolean: _boolean,
    exp.RawString: _raw_string,
    exp.HexString: _hex_string,
    exp.Placeholder: _placeholder,
    exp.Parameter: _parameter,
    exp.Paren: _paren,
    exp.Is: predicates.is_test,
    exp.Not: predicates.not_,
    exp.NullSafeNEQ: predicates.null_safe_not_equal,
    exp.Between: predicates.between,
    exp.In: predicates.is_in,
    exp.Like: predicates.like("like"),
    exp.ILike: predicates.like("ilike"),
    exp.Escape: predicates.escape,
    exp.Case: predicates.case,
    exp.If: predicates.if_,
    exp.Cast: _cast(None),
    exp.TryCast: _cast("try"),
    exp.Collate: _collate,
    exp.Bracket: _bracket,
    exp.JSONExtract: _json_extract,
    exp.AtTimeZone: _at_time_zone,
    exp.Tuple: _tuple,
    exp.Alias: _alias,
    exp.Aliases: _aliases,
    exp.Anonymous: _anonymous,
    exp.Filter: _filter,
    exp.WithinGroup: _within_group,
    exp.IgnoreNulls: _nulls(True),
    exp.RespectNulls: _nulls(False),
    exp.Lambda: _lambda,
    exp.Extract: _extract,
    exp.Trim: _trim,
    exp.Substring: _substring,
    exp.StrPosition: _position,
    exp.Overlay: _special("overlay", "this", "expression", "from_", "for_"),
    exp.Window: windows.window,
    exp.Exists: _exists,
    exp.Subquery: _subquery,
    exp.Select: _select,
    exp.SetOperation: _select,
    exp.Union: _select,
    exp.Intersect: _select,
    exp.Except: _select,
    Pipe: _select,
}

__all__ = ["CONVERTERS", "call", "convert", "convert_all", "data_type"]
