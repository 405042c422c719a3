"""Function calls: found in the registry, their arguments bound, coerced and checked, their result typed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from voltray.driver.analysis.casts import cast_to, eval_mode
from voltray.driver.analysis.char_padding import with_char_padding
from voltray.driver.analysis.collations import check_collations, collated_result, under_one_collation
from voltray.driver.analysis.displays import DISPLAYS, WITHOUT_PARENTHESES
from voltray.driver.analysis.errors import analysis_error, mismatch, ordinal, shown_type
from voltray.driver.analysis.function_syntax import check_distinct_order, check_filter, check_syntax
from voltray.driver.analysis.lambdas import OPTIONAL_INDEX, constant_lambda, resolve_lambda
from voltray.driver.analysis.names import Displayed, Name, called, listed, rope, text_of
from voltray.driver.analysis.operators import RULES, SYMBOLS
from voltray.driver.analysis.resolver import Typed
from voltray.driver.plan.expressions import UnresolvedFunction, UnresolvedLambda, UnresolvedSortOrder
from voltray.driver.plan.identifiers import quoted
from voltray.driver.plan.routines import SqlFunction
from voltray.executors.functions.registry import Accept, Function, FunctionKind, Parameter
from voltray.proto.coercion import exact_decimal_result, implicit_cast, wider_types, wider_types_without_strings
from voltray.proto.expressions import (
    AggregateCall,
    Attribute,
    Call,
    Cast,
    EvalMode,
    Expression,
    Literal,
    PythonCall,
    SortOrder,
    children_of,
    dtype_of,
    nullable_of,
    walk,
)  # fmt: skip
from voltray.proto.failures import QueryContext, SparkError
from voltray.proto.types import (
    INTEGER,
    BooleanType,
    DataType,
    DecimalType,
    IntegralType,
    NullType,
    StringType,
    same_type,
    type_name,
)  # fmt: skip

if TYPE_CHECKING:
    from voltray.driver.analysis.environment import Environment
    from voltray.driver.analysis.resolver import ExpressionResolver


PRECISION_LOSS = "spark.sql.decimalOperations.allowPrecisionLoss"


def find_function(name: str) -> Function | None:
    """The registry's entry of a built-in function."""
    from voltray.executors.functions.catalogue import lookup

    return lookup(name)


@dataclass(frozen=True, slots=True, eq=False)
class FunctionResolution:
    """A call under resolution, as an entry's ``resolve`` hook sees it.

    ``arguments`` are resolved (lambdas are not: see ``resolver``). The hook returns the resolved expression;
    :meth:`finish` makes the ordinary one.
    """

    function: Function
    called_as: str
    arguments: tuple[Typed, ...]
    resolver: ExpressionResolver
    name_text: Name
    origin: QueryContext | None = None
    distinct: bool = False
    filter: Expression | None = None
    order_by: tuple[SortOrder, ...] = ()
    ignore_nulls: bool | None = None

    @property
    def name(self) -> str:
        """The canonical name."""
        return self.function.names[0]

    @property
    def args(self) -> tuple[Expression, ...]:
        """The arguments' resolved expressions."""
        return tuple([a.expression for a in self.arguments])

    @property
    def names(self) -> tuple[str, ...]:
        """The arguments' generated names."""
        return tuple([a.text for a in self.arguments])

    @property
    def field_names(self) -> tuple[str | None, ...]:
        """Names that arguments have of their own (columns, aliases, nested fields)."""
        return tuple([a.field_name for a in self.arguments])

    @property
    def settings(self) -> Environment:
        """The session."""
        return self.resolver.environment

    @property
    def ansi(self) -> bool:
        """spark.sql.ansi.enabled."""
        return self.resolver.environment.ansi

    @property
    def sql(self) -> str:
        """The call's generated name, for error messages."""
        return text_of(self.name_text)

    def cast(self, expression: Expression, dtype: DataType) -> Expression:
        """An unasked cast, whatever the types."""
        return cast_to(expression, dtype, self.ansi)

    def coerce(self, position: int, dtype: DataType, shown: str = "") -> Expression:
        """An argument as a type, by Spark's implicit casts, or UNEXPECTED_INPUT_TYPE."""
        argument = self.arguments[position]
        target = implicit_cast(argument.dtype, dtype, self.ansi)
        if target is None:
            raise self.unexpected(position, shown or type_name(dtype))
        return self.cast(argument.expression, target)

    def common_type(self, expressions: Sequence[Expression]) -> DataType | None:
        """The type to which expressions widen."""
        return wider_types([dtype_of(e) for e in expressions], self.ansi)

    def unexpected(self, position: int, required: str) -> SparkError:
        """UNEXPECTED_INPUT_TYPE of an argument."""
        argument = self.arguments[position]
        return mismatch(
            "UNEXPECTED_INPUT_TYPE",
            self.sql,
            self.origin,
            paramIndex=ordinal(position),
            requiredType=required,
            inputSql=f'"{argument.text}"',
            inputType=shown_type(argument.dtype),
        )

    def error(self, condition: str, **parameters: object) -> SparkError:
        """An analysis error at this call."""
        return analysis_error(condition, self.origin, **parameters)

    def mismatch(self, kind: str, **parameters: object) -> SparkError:
        """DATATYPE_MISMATCH.kind of this call."""
        return mismatch(kind, self.sql, self.origin, **parameters)

    def function_of(self, name: str, *args: Expression) -> Expression:
        """Another function of the registry on resolved arguments."""
        typed = tuple([Typed(a, "") for a in args])
        return apply_function(name, typed, self.resolver, self.origin).expression

    def call(
        self,
        args: tuple[Expression, ...] | None = None,
        dtype: DataType | None = None,
        nullable: bool | None = None,
        options: tuple[tuple[str, Any], ...] = (),
        name: str | None = None,
    ) -> Expression:
        """The call with these arguments; type and nullability by the entry's rules where not given."""
        entry, used = self.function, self.args if args is None else args
        result = collated_result(self.name, used, dtype if dtype is not None else _result(entry, used))
        null = nullable if nullable is not None else entry.nullable(used)
        mode = eval_mode(self.ansi)
        title = name or self.name
        if entry.options is not None and not options:
            options = entry.options(used, self.settings)
        if self.ignore_nulls is not None and entry.kind is not FunctionKind.SCALAR:
            options = (*options, ("ignore_nulls", self.ignore_nulls))
        if entry.kind is FunctionKind.AGGREGATE:
            if any(isinstance(p, PythonCall) and not p.deterministic for a in used for p in walk(a)):
                shown = f'"{title}({", ".join([a.text for a in self.arguments])})"'
                raise analysis_error("AGGREGATE_FUNCTION_WITH_NONDETERMINISTIC_EXPRESSION", sqlExpr=shown)
            return AggregateCall(title, used, result, null, self.distinct, self.filter, self.order_by, mode, options)
        return Call(title, used, result, null, mode, options)

    def finish(self) -> Expression:
        """The call by its signature alone."""
        return self.call(_coerced(self))


def _result(entry: Function, args: tuple[Expression, ...]) -> DataType:
    return entry.result if isinstance(entry.result, DataType) else entry.result(args)


# ---- binding ---------------------------------------------------------------------------------------
def _bounds(entry: Function) -> tuple[int, int | None]:
    signature = entry.signature
    required = [p for p in signature.parameters if not p.optional and p.default is None]
    least = signature.minimum if signature.minimum is not None else len(required)
    return least, None if signature.repeated else len(signature.parameters)


def check_count(entry: Function, called_as: str, count: int, origin: QueryContext | None) -> None:
    """WRONG_NUM_ARGS unless the function takes so many arguments."""
    least, most = _bounds(entry)
    if entry.resolve is not None and not entry.signature.parameters:
        return
    if count >= least and (most is None or count <= most):
        return
    if most is None:
        expected = f"> {least - 1}"
    elif least == most:
        expected = str(least)
    else:
        numbers = [str(n) for n in range(least, most + 1)]
        expected = "[" + ", ".join(numbers) + "]"
    raise analysis_error(
        "WRONG_NUM_ARGS.WITHOUT_SUGGESTION",
        origin,
        functionName=f"`{called_as}`",
        expectedNum=expected,
        actualNum=count,
        docroot="https://spark.apache.org/docs/latest",
    )


def parameter_at(entry: Function, position: int, count: int) -> Parameter | None:
    """The parameter that an argument stands for."""
    parameters = entry.signature.parameters
    if position < len(parameters):
        if entry.names[0] == "when" and position == count - 1 and count % 2 and count > 2:
            return parameters[1]
        return parameters[position]
    repeated = entry.signature.repeated
    if not repeated:
        return None
    if entry.names[0] == "when" and position == count - 1 and count % 2:
        return parameters[1]
    start = len(parameters) - repeated
    return parameters[start + (position - start) % repeated]


def _coerced(resolution: FunctionResolution) -> tuple[Expression, ...]:
    """The arguments under the signature: classes, implicit casts, common groups, constants, defaults."""
    entry, ansi = resolution.function, resolution.ansi
    count = len(resolution.arguments)
    args: list[Expression] = []
    groups: dict[str, list[int]] = {}
    for position, argument in enumerate(resolution.arguments):
        parameter = parameter_at(entry, position, count)
        if parameter is None:
            args.append(argument.expression)
            continue
        accepts = parameter.accepts
        args.append(_accepted(resolution, position, accepts))
        if accepts.common and not accepts.is_lambda:
            groups.setdefault(accepts.common, []).append(position)
        if accepts.foldable and not is_foldable(argument.expression):
            raise resolution.mismatch(
                "NON_FOLDABLE_INPUT",
                inputName=f"`{parameter.name}`",
                inputType=accepts.shown or shown_type(argument.dtype),
                inputExpr=f'"{argument.text}"',
            )
    for positions in groups.values():
        _unify(resolution, args, positions, ansi)
    args.extend([p.default for p in entry.signature.parameters[count:] if p.default is not None])
    return tuple(args)


def _accepted(resolution: FunctionResolution, position: int, accepts: Accept) -> Expression:
    argument = resolution.arguments[position]
    dtype = argument.dtype
    if accepts.is_lambda or _is_taken(dtype, accepts):
        return argument.expression
    if isinstance(dtype, NullType):
        if accepts.targets:
            return resolution.cast(argument.expression, accepts.targets[0])
        return resolution.cast(argument.expression, INTEGER) if IntegralType in accepts.classes else argument.expression
    for target in () if accepts.strict else accepts.targets:
        found = implicit_cast(dtype, target, resolution.ansi)
        if found is not None:
            return resolution.cast(argument.expression, found)
    raise resolution.unexpected(position, accepts.shown or _shown_classes(accepts))


def _is_taken(dtype: DataType, accepts: Accept) -> bool:
    if DataType in accepts.classes:
        return True
    return isinstance(dtype, accepts.classes) and not (isinstance(dtype, NullType) and NullType not in accepts.classes)


def _shown_classes(accepts: Accept) -> str:
    if accepts.targets:
        return type_name(accepts.targets[0])
    return '"' + accepts.classes[0].__name__.removesuffix("Type").upper() + '"'


_KEEPING_STRINGS = frozenset({"greatest", "least"})


def _unify(resolution: FunctionResolution, args: list[Expression], positions: list[int], ansi: bool) -> None:
    types = [dtype_of(args[p]) for p in positions]
    common = types[0]
    if any(not same_type(t, common) for t in types[1:]):
        widened = wider_types_without_strings if resolution.name in _KEEPING_STRINGS else wider_types
        found = widened(types, ansi)
        if found is None:
            raise resolution.mismatch(
                "DATA_DIFF_TYPES",
                functionName=f"`{diff_name(resolution.called_as)}`",
                dataType="(" + " or ".join(type_name(t) for t in types) + ")"
                if resolution.name not in _KEEPING_STRINGS
                else "[" + ", ".join(type_name(t) for t in types) + "]",
            )
        common = found
    else:
        common = wider_types(types, ansi) or common
    for position in positions:
        args[position] = cast_to(args[position], common, ansi)


def diff_name(name: str) -> str:
    """How DATA_DIFF_TYPES calls a function."""
    return {"when": "casewhen", "ifnull": "coalesce", "nvl": "coalesce"}.get(name, name)


def is_foldable(expression: Expression) -> bool:
    """Whether an expression is a constant."""
    match expression:
        case Literal():
            return True
        case Cast():
            return is_foldable(expression.child)
        case Call():
            entry = find_function(expression.name)
            if entry is not None and not (entry.foldable and entry.deterministic):
                return False
            return all(is_foldable(a) for a in expression.args)
    return False


# ---- resolution ----------------------------------------------------------------------------------------
def resolve_function(expression: UnresolvedFunction, resolver: ExpressionResolver) -> Typed:
    """A function call by name."""
    name = _built_in_name(expression.name)
    if not expression.is_operator or len(expression.name) > 1:
        user = resolver.environment.user_function(expression.name)
        if user is not None:
            return resolve_user_function(user, expression, resolver)
    special = None if name is None else _specials().get(name)
    if special is not None:
        return special(expression, resolver)
    entry = None if name is None else find_function(name)
    if entry is None:
        # call_udf() asks as for a function of Spark's own.
        user = resolver.environment.user_function(expression.name)
        user = resolver.environment.stored_function(expression.name) if user is None else user
        if user is not None:
            return resolve_user_function(user, expression, resolver)
    if entry is None or name is None or (entry.internal and not expression.is_internal and not expression.is_operator):
        raise unresolved_routine(expression, resolver)
    return resolve_entry(entry, name, expression, resolver)


def _specials() -> dict[str, Callable[[UnresolvedFunction, ExpressionResolver], Typed]]:
    from voltray.driver.analysis.special_functions import SPECIALS

    return SPECIALS


def resolve_user_function(user: Any, expression: UnresolvedFunction, resolver: ExpressionResolver) -> Typed:
    """A function that the session registered: it says itself how it is resolved."""
    from voltray.driver.analysis.errors import unsupported
    from voltray.driver.analysis.sql_functions import call_sql_function

    if isinstance(user, SqlFunction):
        return call_sql_function(user, expression, resolver)
    resolve = getattr(user, "resolve", None)
    if resolve is None:
        raise unsupported(f"the user-defined function {'.'.join(expression.name)}", expression.origin)
    result = resolve(expression, resolver)
    assert isinstance(result, Typed)
    return result


def _built_in_name(parts: tuple[str, ...]) -> str | None:
    if len(parts) == 1:
        return parts[0].lower()
    if [p.lower() for p in parts[:-1]] in (["system", "builtin"], ["builtin"]):
        return parts[-1].lower()
    return None


def unresolved_routine(expression: UnresolvedFunction, resolver: ExpressionResolver) -> SparkError:
    """UNRESOLVED_ROUTINE."""
    database = str(getattr(resolver.environment.catalog, "current_database", "default") or "default")
    if not isinstance(database, str) or "method" in database:
        database = "default"
    return analysis_error(
        "UNRESOLVED_ROUTINE",
        expression.origin,
        routineName=quoted(expression.name),
        searchPath=f"[`system`.`builtin`, `system`.`session`, `spark_catalog`.`{database}`]",
    )


def resolve_entry(entry: Function, name: str, expression: UnresolvedFunction, resolver: ExpressionResolver) -> Typed:
    """A call of one entry of the registry."""
    from voltray.driver.analysis.arguments import ordered_arguments

    raw = ordered_arguments(entry, name, expression.args, resolver, expression.origin)
    check_count(entry, name, len(raw), expression.origin)
    if entry.kind is not FunctionKind.AGGREGATE:
        _refuse_aggregate_options(name, expression)
    arguments = _resolved_arguments(entry, raw, resolver)
    shown = display(entry, name, arguments, expression)
    collated = under_one_collation(name, arguments, shown, expression.origin)
    if collated is not arguments:
        arguments, shown = collated, display(entry, name, collated, expression)
    check_collations(name, arguments, shown, expression.origin)
    arguments = with_char_padding(name, arguments)
    _check_place(entry, arguments, shown, resolver, expression.origin)
    condition = None
    if expression.filter is not None:
        condition = resolver.resolve(expression.filter)
        shown = rope(shown, " FILTER (WHERE ", condition.name, ")")
        if not isinstance(condition.dtype, (BooleanType, NullType)):
            shown_filter = f'"{condition.text}"'
            raise analysis_error("INVALID_AGGREGATE_FILTER.NOT_BOOLEAN", expression.origin, filterExpr=shown_filter)
        check_filter(condition, expression.origin)
    check_syntax(entry, name, expression)
    orders = tuple([resolver.resolve(o) for o in expression.order_by])
    if orders:
        check_distinct_order(name, expression, arguments[0], orders)
        shown = rope(shown, " WITHIN GROUP (ORDER BY ", listed([within_group_name(o, name) for o in orders]), ")")
    resolution = FunctionResolution(
        entry, name, arguments, resolver, shown, expression.origin, expression.distinct,
        None if condition is None else condition.expression,
        tuple([_order(o) for o in orders]), expression.ignore_nulls,
    )  # fmt: skip
    return _resolved(resolution)


def _check_place(
    entry: Function,
    arguments: tuple[Typed, ...],
    shown: Name,
    resolver: ExpressionResolver,
    origin: QueryContext | None,
) -> None:
    """Generators stand alone in a select list; window functions stand before OVER."""
    for argument in arguments:
        call = argument.expression
        if isinstance(call, Call):
            found = find_function(call.name)
            if found is not None and found.kind is FunctionKind.GENERATOR:
                raise analysis_error(
                    "UNSUPPORTED_GENERATOR.NESTED_IN_EXPRESSIONS", origin, expression=f'"{text_of(shown)}"'
                )
    if entry.kind is FunctionKind.WINDOW and not resolver.windowed:
        raise analysis_error("WINDOW_FUNCTION_WITHOUT_OVER_CLAUSE", origin, funcName=f'"{text_of(shown)}"')


def within_group_name(order: Typed, function: str) -> Name:
    """A key of WITHIN GROUP: ascending is not said."""
    expression = order.expression
    assert isinstance(expression, SortOrder)
    shortened = function.startswith(("percentile", "mode"))
    if isinstance(order.name, type(rope())) and shortened:
        return order.name.parts[0] if expression.ascending else rope(order.name.parts[0], " DESC")
    return order.name


def _order(typed: Typed) -> SortOrder:
    assert isinstance(typed.expression, SortOrder)
    return typed.expression


def _resolved(resolution: FunctionResolution) -> Typed:
    entry = resolution.function
    if entry.resolve is not None:
        result = entry.resolve(resolution)
        shown = resolution.name_text
        return Typed(result, shown)
    rule = RULES.get(resolution.name)
    if rule is not None and len(resolution.arguments) == 2:
        left, right = resolution.arguments
        operands = rule(resolution.name, left, right, resolution.name_text, resolution.ansi, resolution.origin)
        if operands is not None and operands.function:
            known = {id(t.expression): t for t in resolution.arguments}
            typed = tuple([known.get(id(a), Typed(a, "")) for a in operands.args])
            inner = apply_function(operands.function, typed, resolution.resolver, resolution.origin)
            moved = inner.expression
            if operands.result is not None:
                moved = resolution.cast(moved, operands.result)
            if resolution.name.startswith("try_") and isinstance(moved, Call):
                moved = replace(moved, mode=EvalMode.TRY, nullable=True)
                return Typed(moved, resolution.name_text)
            return Typed(moved, operands.name or resolution.name_text)
        if operands is not None:
            return Typed(resolution.call(operands.args, _exact_type(resolution, operands.args)), resolution.name_text)
    return Typed(resolution.finish(), resolution.name_text)


def _exact_type(resolution: FunctionResolution, args: tuple[Expression, ...]) -> DataType | None:
    """The type of decimal arithmetic that may not lose digits; None where the entry's own rule holds."""
    if resolution.name not in SYMBOLS or resolution.settings.conf(PRECISION_LOSS) != "false":
        return None
    left, right = (dtype_of(a) for a in args)
    symbol = SYMBOLS[resolution.name]
    if symbol == "div" or not (isinstance(left, DecimalType) and isinstance(right, DecimalType)):
        return None
    return exact_decimal_result(symbol, left, right)


def apply_function(
    name: str, arguments: tuple[Typed, ...], resolver: ExpressionResolver, origin: QueryContext | None = None
) -> Typed:
    """A function of the registry, internal ones too, on resolved arguments."""
    entry = find_function(name)
    if entry is None:
        raise unresolved_routine(UnresolvedFunction((name,), (), origin=origin), resolver)
    shown = display(entry, name, arguments, None)
    arguments = under_one_collation(name, arguments, shown, origin)
    return _resolved(FunctionResolution(entry, name, arguments, resolver, shown, origin))


def _refuse_aggregate_options(name: str, expression: UnresolvedFunction) -> None:
    given = (expression.distinct, "DISTINCT"), (expression.filter is not None, "FILTER clause")
    for present, syntax in given:
        if present:
            raise analysis_error(
                "INVALID_SQL_SYNTAX.FUNCTION_WITH_UNSUPPORTED_SYNTAX",
                expression.origin,
                prettyName=f"`{name}`",
                syntax=syntax,
            )


def display(
    entry: Function, called_as: str, arguments: tuple[Typed, ...], expression: UnresolvedFunction | None
) -> Name:
    """The generated name of a call."""
    names = [a.name for a in arguments]
    canonical = entry.names[0]
    distinct = expression is not None and expression.distinct
    shower = entry.display or DISPLAYS.get(called_as) or DISPLAYS.get(canonical)
    if shower is not None and not (distinct and canonical in DISPLAYS):
        shown = [rope("DISTINCT ", names[0]), *names[1:]] if distinct and names else names
        return Displayed(shower, tuple(shown))
    title = called_as if called_as not in WITHOUT_PARENTHESES else canonical
    if distinct:
        return rope(title, "(DISTINCT ", listed(names), ")")
    return called(title, names)


# ---- arguments and lambdas -------------------------------------------------------------------------------
def _resolved_arguments(entry: Function, raw: Sequence[Expression], resolver: ExpressionResolver) -> tuple[Typed, ...]:
    if entry.lambda_types is None and not any(isinstance(a, UnresolvedLambda) for a in raw):
        return tuple([resolver.resolve(a) for a in raw])
    typed: list[Typed | None] = [None if isinstance(a, UnresolvedLambda) else resolver.resolve(a) for a in raw]
    known = tuple([Literal(None, NullType()) if t is None else t.expression for t in typed])
    for position, argument in enumerate(raw):
        if not isinstance(argument, UnresolvedLambda):
            given = typed[position]
            if given is not None and entry.signature.parameters[position].accepts.is_lambda:
                typed[position] = constant_lambda(given, entry, known, position)
            continue
        if entry.lambda_types is None:
            raise analysis_error("INVALID_LAMBDA_FUNCTION_CALL.NON_HIGHER_ORDER_FUNCTION", argument.origin,
                                 **{"class": entry.names[0]})  # fmt: skip
        types = entry.lambda_types(known, position)
        typed[position] = resolve_lambda(argument, types, resolver, entry.names[0] in OPTIONAL_INDEX)
        resolved = typed[position]
        assert resolved is not None
        known = (*known[:position], resolved.expression, *known[position + 1 :])
    return tuple([t for t in typed if t is not None])


def contains_aggregate(expression: Expression) -> bool:
    """Whether an aggregate function stands in an expression (window functions over one too)."""
    return any(isinstance(node, AggregateCall) for node in walk(expression))


__all__ = [
    "Attribute", "Cast", "EvalMode", "FunctionResolution", "StringType", "UnresolvedSortOrder", "apply_function",
    "check_count", "children_of", "contains_aggregate", "find_function", "is_foldable", "nullable_of", "replace",
    "resolve_entry", "resolve_function",
]  # fmt: skip
