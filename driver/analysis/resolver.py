"""The state of an analysis: what relations and expressions are resolved against."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from voltray.driver.analysis.environment import Environment
from voltray.driver.analysis.errors import unsupported
from voltray.driver.analysis.names import Name, text_of
from voltray.driver.analysis.origins import with_origin
from voltray.driver.analysis.scope import Resolved, Scope
from voltray.driver.plan.relations import Relation
from voltray.proto.expressions import Alias, Attribute, Expression, LambdaVariable, dtype_of, new_id, nullable_of
from voltray.proto.failures import QueryContext
from voltray.proto.types import DataType

if TYPE_CHECKING:
    from voltray.driver.analysis.lateral_aliases import LateralAliases
    from voltray.driver.plan.expressions import UnresolvedWindow


@dataclass(frozen=True, slots=True, eq=False)
class Typed:
    """A resolved expression with the name Spark generates for it.

    ``field_name`` is the name it has of its own (a column's, an alias's, a nested field's): what a struct's
    field or an output column is called rather than by ``name``.
    """

    expression: Expression
    name: Name
    field_name: str | None = None
    metadata: tuple[tuple[str, object], ...] = ()

    @property
    def dtype(self) -> DataType:
        """The expression's type."""
        return dtype_of(self.expression)

    @property
    def nullable(self) -> bool:
        """The expression's nullability."""
        return nullable_of(self.expression)

    @property
    def text(self) -> str:
        """The generated name."""
        return text_of(self.name)

    def named(self) -> Alias | Attribute:
        """The expression as an output column."""
        if isinstance(self.expression, (Alias, Attribute)) and self.field_name in (None, self.expression.name):
            return self.expression
        name = self.field_name if self.field_name is not None else self.text
        return Alias(self.expression, name, new_id(), self.metadata)


PRECEDENCE_POLICY = "spark.sql.legacy.ctePrecedencePolicy"

RelationHandler = Callable[[Any, "Analysis"], Resolved]
ExpressionHandler = Callable[[Any, "ExpressionResolver"], Typed]


@dataclass(frozen=True, slots=True)
class RecursiveLevel:
    """The columns of a recursion, as its definition sees them."""

    attributes: tuple[Attribute, ...]
    loop_id: str


@dataclass(frozen=True, slots=True, eq=False)
class Definition:
    """A named relation of WITH: what it says, its column names, and what names mean inside it."""

    relation: Relation
    columns: tuple[str, ...]
    analysis: Analysis
    name: str = ""
    is_recursive: bool = False
    level_limit: int | None = None
    level: RecursiveLevel | None = None
    """Where the name stands for the rows of the level before: inside its own recursive definition."""
    origin: QueryContext | None = None
    shared_id: str | None = None
    """Given where the name is used more than once: values that differ each time are computed once."""


@dataclass(frozen=True, slots=True, eq=False)
class Analysis:
    """One analysis of one query, as far as relations see it."""

    environment: Environment
    relation_handlers: Mapping[type, RelationHandler]
    expression_handlers: Mapping[type, ExpressionHandler]
    outer: tuple[ExpressionResolver, ...] = ()
    """Where a correlated subquery stands, the nearest query first."""
    definitions: Mapping[str, Definition] = field(default_factory=dict)
    fixed_names: frozenset[str] = frozenset()
    """Names that a WITH further in does not give another meaning (spark.sql.legacy.ctePrecedencePolicy=LEGACY)."""
    references: Mapping[int, Relation] = field(default_factory=dict)
    """Relations that expressions name by plan id (subqueries of the DataFrame API)."""
    windows: Mapping[str, UnresolvedWindow] = field(default_factory=dict)
    parameters: Mapping[str, Expression] = field(default_factory=dict)
    place: QueryContext | None = None
    """Inside a view: where the query names it, which is the place of all that fails in it."""

    def relation(self, relation: Relation) -> Resolved:
        """Resolve a relation."""
        handler = self.relation_handlers.get(type(relation))
        if handler is None:
            raise unsupported(f"the relation {type(relation).__name__}", relation.origin)
        resolved = handler(relation, self)
        scope = resolved.scope
        scope.plans.raised(relation.plan_id, scope)
        return resolved

    def kept(self, definitions: Mapping[str, Definition]) -> frozenset[str]:
        """With the legacy policy, names that go before those of a WITH in a definition or subquery expression."""
        is_legacy = self.environment.conf(PRECEDENCE_POLICY).upper() == "LEGACY"
        return frozenset(definitions) if is_legacy else frozenset()

    def over(self, scope: Scope, **options: object) -> ExpressionResolver:
        """A resolver of expressions over a relation's columns."""
        return ExpressionResolver(self, scope, **options)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, eq=False)
class ExpressionResolver:
    """One analysis, as far as expressions over one relation see it."""

    analysis: Analysis
    scope: Scope
    lambdas: Mapping[str, LambdaVariable] = field(default_factory=dict)
    lateral: LateralAliases | None = None
    missing: bool = False
    """Whether columns that the relation was selected from may be used too (sort, filter)."""
    replaced: Callable[[Expression, ExpressionResolver], Typed | None] | None = None
    """Tried before anything else: how HAVING and ORDER BY see aggregates and grouping expressions."""

    parameters: bool = False
    """Whether the columns are parameters of a SQL function, which subqueries of subqueries do not see."""
    aggregated: Scope | None = None
    """What is grouped below, where this resolves expressions above an aggregation."""

    windowed: bool = False
    """Whether this is the function of an OVER clause."""

    @property
    def environment(self) -> Environment:
        """The session."""
        return self.analysis.environment

    def resolve(self, expression: Expression) -> Typed:
        """Resolve an expression."""
        if self.replaced is not None:
            typed = self.replaced(expression, self)
            if typed is not None:
                return typed
        handler = self.analysis.expression_handlers.get(type(expression))
        if handler is None:
            raise unsupported(f"the expression {type(expression).__name__}")
        return self._placed(handler(expression, self), expression)

    def _placed(self, typed: Typed, written: Expression) -> Typed:
        """With the place where it was written, for errors when it is evaluated."""
        origin = getattr(written, "origin", None)
        if origin is None:
            return typed
        noted = with_origin(typed.expression, self.analysis.place or origin)
        return typed if noted is typed.expression else replace(typed, expression=noted)

    def with_lambdas(self, variables: Iterable[LambdaVariable], case_sensitive: bool) -> ExpressionResolver:
        """The resolver inside a lambda function."""
        names = {(v.name if case_sensitive else v.name.lower()): v for v in variables}
        return replace(self, lambdas={**self.lambdas, **names})
