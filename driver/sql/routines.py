"""CREATE FUNCTION with a body in SQL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from voltray.driver.plan.routines import CreateSqlFunction, SqlFunction, SqlParameter
from voltray.driver.sql.parser import parse_expression, parse_query
from voltray.driver.sql.variables import type_of
from voltray.driver.sql.words import Words
from voltray.proto.failures import ErrorKind, SparkError, spark_error
from voltray.proto.types import CharType, DataType, StructField, StructType, VarcharType

_QUERY_STARTS = frozenset({"SELECT", "WITH", "VALUES", "FROM", "TABLE", "MAP", "REDUCE"})


def parse_create_function(text: str) -> CreateSqlFunction | None:
    """The statement, where a text is one of these."""
    words = Words(text)
    if not words.take("CREATE"):
        return None
    replacing = words.take("OR", "REPLACE")
    temporary = words.take("TEMPORARY") or words.take("TEMP")
    if not words.take("FUNCTION"):
        return None
    exists = words.take("IF", "NOT", "EXISTS")
    name = words.name()
    if not words.take("("):
        return None  # by its class
    if exists and replacing:
        raise _syntax("CREATE_ROUTINE_WITH_IF_NOT_EXISTS_AND_REPLACE")
    if temporary and exists:
        raise _syntax("CREATE_TEMP_FUNC_WITH_IF_NOT_EXISTS")
    if temporary and len(name) > 1:
        raise _syntax("CREATE_TEMP_FUNC_WITH_DATABASE", database=".".join(f"`{p}`" for p in name[:-1]))
    function = _definition(words, name)
    return CreateSqlFunction(function, temporary, replacing, exists)


def _syntax(kind: str, **parameters: object) -> SparkError:
    return spark_error(f"INVALID_SQL_SYNTAX.{kind}", ErrorKind.PARSE, **parameters)  # type: ignore[arg-type]


def _definition(words: Words, name: tuple[str, ...]) -> SqlFunction:
    parameters = _parameters(words)
    returns, is_table = _returns(words)
    function = _with_characteristics(SqlFunction(name, parameters, "", False, is_table, returns), words)
    words.expect("RETURN")
    is_query, body = _is_query(words, is_table), words.rest()
    if not body:
        raise words.error()
    if is_table and not is_query:
        raise spark_error(
            "USER_DEFINED_FUNCTIONS.SQL_TABLE_UDF_BODY_MUST_BE_A_QUERY", ErrorKind.ANALYSIS, name=".".join(name)
        )
    if is_query:
        parse_query(body)
    else:
        parse_expression(body)
    return replace(function, body=body, is_query=is_query)


def _is_query(words: Words, is_table: bool) -> bool:
    ahead = 0
    while is_table and words.peek(ahead) == "(":
        ahead += 1
    return words.peek(ahead) in _QUERY_STARTS


# ---- parameters and result --------------------------------------------------------------------------
def _parameters(words: Words) -> tuple[SqlParameter, ...]:
    parameters: list[SqlParameter] = []
    while not words.take(")"):
        if parameters:
            words.expect(",")
        parameters.append(_parameter(words))
    return tuple(parameters)


def _parameter(words: Words) -> SqlParameter:
    first = words.position
    name, dtype = words.identifier(), _type(words)
    default, comment = None, None
    while not words.sees(",|)"):
        if words.take("DEFAULT"):
            default = words.capture(lambda w: w.sees("COMMENT|NOT"))
        elif words.take("COMMENT"):
            comment = words.string()
        elif words.take("NOT", "NULL"):
            raise _not_null(words, first)
        elif words.sees("GENERATED"):
            raise _syntax("CREATE_FUNC_WITH_GENERATED_COLUMNS_AS_PARAMETERS")
        elif words.sees("UNIQUE|CHECK|PRIMARY|REFERENCES|CONSTRAINT"):
            raise _syntax("CREATE_FUNC_WITH_COLUMN_CONSTRAINTS")
        else:
            raise words.error()
    return SqlParameter(name, dtype, default, comment)


def _not_null(words: Words, first: int) -> SparkError:
    shown = words.text[words.tokens[first].start : words.tokens[words.position - 1].stop]
    return spark_error("USER_DEFINED_FUNCTIONS.NOT_NULL_ON_FUNCTION_PARAMETERS", ErrorKind.PARSE, input=shown)


def _type(words: Words) -> DataType:
    if words.sees(",|)"):
        raise words.error()
    return _checked(type_of(words))


def _checked(dtype: DataType) -> DataType:
    if isinstance(dtype, (CharType, VarcharType)):
        raise spark_error("UNSUPPORTED_CHAR_OR_VARCHAR_AS_STRING", ErrorKind.ANALYSIS)
    return dtype


def _returns(words: Words) -> tuple[DataType | None, bool]:
    if not words.take("RETURNS"):
        return None, False
    if not words.take("TABLE"):
        return _type(words), False
    if not words.take("("):
        return None, True
    fields: list[StructField] = []
    while True:
        first = words.position
        name, dtype = words.identifier(), _type(words)
        if words.take("NOT", "NULL"):
            raise _not_null(words, first)
        metadata = {"comment": words.string()} if words.take("COMMENT") else {}
        fields.append(StructField(name, dtype, True, metadata))
        if words.take(")"):
            return StructType(fields), True
        words.expect(",")


# ---- characteristics ----------------------------------------------------------------------------------
def _with_characteristics(function: SqlFunction, words: Words) -> SqlFunction:
    seen: set[str] = set()
    changed = function
    while (clause := next((c for c in _CLAUSES if words.take(*c[0].split())), None)) is not None:
        _, name, apply = clause
        if name in seen:
            raise spark_error("DUPLICATE_CLAUSES", ErrorKind.PARSE, clauseName=name)
        seen.add(name)
        changed = apply(changed, words)
    return changed


def _language(function: SqlFunction, words: Words) -> SqlFunction:
    language = words.identifier()
    if language.upper() != "SQL":
        raise _refusal(f"Unsupported language for user defined functions: {language}")
    return function


def _refusal(message: str) -> SparkError:
    return spark_error(
        "_LEGACY_ERROR_TEMP_0035", ErrorKind.PARSE, sqlstate="", message=f"Operation not allowed: {message}."
    )


def _refused(message: str) -> Callable[[SqlFunction, Words], SqlFunction]:
    def apply(function: SqlFunction, words: Words) -> SqlFunction:
        raise _refusal(f"SQL function with {message} is not supported")

    return apply


def _changed(**changes: bool) -> Callable[[SqlFunction, Words], SqlFunction]:
    def apply(function: SqlFunction, words: Words) -> SqlFunction:
        return replace(function, **changes)  # type: ignore[arg-type]

    return apply


def _comment(function: SqlFunction, words: Words) -> SqlFunction:
    return replace(function, comment=words.string())


_CLAUSES: tuple[tuple[str, str, Callable[[SqlFunction, Words], SqlFunction]], ...] = (
    ("LANGUAGE", "LANGUAGE", _language),
    ("SPECIFIC", "SPECIFIC", _refused("SPECIFIC name")),
    ("DETERMINISTIC", "DETERMINISTIC", _changed(deterministic=True)),
    ("NOT DETERMINISTIC", "DETERMINISTIC", _changed(deterministic=False)),
    ("NO SQL", "SQL DATA ACCESS", _refused("NO SQL")),
    ("CONTAINS SQL", "SQL DATA ACCESS", _changed(contains_sql=True)),
    ("READS SQL DATA", "SQL DATA ACCESS", _changed(contains_sql=False)),
    ("MODIFIES SQL DATA", "SQL DATA ACCESS", _refused("MODIFIES SQL DATA")),
    ("CALLED ON NULL INPUT", "NULL CALL", _changed()),
    ("RETURNS NULL ON NULL INPUT", "NULL CALL", _refused("RETURNS NULL ON NULL INPUT")),
    ("SQL SECURITY DEFINER", "RIGHTS", _changed()),
    ("SQL SECURITY INVOKER", "RIGHTS", _refused("SQL SECURITY INVOKER")),
    ("COMMENT", "COMMENT", _comment),
)
