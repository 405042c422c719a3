"""What sqlglot's grammar reads and Spark's refuses."""

from __future__ import annotations

from typing import Any

from sqlglot import exp
from sqlglot.parsers.spark import SparkParser
from sqlglot.tokens import Token, TokenType

from voltray.proto.failures import ErrorKind, QueryContext, spark_error

_SET_OPERATORS = (TokenType.UNION, TokenType.EXCEPT, TokenType.INTERSECT)
_RESULT_CLAUSES = ("order", "sort", "cluster", "distribute")
_BEHIND_SET_OPERATORS = (*_RESULT_CLAUSES, "limit", "offset", "windows")
_PLAIN_NAMES = (TokenType.VAR, TokenType.IDENTIFIER)
_TOGETHER = ({"distribute", "sort"},)
_GROUPINGS = ("expressions", "all", "rollup", "cube", "grouping_sets")


class StrictGrammar(SparkParser):
    """Refusals of what Spark has no rule for."""

    def _refuse(self, token: Token | None = None) -> None:
        self.raise_error("Spark has no such syntax", token or self._curr)

    def _parse_projections(self, *args: Any, **options: Any) -> Any:
        found = super()._parse_projections(*args, **options)
        if not found[0] if isinstance(found, tuple) else not found:
            self._refuse()
        return found

    def _parse_parameter(self) -> Any:
        self._refuse(self._prev)  # @name and $name belong to other dialects

    def _parse_group(self, *args: Any, **options: Any) -> Any:
        group = super()._parse_group(*args, **options)
        if group is not None and not any(group.args.get(part) for part in _GROUPINGS):
            self._refuse()
        return group

    def _parse_join(self, *args: Any, **options: Any) -> Any:
        join = super()._parse_join(*args, **options)
        if join is not None and self._prev and self._prev.token_type == TokenType.ON:
            self._refuse()
        return join

    def _parse_window_spec(self) -> Any:
        ranged = bool(self._prev) and self._prev.token_type == TokenType.BETWEEN
        bound = super()._parse_window_spec()
        if bound["value"] is None or (bound["side"] is None and bound["value"] != "CURRENT ROW"):
            self._refuse()
        if ranged and not (self._curr and self._curr.token_type == TokenType.AND):
            self._refuse()
        return bound

    def _parse_lateral(self) -> Any:
        lateral = super()._parse_lateral()
        if lateral is not None and lateral.args.get("view"):
            alias = lateral.args.get("alias")
            if alias is not None and not alias.columns and self._curr and self._curr.token_type in _PLAIN_NAMES:
                alias.set("columns", self._parse_csv(self._parse_id_var))  # AS may be left out
            named = alias is not None and (alias.this is not None or alias.columns)
            if not named or isinstance(lateral.this, exp.Identifier | exp.Column | None):
                self._refuse()
        return lateral

    def _parse_hint_body(self) -> Any:
        hint = super()._parse_hint_body()
        if hint is None or not hint.expressions:
            self._refuse()
        return hint

    def parse_set_operation(self, this: Any, *args: Any, **options: Any) -> Any:
        last = this.expression if isinstance(this, exp.SetOperation) else this
        if isinstance(last, exp.Select) and self._curr and self._curr.token_type in _SET_OPERATORS:
            if any(last.args.get(clause) is not None for clause in _BEHIND_SET_OPERATORS):
                self._refuse()
        start = self._curr
        found = super().parse_set_operation(this, *args, **options)
        if isinstance(found, exp.SetOperation) and found.args.get("by_name"):
            self._refuse(next(t for t in self._tokens if t.start > start.start and t.text.upper() in ("BY", "NAME")))
        return found

    def _parse_offset(self, this: Any = None) -> Any:
        found = super()._parse_offset(this)
        if isinstance(found, exp.Offset) and found is not this and self._curr:
            if self._curr.token_type == TokenType.LIMIT:
                self._refuse()
        return found

    def _parse_query_modifiers(self, this: Any) -> Any:
        start = self._curr
        found = super()._parse_query_modifiers(this)
        if isinstance(found, exp.Expression) and start:
            self._refuse_combination(found, start)
        return found

    def _refuse_combination(self, query: exp.Expression, start: Token) -> None:
        given = {clause for clause in _RESULT_CLAUSES if query.args.get(clause) is not None}
        if len(given) < 2 or given in _TOGETHER:
            return
        first = self._first_of_clauses(start)
        fragment = self.sql[first.start : self._prev.end + 1]
        raise spark_error(
            "UNSUPPORTED_FEATURE.COMBINATION_QUERY_RESULT_CLAUSES", ErrorKind.PARSE,
            contexts=(QueryContext(fragment, first.start, self._prev.end),),
        )  # fmt: skip

    def _first_of_clauses(self, start: Token) -> Token:
        kinds = (TokenType.ORDER_BY, TokenType.SORT_BY, TokenType.CLUSTER_BY, TokenType.DISTRIBUTE_BY)
        behind = [t for t in self._tokens[: self._index] if t.start >= start.start and t.token_type in kinds]
        return behind[0] if behind else start
