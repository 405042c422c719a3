"""Types and schemas written as text: DDL (``a INT, b ARRAY<STRING>``), one type, or Spark's JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import lru_cache

from pyspark.sql.types import _parse_datatype_json_value

from voltray.driver.sql.options import current_options
from voltray.proto import types as t
from voltray.proto.collations import string_type
from voltray.proto.failures import ErrorKind, QueryContext, SparkError, spark_error

_TOKEN = re.compile(
    r"\s+|--[^\n]*|(?P<quoted>`(?:[^`]|``)*`)|(?P<string>'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.)*\")"
    r"|(?P<word>[^\W]\w*)|(?P<symbol>[<>(),:;=.+\-*/]|.)",
    re.DOTALL,
)

_INTERVAL_UNITS = {"day": 0, "hour": 1, "minute": 2, "second": 3}
_YEAR_MONTH_UNITS = {"year": 0, "month": 1}

_PLAIN: dict[str, t.DataType] = {
    "boolean": t.BOOLEAN,
    "tinyint": t.BYTE,
    "byte": t.BYTE,
    "smallint": t.SHORT,
    "short": t.SHORT,
    "int": t.INTEGER,
    "integer": t.INTEGER,
    "bigint": t.LONG,
    "long": t.LONG,
    "float": t.FLOAT,
    "real": t.FLOAT,
    "double": t.DOUBLE,
    "date": t.DATE,
    "timestamp": t.TIMESTAMP,
    "timestamp_ltz": t.TIMESTAMP,
    "timestamp_ntz": t.TIMESTAMP_NTZ,
    "binary": t.BINARY,
    "void": t.NULL,
    "null": t.NULL,
    "variant": t.VARIANT,
}


def parse_schema(text: str) -> t.DataType:
    """A schema or a type from text: a struct for column lists, else the one type.

    Raises PARSE_SYNTAX_ERROR, UNSUPPORTED_DATATYPE or INVALID_JSON_SCHEMA conditions.
    """
    stripped = text.strip()
    if stripped.startswith(("{", '"')):
        return _from_json(stripped)
    return _from_ddl(text, current_options().plain_timestamps)


def parse_type(text: str) -> t.DataType:
    """One type, as a cast names it."""
    parser = _Parser(text)
    dtype = parser.data_type()
    parser.end()
    return dtype


def parse_column_schema(text: str) -> t.StructType:
    """A schema of columns from text; a single type is refused."""
    dtype = parse_schema(text)
    if isinstance(dtype, t.StructType):
        return dtype
    raise spark_error("INVALID_SCHEMA.NON_STRUCT_TYPE", inputSchema=f'"{text}"', dataType=t.type_name(dtype))


def _from_json(text: str) -> t.DataType:
    try:
        return _parse_datatype_json_value(json.loads(text))
    except SparkError:
        raise
    except Exception as failure:
        raise spark_error("INVALID_JSON_DATA_TYPE", invalidType=text) from failure


@lru_cache(maxsize=2048)
def _from_ddl(text: str, plain_timestamps: bool) -> t.DataType:
    """One type where the whole text is one, else a column list (Spark's order in ``parseTypeWithFallback``)."""
    try:
        parser = _Parser(text)
        dtype = parser.data_type()
        parser.end()
        return dtype
    except SparkError as single:
        if single.condition not in ("PARSE_SYNTAX_ERROR", "UNSUPPORTED_DATATYPE"):
            raise
        parser = _Parser(text)
        try:
            fields = parser.columns()
            parser.end()
        except SparkError as columns:
            if columns.condition == "UNSUPPORTED_DATATYPE" and len(parser.tokens) > 1:
                parser.position = 1  # Spark tells of its first attempt, at one type: there nothing follows a name
                raise parser.error() from None
            raise (single if columns.condition == "PARSE_EMPTY_STATEMENT" else columns) from None
        return t.StructType(fields)


class _Parser:
    """Recursive descent over the tokens of a type or column list."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[tuple[str, str, int]] = []
        for match in _TOKEN.finditer(text):
            if match.lastgroup is not None:
                self.tokens.append((match.lastgroup, match.group(), match.start()))
        self.position = 0

    # ---- tokens -----------------------------------------------------------------------------------
    def peek(self, ahead: int = 0) -> str:
        """The next token in lower case, "" at the end."""
        index = self.position + ahead
        return self.tokens[index][1].lower() if index < len(self.tokens) else ""

    def take(self, *wanted: str) -> bool:
        """Step over the next tokens where they are these words or symbols."""
        if all(self.peek(i) == w for i, w in enumerate(wanted)):
            self.position += len(wanted)
            return True
        return False

    def expect(self, wanted: str) -> None:
        """Step over a token that must be there; ``>>`` counts as two."""
        if not self.take(wanted):
            raise self.error()

    def end(self) -> None:
        """Nothing may follow."""
        if self.position < len(self.tokens):
            raise self.error()

    def error(self) -> SparkError:
        """PARSE_SYNTAX_ERROR at the current token."""
        at_end = self.position >= len(self.tokens)
        shown = "end of input" if at_end else f"'{self.tokens[self.position][1]}'"
        start = len(self.text) if at_end else self.tokens[self.position][2]
        context = QueryContext(self.text, start, len(self.text) - 1)
        return spark_error("PARSE_SYNTAX_ERROR", ErrorKind.PARSE, error=shown, hint="", contexts=(context,))

    def name(self) -> str:
        """An identifier, back quotes taken off."""
        if self.position >= len(self.tokens):
            raise self.error()
        kind, text, _ = self.tokens[self.position]
        if kind == "quoted":
            self.position += 1
            return text[1:-1].replace("``", "`")
        if kind != "word":
            raise self.error()
        self.position += 1
        return text

    def string(self) -> str:
        """A string literal's text."""
        kind, text, _ = self.tokens[self.position] if self.position < len(self.tokens) else ("", "", 0)
        if kind != "string":
            raise self.error()
        self.position += 1
        return re.sub(r"\\(.)", r"\1", text[1:-1])

    def number(self) -> int:
        """An integer."""
        text = self.peek()
        if not text.isdigit():
            raise self.error()
        self.position += 1
        return int(text)

    # ---- types ------------------------------------------------------------------------------------
    def columns(self) -> list[t.StructField]:
        """``name [:] type [NOT NULL] [DEFAULT ...] [COMMENT '...']``, separated by commas."""
        if not self.tokens:
            return []
        fields = [self.field()]
        while self.take(","):
            fields.append(self.field())
        return fields

    def field(self) -> t.StructField:
        """One column or struct field."""
        name = self.name()
        self.take(":")
        dtype = self.data_type()
        nullable = not self.take("not", "null")
        metadata: dict[str, str] = {}
        if self.take("comment"):
            metadata["comment"] = self.string()
        if self.take("not", "null"):
            nullable = False
        return t.StructField(name, dtype, nullable, metadata)

    def data_type(self) -> t.DataType:
        """One type."""
        start = self.position
        word = self.name().lower()
        plain = _PLAIN.get(word)
        if word == "timestamp" and current_options().plain_timestamps:
            plain = t.TIMESTAMP_NTZ
        if plain is not None:
            if self.peek() == "(":
                self._refuse_length(word)
            return plain
        special = _SPECIAL.get(word)
        if special is None:
            self.position = start
            shown = self.tokens[start][1]
            raise spark_error("UNSUPPORTED_DATATYPE", ErrorKind.PARSE, typeName=f'"{shown.upper()}"')
        return special(self)

    def _refuse_length(self, word: str) -> None:
        """A length where the type has none."""
        numbers = ",".join([str(n) for n in self.arguments()])
        raise spark_error("UNSUPPORTED_DATATYPE", ErrorKind.PARSE, typeName=f'"{word.upper()}({numbers})"')

    def arguments(self) -> list[int]:
        """Numbers in parentheses, if any."""
        numbers: list[int] = []
        if self.take("("):
            numbers.append(self.number())
            while self.take(","):
                numbers.append(self.number())
            self.expect(")")
        return numbers

    def decimal(self) -> t.DataType:
        """DECIMAL[(precision[, scale])]; (10, 0) by default."""
        precision, scale = (*self.arguments(), 10, 0)[:2] if self.peek() != "(" else self._precision_and_scale()
        if precision > t.MAX_DECIMAL_PRECISION:
            raise spark_error(
                "DECIMAL_PRECISION_EXCEEDS_MAX_PRECISION",
                ErrorKind.ARITHMETIC,
                precision=precision,
                maxPrecision=t.MAX_DECIMAL_PRECISION,
            )
        if scale > precision:
            raise spark_error("_LEGACY_ERROR_TEMP_1228", scale=scale, precision=precision)
        return t.DecimalType(precision, scale)

    def _precision_and_scale(self) -> tuple[int, int]:
        numbers = self.arguments()
        return numbers[0], numbers[1] if len(numbers) > 1 else 0

    def string_type(self) -> t.DataType:
        """STRING [COLLATE name]."""
        if self.take("collate"):
            name = self.name()
            while self.take("."):
                name = self.name()
            return string_type(name)
        return t.STRING

    def char(self) -> t.DataType:
        """CHAR(n)."""
        return t.CharType(self._length("CHAR"))

    def varchar(self) -> t.DataType:
        """VARCHAR(n)."""
        return t.VarcharType(self._length("VARCHAR"))

    def _length(self, name: str) -> int:
        numbers = self.arguments()
        if len(numbers) != 1:
            raise spark_error("DATATYPE_MISSING_SIZE", ErrorKind.PARSE, type=f'"{name}"')
        return numbers[0]

    def array(self) -> t.DataType:
        """ARRAY<type>."""
        if self.peek() != "<":
            raise spark_error("INCOMPLETE_TYPE_DEFINITION.ARRAY", ErrorKind.PARSE, elementType="<INT>")
        self.expect("<")
        element = self.data_type()
        self.expect(">")
        return t.ArrayType(element, True)

    def map(self) -> t.DataType:
        """MAP<type, type>."""
        if self.peek() != "<":
            raise spark_error("INCOMPLETE_TYPE_DEFINITION.MAP", ErrorKind.PARSE)
        self.expect("<")
        key = self.data_type()
        self.expect(",")
        value = self.data_type()
        self.expect(">")
        return t.MapType(key, value, True)

    def struct(self) -> t.DataType:
        """STRUCT<name[:] type, ...>."""
        if self.peek() != "<":
            raise spark_error("INCOMPLETE_TYPE_DEFINITION.STRUCT", ErrorKind.PARSE)
        self.expect("<")
        if self.take(">"):
            return t.StructType([])
        fields = [self.field()]
        while self.take(","):
            fields.append(self.field())
        self.expect(">")
        return t.StructType(fields)

    def interval(self) -> t.DataType:
        """INTERVAL [unit [TO unit]]; alone it is the old calendar interval."""
        units = _YEAR_MONTH_UNITS if self.peek() in _YEAR_MONTH_UNITS else _INTERVAL_UNITS
        if self.peek() not in units:
            return t.CALENDAR_INTERVAL
        start = stop = units[self.name().lower()]
        if self.take("to"):
            word = self.name().lower()
            if units.get(word, -1) <= start:
                raise spark_error("UNSUPPORTED_DATATYPE", ErrorKind.PARSE, typeName=f'"INTERVAL ... TO {word.upper()}"')
            stop = units[word]
        if units is _YEAR_MONTH_UNITS:
            return t.YearMonthIntervalType(start, stop)
        return t.DayTimeIntervalType(start, stop)

    def time(self) -> t.DataType:
        """TIME[(precision)]."""
        numbers = self.arguments()
        precision = numbers[0] if numbers else 6
        self.take("without", "time", "zone")
        return t.TimeType(precision)


_SPECIAL: dict[str, Callable[[_Parser], t.DataType]] = {
    "decimal": _Parser.decimal,
    "dec": _Parser.decimal,
    "numeric": _Parser.decimal,
    "string": _Parser.string_type,
    "char": _Parser.char,
    "character": _Parser.char,
    "varchar": _Parser.varchar,
    "array": _Parser.array,
    "map": _Parser.map,
    "struct": _Parser.struct,
    "interval": _Parser.interval,
    "time": _Parser.time,
}
