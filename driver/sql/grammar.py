"""Clauses of queries as Spark's grammar has them: pipe operators, PIVOT, UNPIVOT, TABLESAMPLE."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlglot import exp
from sqlglot.errors import ParseError
from sqlglot.parsers.spark import SparkParser
from sqlglot.tokens import Token, TokenType

from voltray.driver.plan.keywords import RESERVED
from voltray.driver.sql.nodes import Pipe, UnpivotClause, UnpivotSet
from voltray.driver.sql.options import current_options

QUERY_CLAUSES = ("order", "sort", "cluster", "distribute", "limit", "offset")
_SET_OPERATORS = ("UNION", "EXCEPT", "MINUS", "INTERSECT")
_JOIN_WORDS = ("JOIN", "INNER", "CROSS", "LEFT", "RIGHT", "FULL", "NATURAL", "SEMI", "ANTI")
_ORGANIZATION = ("ORDER BY", "SORT BY", "CLUSTER BY", "DISTRIBUTE BY", "LIMIT", "OFFSET", "WINDOW")
_GROUPING_WORDS = ("ROLLUP", "CUBE", "GROUPING SETS")
_FOREIGN_PREDICATES = (TokenType.FOR, TokenType.GLOB, TokenType.OVERLAPS, TokenType.SIMILAR_TO)
_NAME_TOKENS = (TokenType.IDENTIFIER, TokenType.VAR)
_CALLED_WORDS = ("ROLLUP", "CUBE")


class SyntaxProblem(ParseError):
    """A token that the grammar does not take; no token: the text ends too early."""

    def __init__(self, message: str, token: Token | None) -> None:
        super().__init__(message, [{}])  # sqlglot marks the first of the errors that it passes on
        self.token = token


class QueryGrammar(SparkParser):
    """What differs from sqlglot's grammar of queries."""

    # Spark has no comprehensions (FOR belongs to PIVOT) and fewer predicates.
    RANGE_PARSERS = {k: v for k, v in SparkParser.RANGE_PARSERS.items() if k not in _FOREIGN_PREDICATES}  # noqa: RUF012
    SUPPORTS_TABLE_QUERY = True
    SUBQUERY_TOKENS = {*SparkParser.SUBQUERY_TOKENS, TokenType.TABLE, TokenType.FROM}  # noqa: RUF012
    _pipes_allowed = True
    """Whether ``|>`` binds to the query in hand: not to an item of FROM."""

    def raise_error(self, message: str, token: Any = None) -> None:
        """Refuse the token in hand (or another)."""
        found = token or self._curr
        raise SyntaxProblem(message, found if found else None)

    def _parse_string_as_identifier(self) -> Any:
        return None  # a string is never a name

    def _parse_id_var(self, *args: Any, **options: Any) -> Any:
        start, after_as = self._curr, self._prev and self._prev.token_type == TokenType.ALIAS
        found = super()._parse_id_var(*args, **options)
        if found is not None and after_as and start.token_type in (TokenType.STRING, TokenType.NUMBER):
            self.raise_error("a literal is no name", start)
        if found is not None and current_options().reserved_keywords:
            if start.token_type != TokenType.IDENTIFIER and start.text.upper() in RESERVED:
                self.raise_error("a reserved word is no name", start)
        return found

    def _parse_star_op(self, *keywords: str) -> Any:
        """``* EXCEPT (names)``; the other operators on stars are not Spark's."""
        if "EXCEPT" not in keywords or not self._match_texts(("EXCEPT",)):
            return None
        names = self._parse_wrapped(lambda: self._parse_csv(self._parse_column))
        return names or self._missing()

    def _parse_csv(self, parse_method: Any, sep: TokenType = TokenType.COMMA) -> Any:
        first = parse_method()
        if first is None and self._curr and self._curr.token_type == sep:
            self.raise_error("something is missing before a comma")
        items = [first] if first is not None else []
        while self._match(sep):
            item = parse_method()
            if item is None:
                self.raise_error("something is missing behind a comma")
            items.append(item)
        return items

    def _parse_unary(self) -> Any:
        return self._spanned(super()._parse_unary)

    def _parse_range(self, *args: Any, **options: Any) -> Any:
        return self._spanned(lambda: super(QueryGrammar, self)._parse_range(*args, **options), bool(args))

    def _parse_partition_and_order(self) -> Any:
        if self._match(TokenType.CLUSTER_BY):
            return self._parse_csv(self._parse_disjunction), None
        return super()._parse_partition_and_order()

    def _parse_limit(self, this: Any = None, top: bool = False, skip_limit_token: bool = False) -> Any:
        if top or not self._match(TokenType.LIMIT):
            return this
        if self._match(TokenType.ALL):
            return exp.Limit(expression=exp.var("ALL"))
        count = self._parse_disjunction()
        return exp.Limit(expression=count if count is not None else self._missing())

    def _parse_offset(self, this: Any = None) -> Any:
        if not self._match(TokenType.OFFSET):
            return this
        count = self._parse_disjunction()
        return exp.Offset(expression=count if count is not None else self._missing())

    def _parse_function(self, *args: Any, **options: Any) -> Any:
        return self._spanned(lambda: super(QueryGrammar, self)._parse_function(*args, **options))

    def _spanned(self, parse: Callable[[], Any], continued: bool = False) -> Any:
        """What a rule reads, with the place of its first and last token."""
        start = self._curr
        node = parse()
        if isinstance(node, exp.Expression) and start and self._prev.end >= start.start and not continued:
            node.meta["start"], node.meta["end"] = start.start, self._prev.end
        return node

    def _name(self) -> Any:
        """A name: no number and no sign, which sqlglot would take for one."""
        if not self._curr or not (self._curr.text[:1].isalpha() or self._curr.token_type in _NAME_TOKENS):
            self.raise_error("a name is missing")
        return self._parse_id_var()

    def _parse_select_query(self, *args: Any, **options: Any) -> Any:
        self._name_after_select()
        before = self._pipes_allowed
        self._pipes_allowed = not (options.get("table") or (len(args) > 1 and args[1]))
        try:
            return super()._parse_select_query(*args, **options)
        finally:
            self._pipes_allowed = before

    def _name_after_select(self) -> None:
        """``SELECT all, x`` names a column."""
        if not self._at(TokenType.SELECT) or not self._next or self._next.token_type != TokenType.ALL:
            return
        behind = self._tokens[self._index + 2 : self._index + 3]
        if behind and behind[0].token_type in (TokenType.COMMA, TokenType.FROM):
            word = self._next
            name = Token(TokenType.VAR, word.text, word.line, word.col, word.start, word.end)
            self._tokens[self._index + 1] = name
            self._next = name

    def _is_table_query(self) -> bool:
        if super()._is_table_query():
            return True
        return self._at(TokenType.TABLE) and bool(self._next) and self._next.token_type == TokenType.IDENTIFIER

    def _parse_wrapped_select(self, *args: Any, **options: Any) -> Any:
        before = self._pipes_allowed
        self._pipes_allowed = True
        try:
            return super()._parse_wrapped_select(*args, **options)
        finally:
            self._pipes_allowed = before

    def _parse_set_operations(self, this: Any) -> Any:
        this = super()._parse_set_operations(this)
        while isinstance(this, (exp.Query, exp.Values)) and self._pipes_allowed and self._at(TokenType.PIPE_GT):
            this = super()._parse_set_operations(self._parse_pipe_syntax_query(this))
        if isinstance(this, Pipe) and self._curr and self._curr.text.upper() in _ORGANIZATION:
            this = self._parse_query_modifiers(this)
        return this

    def _parse_pipe_syntax_query(self, query: Any) -> Any:
        while self._at(TokenType.PIPE_GT):
            if any(query.args.get(clause) is not None for clause in QUERY_CLAUSES):
                self.raise_error("a query with clauses behind it takes no |>", self._curr)
            self._advance()
            if self._curr and self._curr.token_type not in (TokenType.R_PAREN, TokenType.PIPE_GT):
                query = self._pipe(query)
        return query

    # ---- pipe operators -------------------------------------------------------------------------------
    def _pipe(self, query: Any) -> Any:
        start, word = self._curr, self._curr.text.upper()
        if self._curr.token_type == TokenType.STRING or self._curr.token_type == TokenType.IDENTIFIER:
            self.raise_error("extra input", start)
        if word in _SET_OPERATORS:
            made = self.parse_set_operation(query)
            if made is None or made.args.get("by_name"):
                self.raise_error("BY NAME is no pipe operator", start)
            return made
        kind = "JOIN" if word in _JOIN_WORDS else "ORGANIZE" if word in _ORGANIZATION else word
        parse = _PIPES.get(kind)
        if parse is None:
            self.raise_error("not a pipe operator", start)
            return query
        pipe = Pipe(this=query, kind=kind, **parse(self))
        self._place(pipe, start)
        pipe.meta["statement"] = (self._tokens[0].start, self._prev.end)
        return pipe

    def _place(self, node: exp.Expression, start: Token) -> None:
        node.meta["place"] = (start.start, self._prev.end)

    def _at(self, kind: TokenType) -> bool:
        return bool(self._curr) and self._curr.token_type == kind

    def _expressions_needed(self) -> list[Any]:
        if not self._curr:
            self.raise_error("expressions are missing")
        found: list[Any] = self._parse_csv(self._parse_expression) or self._missing()
        return found

    def _missing(self) -> Any:
        self.raise_error("something is missing", self._curr)
        return []

    def _pipe_select(self) -> dict[str, Any]:
        self._advance()
        hint = self._parse_hint()
        if self._match(TokenType.ALL):
            distinct = None
        else:
            distinct = exp.Distinct() if self._match(TokenType.DISTINCT) else None
        select = exp.Select(hint=hint, distinct=distinct, expressions=self._expressions_needed())
        return {"operand": select, "windows": self._pipe_windows()}

    def _pipe_windows(self) -> list[Any]:
        if not self._at(TokenType.WINDOW):
            return []
        read: Callable[[Any], Any] = self.QUERY_MODIFIER_PARSERS[TokenType.WINDOW]
        found = read(self)[1]
        return list(found or [])

    def _pipe_extend(self) -> dict[str, Any]:
        self._advance()
        items = self._expressions_needed()
        return {"expressions": items, "windows": self._pipe_windows()}

    def _pipe_set(self) -> dict[str, Any]:
        self._advance()
        items = self._parse_csv(self._assignment)
        return {"expressions": items, "windows": self._pipe_windows()}

    def _assignment(self) -> exp.Expression:
        start = self._curr
        if not start:
            self.raise_error("an assignment is missing")
        target = self._parse_column()
        if not isinstance(target, exp.Column) or not self._match(TokenType.EQ):
            self.raise_error("Expected =", self._curr)
        made = exp.EQ(this=target, expression=self._parse_disjunction())
        if made.expression is None:
            self._missing()
        self._place(made, start)
        return made

    def _pipe_drop(self) -> dict[str, Any]:
        self._advance()
        return {"expressions": self._parse_csv(self._name)}

    def _pipe_as(self) -> dict[str, Any]:
        self._advance()
        return {"operand": self._name()}

    def _pipe_where(self) -> dict[str, Any]:
        self._advance()
        condition = self._parse_disjunction()
        return {"operand": condition if condition is not None else self._missing()}

    def _pipe_pivot(self) -> dict[str, Any]:
        return {"clauses": list(iter(self._parse_pivot_clause, None))}

    def _pipe_sample(self) -> dict[str, Any]:
        return {"operand": self._parse_table_sample()}

    def _pipe_join(self) -> dict[str, Any]:
        join = self._parse_join()
        return {"operand": join if join is not None else self._missing()}

    def _pipe_organize(self) -> dict[str, Any]:
        holder = exp.Select()
        self._parse_query_modifiers(holder)
        return {"operand": holder}

    def _pipe_aggregate(self) -> dict[str, Any]:
        self._advance()
        items: list[Any] = []
        ends = (TokenType.GROUP_BY, TokenType.PIPE_GT, TokenType.R_PAREN)
        if self._curr and self._curr.token_type not in ends:
            items = self._expressions_needed()
        group_kind: str | None = None
        groups: list[Any] = []
        if self._match(TokenType.GROUP_BY):
            group_kind, groups = self._pipe_groups()
        return {"expressions": items, "groups": groups, "group_kind": group_kind, "windows": self._pipe_windows()}

    def _pipe_groups(self) -> tuple[str | None, list[Any]]:
        kind: str | None = None
        groups: list[Any] = []
        while True:
            word = self._curr.text.upper() if self._curr else ""
            called = self._next and self._next.token_type == TokenType.L_PAREN
            if word == "GROUPING SETS" or (word in _CALLED_WORDS and called):
                kind = word if word == "GROUPING SETS" else f"GROUP BY {word}"
                self._advance()
                self._parse_wrapped(lambda: self._parse_csv(self._parse_bitwise))
            elif word == "ALL" and not groups:
                self._advance()
                kind = "GROUP BY ALL"
            else:
                found = self._parse_expression()
                groups.append(found if found is not None else self._missing())
            if not self._match(TokenType.COMMA):
                break
        if self._match_text_seq("WITH"):
            kind = f"GROUP BY {self._curr.text.upper() if self._curr else ''}"
            self._advance()
        return kind, groups

    # ---- PIVOT and UNPIVOT ------------------------------------------------------------------------------
    def _parse_pivots(self) -> Any:
        return list(iter(self._parse_pivot_clause, None)) or None

    def _parse_pivot(self) -> Any:
        return self._parse_pivot_clause()

    def _parse_pivot_clause(self, with_alias: bool = True) -> Any:
        start = self._curr
        if not start or not self._next:
            return None
        if start.token_type == TokenType.PIVOT and self._next.token_type == TokenType.L_PAREN:
            self._advance()
            clause = self._parse_wrapped(self._pivot)
        elif start.token_type == TokenType.UNPIVOT:
            index = self._index
            self._advance()
            include = None
            if self._match_text_seq("INCLUDE", "NULLS"):
                include = True
            elif self._match_text_seq("EXCLUDE", "NULLS"):
                include = False
            if not self._at(TokenType.L_PAREN):
                self._retreat(index)
                return None
            clause = self._parse_wrapped(self._unpivot)
            clause.set("include_nulls", include)
        else:
            return None
        if not self._at_any(TokenType.PIVOT, TokenType.UNPIVOT):
            clause.set("alias", self._parse_table_alias())
        self._place(clause, start)
        return clause

    def _at_any(self, *kinds: TokenType) -> bool:
        return bool(self._curr) and self._curr.token_type in kinds

    def _pivot(self) -> exp.Expression:
        items = self._expressions_needed()
        if not self._match(TokenType.FOR):
            self.raise_error("Expecting FOR", self._curr)
        field = self._parse_pivot_in()
        return exp.Pivot(expressions=items, fields=[field])

    def _unpivot(self) -> exp.Expression:
        several = self._match(TokenType.L_PAREN)
        values = self._parse_csv(self._name) if several else [self._name()]
        if several:
            self._match_r_paren()
        if not self._match(TokenType.FOR):
            self.raise_error("Expecting FOR", self._curr)
        name = self._name()
        if not self._match(TokenType.IN):
            self.raise_error("Expecting IN", self._curr)
        sets = self._parse_wrapped(lambda: self._parse_csv(lambda: self._unpivot_set(bool(several))))
        return UnpivotClause(values=values, this=name, expressions=sets)

    def _unpivot_set(self, several: bool) -> exp.Expression:
        if several != self._at(TokenType.L_PAREN):
            self.raise_error("a set of columns", self._curr)
        if several:
            columns = self._parse_wrapped(lambda: self._parse_csv(self._parse_column))
        else:
            columns = [self._parse_column()]
        alias = None
        if self._match(TokenType.ALIAS) or not self._at_any(TokenType.COMMA, TokenType.R_PAREN):
            alias = self._name()
        return UnpivotSet(expressions=columns, alias=alias)

    # ---- TABLESAMPLE --------------------------------------------------------------------------------------
    def _parse_table_sample(self, as_modifier: bool = False) -> Any:
        start = self._curr
        if not self._match(TokenType.TABLE_SAMPLE):
            return None
        self._match_text_seq("SYSTEM") or self._match_text_seq("BERNOULLI")
        sample = self._parse_wrapped(self._sample_method)
        if self._match_texts(("REPEATABLE",)):
            sample.set("seed", self._parse_wrapped(self._parse_number))
        self._place(sample, start)
        return sample

    def _sample_method(self) -> exp.TableSample:
        if self._at(TokenType.R_PAREN):
            return exp.TableSample()
        if self._match_text_seq("BUCKET"):
            numerator = self._parse_number()
            if not self._match_text_seq("OUT", "OF"):
                self.raise_error("Expected OUT OF", self._curr)
            sample = exp.TableSample(bucket_numerator=numerator, bucket_denominator=self._parse_number())
            if self._match(TokenType.ON):
                sample.set("bucket_field", self._parse_column())
            return sample
        # A sign and a number before PERCENT are no product: % must not be read as an operator.
        index = self._index
        minus = self._match(TokenType.DASH)
        number = self._parse_number() if self._at(TokenType.NUMBER) else None
        if number is not None and self._match_texts(("PERCENT",)):
            return exp.TableSample(percent=exp.Literal(this=("-" if minus else "") + number.name, is_string=False))
        self._retreat(index)
        value = self._parse_bitwise()
        if value is None:
            self.raise_error("a size is missing", self._curr)
        return exp.TableSample(size=value) if self._match(TokenType.ROWS) else exp.TableSample(method=value)


_PIPES: dict[str, Callable[[Any], dict[str, Any]]] = {
    "SELECT": QueryGrammar._pipe_select,
    "EXTEND": QueryGrammar._pipe_extend,
    "SET": QueryGrammar._pipe_set,
    "DROP": QueryGrammar._pipe_drop,
    "AS": QueryGrammar._pipe_as,
    "WHERE": QueryGrammar._pipe_where,
    "PIVOT": QueryGrammar._pipe_pivot,
    "UNPIVOT": QueryGrammar._pipe_pivot,
    "TABLESAMPLE": QueryGrammar._pipe_sample,
    "JOIN": QueryGrammar._pipe_join,
    "ORGANIZE": QueryGrammar._pipe_organize,
    "AGGREGATE": QueryGrammar._pipe_aggregate,
}
