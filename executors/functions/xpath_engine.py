"""XPath 1.0: expressions read once, then evaluated on documents."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from voltray.executors.functions.java_numbers import java_double
from voltray.executors.functions.xpath_tree import XmlNode

Nodes = list[XmlNode]


@dataclass(frozen=True, slots=True)
class Focus:
    """The context of an evaluation: the node, its position and how many there are."""

    node: XmlNode
    position: int = 1
    size: int = 1


Evaluator = Callable[[Focus], Any]

_TOKEN = re.compile(
    r"""\s*(?:(?P<number>\d+(?:\.\d*)?|\.\d+)|(?P<string>"[^"]*"|'[^']*')|
    (?P<symbol>//|::|\.\.|!=|<=|>=|[()\[\].@,/|+\-=<>*$])|(?P<name>[A-Za-z_][\w.\-]*(?::[A-Za-z_*][\w.\-]*)?))""",
    re.VERBOSE,
)
_OPERATORS = ("or", "and", "div", "mod")
_NODE_TESTS = {"text": "text", "node": "node", "comment": "comment"}


class XPathError(ValueError):
    """A text that is no XPath expression."""


def _tokens(text: str) -> list[tuple[str, str]]:
    found, at = [], 0
    text = text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or match.end() == at:
            raise XPathError(text)
        at = match.end()
        found.append((str(match.lastgroup), match[str(match.lastgroup)]))
    return found


@lru_cache(maxsize=256)
def compiled(text: str) -> Evaluator:
    """The evaluator of an expression."""
    reader = _Reader(_tokens(text))
    evaluator = reader.level(0)
    if reader.at != len(reader.tokens):
        raise XPathError(text)
    return evaluator


# ---- values ----------------------------------------------------------------------------------------
def to_text(value: Any) -> str:
    """XPath's string()."""
    if isinstance(value, list):
        return value[0].text() if value else ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if math.isfinite(value) and value == int(value) else java_double(value)
    return str(value)


def to_number(value: Any) -> float:
    """XPath's number()."""
    if isinstance(value, bool | float):
        return float(value)
    text = to_text(value).strip()
    return float(text) if re.fullmatch(r"-?(?:\d+(?:\.\d*)?|\.\d+)", text) else math.nan


def to_boolean(value: Any) -> bool:
    """XPath's boolean()."""
    if isinstance(value, float):
        return value != 0 and not math.isnan(value)
    return bool(value)


def _compared(symbol: str, left: Any, right: Any) -> bool:
    if isinstance(left, list) or isinstance(right, list):
        lefts = [n.text() for n in left] if isinstance(left, list) else [left]
        rights = [n.text() for n in right] if isinstance(right, list) else [right]
        if isinstance(left, bool) or isinstance(right, bool):
            lefts, rights = [to_boolean(left)], [to_boolean(right)]
        return any(_compared(symbol, a, b) for a in lefts for b in rights)
    if symbol in ("=", "!="):
        for kind, convert in ((bool, to_boolean), (float, to_number)):
            if isinstance(left, kind) or isinstance(right, kind):
                return bool((convert(left) == convert(right)) == (symbol == "="))
        return bool((left == right) == (symbol == "="))
    a, b = to_number(left), to_number(right)
    return {"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[symbol]


def _divide(a: float, b: float) -> float:
    if b == 0:
        return math.nan if a == 0 or math.isnan(a) else math.copysign(math.inf, a) * math.copysign(1, b)
    return a / b


_ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b, "div": _divide,
    "mod": lambda a, b: math.fmod(a, b) if b and not math.isinf(a) else math.nan,
}  # fmt: skip


# ---- axes ------------------------------------------------------------------------------------------
def _ancestors(node: XmlNode) -> Nodes:
    found = []
    while node.parent is not None:
        node = node.parent
        found.append(node)
    return found


def _siblings(node: XmlNode) -> Nodes:
    return node.parent.children if node.parent is not None and node.kind != "attribute" else []


_AXES: dict[str, Callable[[XmlNode], Nodes]] = {
    "child": lambda n: n.children,
    "descendant": lambda n: list(n.descendants()),
    "descendant-or-self": lambda n: [n, *n.descendants()],
    "self": lambda n: [n],
    "parent": lambda n: [n.parent] if n.parent is not None else [],
    "ancestor": _ancestors,
    "ancestor-or-self": lambda n: [n, *_ancestors(n)],
    "attribute": lambda n: n.attributes,
    "following-sibling": lambda n: [s for s in _siblings(n) if s.order > n.order],
    "preceding-sibling": lambda n: [s for s in reversed(_siblings(n)) if s.order < n.order],
    "following": lambda n: [s for s in _root(n).descendants() if s.order > n.order and n not in _ancestors(s)],
    "preceding": lambda n: [s for s in _root(n).descendants() if s.order < n.order and s not in _ancestors(n)][::-1],
}


def _root(node: XmlNode) -> XmlNode:
    return _ancestors(node)[-1] if node.parent is not None else node


@dataclass(frozen=True, slots=True)
class _Step:
    axis: str
    test: str
    predicates: tuple[Evaluator, ...]

    def __call__(self, nodes: Nodes) -> Nodes:
        found: dict[int, XmlNode] = {}
        for node in nodes:
            for hit in _filtered([c for c in _AXES[self.axis](node) if self._passes(c)], self.predicates):
                found[id(hit)] = hit
        return sorted(found.values(), key=lambda n: n.order)

    def _passes(self, node: XmlNode) -> bool:
        if self.test == "node()":
            return True
        if self.test == "text()":
            return node.kind == "text"
        principal = "attribute" if self.axis == "attribute" else "element"
        return node.kind == principal and (self.test == "*" or node.name == self.test)


def _filtered(nodes: Nodes, predicates: tuple[Evaluator, ...]) -> Nodes:
    for predicate in predicates:
        kept = []
        for position, node in enumerate(nodes, 1):
            value = predicate(Focus(node, position, len(nodes)))
            if value == position if isinstance(value, float) and not isinstance(value, bool) else to_boolean(value):
                kept.append(node)
        nodes = kept
    return nodes


# ---- reading ---------------------------------------------------------------------------------------
_LEVELS: tuple[tuple[str, ...], ...] = (
    ("or",), ("and",), ("=", "!="), ("<", "<=", ">", ">="), ("+", "-"), ("*", "div", "mod"),
)  # fmt: skip


class _Reader:
    """Reads an expression by recursive descent."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self.tokens = tokens
        self.at = 0

    def _peek(self, ahead: int = 0) -> str:
        return self.tokens[self.at + ahead][1] if self.at + ahead < len(self.tokens) else ""

    def _kind(self) -> str:
        return self.tokens[self.at][0] if self.at < len(self.tokens) else ""

    def _next(self) -> str:
        if self.at >= len(self.tokens):
            raise XPathError("unexpected end")
        self.at += 1
        return self.tokens[self.at - 1][1]

    def _expect(self, symbol: str) -> None:
        if self._next() != symbol:
            raise XPathError(f"{symbol} expected")

    def level(self, depth: int) -> Evaluator:
        """An operand of the operators at a depth of precedence, and what they join to it."""
        if depth == len(_LEVELS):
            return self._unary()
        left = self.level(depth + 1)
        while self._peek() in _LEVELS[depth] and self._kind() != "string":
            symbol = self._next()
            left = _binary(symbol, left, self.level(depth + 1))
        return left

    def _unary(self) -> Evaluator:
        if self._peek() == "-" and self._kind() == "symbol":
            self._next()
            inner = self._unary()
            return lambda focus: -to_number(inner(focus))
        parts = [self._path()]
        while self._peek() == "|":
            self._next()
            parts.append(self._path())
        if len(parts) == 1:
            return parts[0]
        return lambda focus: sorted({id(n): n for p in parts for n in p(focus)}.values(), key=lambda n: n.order)

    def _path(self) -> Evaluator:
        primary = self._primary()
        if primary is None:
            return self._location()
        predicates = self._predicates()
        if predicates:
            base = primary
            primary = lambda focus: _filtered(base(focus), predicates)  # noqa: E731
        if self._peek() not in ("/", "//"):
            return primary
        start, steps = primary, self._steps(())
        return lambda focus: _walk(start(focus), steps)

    def _primary(self) -> Evaluator | None:
        kind, text = self._kind(), self._peek()
        if kind == "number":
            number = float(self._next())
            return lambda focus: number
        if kind == "string":
            literal = self._next()[1:-1]
            return lambda focus: literal
        if text == "(":
            self._next()
            inner = self.level(0)
            self._expect(")")
            return inner
        if kind == "name" and self._peek(1) == "(" and text not in _NODE_TESTS:
            return self._call()
        return None

    def _call(self) -> Evaluator:
        name = self._next()
        self._expect("(")
        args: list[Evaluator] = []
        while self._peek() != ")":
            args.append(self.level(0))
            if self._peek() == ",":
                self._next()
            elif self._peek() != ")":
                raise XPathError(name)
        self._next()
        function = _FUNCTIONS.get(name)
        if function is None:
            raise XPathError(name)
        return lambda focus: function(focus, *[a(focus) for a in args])

    def _location(self) -> Evaluator:
        if self._peek() == "/":
            if self.at + 1 >= len(self.tokens) or self._peek(1) in ("]", ")", ","):
                self._next()
                return lambda focus: [_root(focus.node)]
            steps = self._steps(())
            return lambda focus: _walk([_root(focus.node)], steps)
        if self._peek() == "//":
            steps = self._steps(())
            return lambda focus: _walk([_root(focus.node)], steps)
        steps = self._steps((self._step(),))
        return lambda focus: _walk([focus.node], steps)

    def _steps(self, first: tuple[_Step, ...]) -> tuple[_Step, ...]:
        steps = list(first)
        while self._peek() in ("/", "//"):
            if self._next() == "//":
                steps.append(_Step("descendant-or-self", "node()", ()))
            steps.append(self._step())
        return tuple(steps)

    def _step(self) -> _Step:
        text = self._peek()
        if text in (".", ".."):
            self._next()
            return _Step("self" if text == "." else "parent", "node()", self._predicates())
        axis = "child"
        if text == "@":
            self._next()
            axis = "attribute"
        elif self._peek(1) == "::":
            axis = self._next()
            self._next()
            if axis not in _AXES:
                raise XPathError(axis)
        test = self._next()
        if test in _NODE_TESTS and self._peek() == "(":
            self._next()
            self._expect(")")
            test = f"{test}()"
        elif test != "*" and not re.match(r"[A-Za-z_]", test):
            raise XPathError(test)
        return _Step(axis, test, self._predicates())

    def _predicates(self) -> tuple[Evaluator, ...]:
        found = []
        while self._peek() == "[":
            self._next()
            found.append(self.level(0))
            self._expect("]")
        return tuple(found)


def _walk(nodes: Nodes, steps: tuple[_Step, ...]) -> Nodes:
    for step in steps:
        nodes = step(nodes)
    return nodes


def _binary(symbol: str, left: Evaluator, right: Evaluator) -> Evaluator:
    if symbol == "or":
        return lambda focus: to_boolean(left(focus)) or to_boolean(right(focus))
    if symbol == "and":
        return lambda focus: to_boolean(left(focus)) and to_boolean(right(focus))
    if symbol in _ARITHMETIC:
        operate = _ARITHMETIC[symbol]
        return lambda focus: operate(to_number(left(focus)), to_number(right(focus)))
    return lambda focus: _compared(symbol, left(focus), right(focus))


# ---- functions -------------------------------------------------------------------------------------
def _substring(focus: Focus, value: Any, start: Any, length: Any = math.inf) -> str:
    first = math.floor(to_number(start) + 0.5)
    last = first + (math.floor(to_number(length) + 0.5) if to_number(length) != math.inf else math.inf)
    return "".join([c for i, c in enumerate(to_text(value), 1) if first <= i < last])


def _translate(focus: Focus, value: Any, source: Any, target: Any) -> str:
    old, new = to_text(source), to_text(target)
    table: dict[int, str | None] = {}
    for i, c in enumerate(old):
        table.setdefault(ord(c), new[i] if i < len(new) else None)
    return to_text(value).translate(table)


def _own(focus: Focus, value: Any = None) -> Any:
    return [focus.node] if value is None else value


def _name(focus: Focus, value: Any = None) -> str:
    nodes = _own(focus, value)
    return nodes[0].name if nodes else ""


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "last": lambda focus: float(focus.size),
    "position": lambda focus: float(focus.position),
    "count": lambda focus, nodes: float(len(nodes)),
    "name": _name,
    "local-name": lambda focus, value=None: _name(focus, value).rpartition(":")[2],
    "string": lambda focus, value=None: to_text(_own(focus, value)),
    "concat": lambda focus, *values: "".join([to_text(v) for v in values]),
    "starts-with": lambda focus, value, start: to_text(value).startswith(to_text(start)),
    "contains": lambda focus, value, piece: to_text(piece) in to_text(value),
    "substring-before": lambda focus, value, mark: to_text(value).partition(to_text(mark))[0]
    if to_text(mark) in to_text(value) else "",
    "substring-after": lambda focus, value, mark: to_text(value).partition(to_text(mark))[2],
    "substring": _substring,
    "string-length": lambda focus, value=None: float(len(to_text(_own(focus, value)))),
    "normalize-space": lambda focus, value=None: " ".join(to_text(_own(focus, value)).split()),
    "translate": _translate,
    "boolean": lambda focus, value: to_boolean(value),
    "not": lambda focus, value: not to_boolean(value),
    "true": lambda focus: True,
    "false": lambda focus: False,
    "number": lambda focus, value=None: to_number(_own(focus, value)),
    "sum": lambda focus, nodes: float(sum(to_number(n.text()) for n in nodes)),
    "floor": lambda focus, value: float(math.floor(to_number(value))),
    "ceiling": lambda focus, value: float(math.ceil(to_number(value))),
    "round": lambda focus, value: float(math.floor(to_number(value) + 0.5)),
}  # fmt: skip
