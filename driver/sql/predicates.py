"""Tests and choices: IS, NOT, BETWEEN, IN, LIKE, CASE and IF."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import reduce
from typing import Any

from sqlglot import exp

from voltray.driver.plan import expressions as u
from voltray.driver.sql.context import SqlText
from voltray.driver.sql.converting import Converter, call, convert, convert_all
from voltray.proto import types as t
from voltray.proto.expressions import Expression, Literal
from voltray.proto.failures import ErrorKind, QueryContext, SparkError, spark_error

_TEST = re.compile(r"\b(?:not|in|like|ilike|between|is)\b", re.IGNORECASE)


def _place(node: exp.Expression, text: SqlText) -> QueryContext | None:
    """A test's place, which for Spark begins behind what is tested."""
    whole, tested = text.origin(node), text.origin(node.this)
    if whole is None or tested is None:
        return whole
    word = _TEST.search(text.text, tested.stop_index + 1, whole.stop_index + 1)
    if word is None:
        return whole
    start = word.start()
    return replace(whole, start_index=start, fragment=text.text[start : whole.stop_index + 1])


def is_test(node: exp.Is, text: SqlText) -> Expression:
    child, what = convert(node.this, text), node.expression
    if isinstance(what, exp.Null):
        return call("isnull", child, origin=_place(node, text))
    if isinstance(what, exp.Boolean):
        return call("<=>", child, Literal(bool(what.this), t.BOOLEAN), origin=_place(node, text))
    if isinstance(what, exp.Not) and isinstance(what.this, exp.Null):
        return call("isnotnull", child, origin=_place(node, text))
    raise text.error(node)


def not_(node: exp.Not, text: SqlText) -> Expression:
    inner = node.this
    if isinstance(inner, exp.Is) and isinstance(inner.expression, exp.Null):
        return call("isnotnull", convert(inner.this, text), origin=_place(node, text))
    return call("not", convert(inner, text), origin=_place(node, text))


def null_safe_not_equal(node: exp.NullSafeNEQ, text: SqlText) -> Expression:
    return call("not", call("<=>", convert(node.this, text), convert(node.expression, text)))


def between(node: exp.Between, text: SqlText) -> Expression:
    child = convert(node.this, text)
    low, high = convert(node.args["low"], text), convert(node.args["high"], text)
    return call("between", child, low, high, origin=_place(node, text))


def is_in(node: exp.In, text: SqlText) -> Expression:
    child = convert(node.this, text)
    query = node.args.get("query")
    if query is not None:
        values = (
            child.args if isinstance(node.this, exp.Tuple) and isinstance(child, u.UnresolvedFunction) else (child,)
        )
        plan = text.query(query.this if isinstance(query, exp.Subquery) else query)
        return u.UnresolvedSubquery("in", plan, values=values, origin=_place(node, text))
    if not node.expressions:
        raise text.refused_word("(", node)
    return call("in", child, *convert_all(node.expressions, text), origin=_place(node, text))


def like(name: str) -> Converter:
    def converted(node: Any, text: SqlText) -> Expression:
        return _like_with(name, node, None, text)

    return converted


def _like_with(name: str, node: Any, escape: Expression | None, text: SqlText) -> Expression:
    child, pattern = convert(node.this, text), node.expression
    extra = () if escape is None else (escape,)
    negated = bool(node.args.get("negate"))
    if isinstance(pattern, exp.Any | exp.All):
        patterns = pattern.this.expressions if isinstance(pattern.this, exp.Tuple) else [_unwrapped(pattern.this)]
        if not patterns:
            said = "Expected something between '(' and ')'."
            raise spark_error("_LEGACY_ERROR_TEMP_0064", ErrorKind.PARSE, msg=said)
        words = [p.this for p in patterns if isinstance(p, exp.Literal) and p.is_string]
        if len(words) == len(patterns):  # constants make one function, which shows its child alone
            folded = name == "ilike"
            title = ("not" if negated else "") + "like" + ("any" if isinstance(pattern, exp.Any) else "all")
            constants = [convert(p, text) for p in patterns]
            if folded:
                child = call("lower", child)
                constants = [call("lower", c) for c in constants]
            return call(title, child, *constants, origin=_place(node, text))
        # x NOT LIKE ANY (p, q) is true where it is unlike one of them.
        operator = "or" if isinstance(pattern, exp.Any) else "and"
        tests: list[Expression] = [call(name, child, convert(p, text), origin=_place(node, text)) for p in patterns]
        each = [call("not", test) for test in tests] if negated else tests
        return reduce(lambda left, right: call(operator, left, right), each)
    else:
        found = call(name, child, convert(pattern, text), *extra, origin=_place(node, text))
    return call("not", found, origin=_place(node, text)) if negated else found


def _unwrapped(node: exp.Expression) -> exp.Expression:
    return node.this if isinstance(node, exp.Paren) else node


def escape(node: exp.Escape, text: SqlText) -> Expression:
    name = "ilike" if isinstance(node.this, exp.ILike) else "like"
    if len(node.expression.name) != 1:
        raise _invalid_escape(node, text)
    return _like_with(name, node.this, convert(node.expression, text), text)


def _invalid_escape(node: exp.Escape, text: SqlText) -> SparkError:
    test, whole = _place(node.this, text), text.origin(node)
    contexts: tuple[QueryContext, ...] = ()
    if test is not None and whole is not None:
        fragment = text.text[test.start_index : whole.stop_index + 1]
        contexts = (replace(whole, start_index=test.start_index, fragment=fragment),)
    given = f"'{node.expression.name}'"
    return spark_error("INVALID_ESC", ErrorKind.PARSE, contexts=contexts, invalidEscape=given)


def case(node: exp.Case, text: SqlText) -> Expression:
    subject = convert(node.this, text) if node.this is not None else None
    args: list[Expression] = []
    for branch in node.args["ifs"]:
        condition = convert(branch.this, text)
        args.append(condition if subject is None else call("==", subject, condition))
        args.append(convert(branch.args["true"], text))
    if node.args.get("default") is not None:
        args.append(convert(node.args["default"], text))
    return call("when", *args, origin=text.origin(node))


def if_(node: exp.If, text: SqlText) -> Expression:
    parts = [node.this, node.args.get("true"), node.args.get("false")]
    return call("if", *convert_all([p for p in parts if p is not None], text), origin=text.origin(node))
