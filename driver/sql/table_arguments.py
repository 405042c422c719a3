"""``TABLE(...)`` as an argument of a table function: PARTITION BY, WITH SINGLE PARTITION, ORDER BY."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlglot import exp
from sqlglot.tokens import TokenType

from voltray.driver.sql.nodes import TableArgument
from voltray.proto.failures import ErrorKind, spark_error

_QUERY_STARTS = (TokenType.SELECT, TokenType.WITH, TokenType.VALUES, TokenType.FROM, TokenType.L_PAREN)


def parse_table_argument(parser: Any) -> exp.Expression | None:
    """The table argument that stands at the parser's place, if one does."""
    if not parser._curr or parser._curr.token_type != TokenType.TABLE or parser._next.token_type != TokenType.L_PAREN:
        return None
    parser._advance(2)
    is_query = parser._curr is not None and parser._curr.token_type in _QUERY_STARTS
    query = parser._parse_select() if is_query else parser._parse_table_parts()
    parser._match_r_paren()
    partition: list[exp.Expression] = []
    order: list[exp.Expression] = []
    single = bool(parser._match_text_seq("WITH", "SINGLE", "PARTITION"))
    if not single and _matches(parser, ("PARTITION", "DISTRIBUTE"), TokenType.PARTITION_BY, TokenType.DISTRIBUTE_BY):
        partition = _listed(parser, parser._parse_disjunction, "PARTITION BY")
    if (single or partition) and _matches(parser, ("ORDER", "SORT"), TokenType.ORDER_BY, TokenType.SORT_BY):
        order = _listed(parser, parser._parse_ordered, "ORDER BY")
    return TableArgument(this=query, partition_by=partition, order_by=order, single=single)


def _matches(parser: Any, words: tuple[str, ...], *types: TokenType) -> bool:
    return any(parser._match(t) for t in types) or any(parser._match_text_seq(w, "BY") for w in words)


def _listed(parser: Any, parse: Callable[[], Any], clause: str) -> list[exp.Expression]:
    if parser._match(TokenType.L_PAREN):
        items = parser._parse_csv(parse)
        parser._match_r_paren()
        return list(items)
    item = parse()
    if parser._curr and parser._curr.token_type == TokenType.COMMA and not _is_named(parser):
        raise spark_error("_LEGACY_ERROR_TEMP_0064", ErrorKind.PARSE, msg=(
            f"the {clause} clause included multiple expressions without parentheses surrounding them; "
            "please add parentheses around these expressions and then retry the query again"
        ))  # fmt: skip
    return [item]


def _is_named(parser: Any) -> bool:
    """Whether the next argument is ``name => value``."""
    following = parser._tokens[parser._index + 2 : parser._index + 3]
    return bool(following) and following[0].token_type == TokenType.FARROW
