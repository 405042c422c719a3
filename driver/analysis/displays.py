"""Generated names of functions that do not show as ``name(a, b)``, where the entry itself does not say."""

from __future__ import annotations

from collections.abc import Callable


def _infix(symbol: str) -> Callable[[tuple[str, ...]], str]:
    return lambda names: f"({names[0]} {symbol} {names[1]})"


def _like(keyword: str) -> Callable[[tuple[str, ...]], str]:
    return lambda names: f"{names[0]} {keyword} {names[1]}" + (f" ESCAPE '{names[2]}'" if len(names) > 2 else "")


def _upper(keyword: str) -> Callable[[tuple[str, ...]], str]:
    return lambda names: f"{keyword}({', '.join(names)})"


DISPLAYS: dict[str, Callable[[tuple[str, ...]], str]] = {
    "+": _infix("+"),
    "-": _infix("-"),
    "*": _infix("*"),
    "/": _infix("/"),
    "%": _infix("%"),
    "div": _infix("div"),
    "&": _infix("&"),
    "|": _infix("|"),
    "^": _infix("^"),
    "~": lambda names: f"~{names[0]}",
    "==": _infix("="),
    "<=>": _infix("<=>"),
    "<": _infix("<"),
    "<=": _infix("<="),
    ">": _infix(">"),
    ">=": _infix(">="),
    "and": _infix("AND"),
    "or": _infix("OR"),
    "not": lambda names: f"(NOT {names[0]})",
    "isnull": lambda names: f"({names[0]} IS NULL)",
    "isnotnull": lambda names: f"({names[0]} IS NOT NULL)",
    "like": _like("LIKE"),
    "in": lambda names: f"({names[0]} IN ({', '.join(names[1:])}))",
    "uuid": lambda names: "uuid()",
    "rlike": _upper("RLIKE"),
    "power": _upper("POWER"),
    "rank": _upper("RANK"),
    "dense_rank": _upper("DENSE_RANK"),
    "percent_rank": _upper("PERCENT_RANK"),
}

WITHOUT_PARENTHESES: frozenset[str] = frozenset()
