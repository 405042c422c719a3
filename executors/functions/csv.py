"""CSV: from_csv, to_csv, schema_of_csv."""

from __future__ import annotations

from typing import Any

import polars as pl

from voltray.executors.functions.evaluation import Evaluation, EvaluationContext, Rows
from voltray.executors.functions.json import without_corrupt
from voltray.executors.functions.registry import (
    ANY,
    Accept,
    Function,
    Parameter,
    Signature,
    always_nullable,
)  # fmt: skip
from voltray.executors.functions.schema_arguments import (
    bad_record,
    constant_text,
    given_schema,
    nullable_type,
    options_of,
)  # fmt: skip
from voltray.proto.expressions import Expression, Literal, dtype_of, nullable_of
from voltray.proto.types import (
    STRING,
    NullType,
    StringType,
    StructField,
    StructType,
    carrier,
    sql_type,
    struct_carrier_names,
    type_name,
)  # fmt: skip


def _from_csv(evaluation: Evaluation, text: pl.Expr) -> pl.Expr:
    dtype = evaluation.call.dtype
    pairs = dict(evaluation.call.option("pairs", ()))
    name = pairs.get("columnNameOfCorruptRecord", "_corrupt_record")
    target, corrupt = without_corrupt(dtype, name)
    assert isinstance(target, StructType)
    strict = pairs.get("mode", "PERMISSIVE").upper() == "FAILFAST"
    context = evaluation.context

    def run(rows: Rows, texts: pl.Series) -> pl.Series:
        cells, bad = _cells(texts, target, pairs, context)
        if strict:
            shown = pl.DataFrame([c.cast(pl.String) for c in cells]).select(
                pl.concat_str(pl.all().fill_null("null"), separator=",")
            )
            rows.refuse(bad, lambda record: bad_record(f"[{record}]"), shown.to_series())
        if corrupt is not None:
            cells.insert(corrupt, texts.zip_with(bad, pl.Series([None], dtype=pl.String)).alias(name))
        whole = pl.DataFrame(cells).to_struct("row").cast(carrier(dtype))
        return whole.zip_with(texts.is_not_null(), pl.Series([None], dtype=whole.dtype))

    return evaluation.columnwise(run, text)


def _cells(
    texts: pl.Series, target: StructType, pairs: dict[str, str], context: EvaluationContext
) -> tuple[list[pl.Series], pl.Series]:
    """A column for each field, and the records that do not fit."""
    from voltray.executors.sources.base import Options
    from voltray.executors.sources.csv_tokens import dialect_of, tokenize
    from voltray.executors.sources.text_values import parse_text

    options = Options(pairs.items())
    tokens = tokenize(texts.fill_null(""), dialect_of(options))
    held = tokens.to_frame("tokens")
    bad = tokens.list.len() != len(target.fields)
    cells: list[pl.Series] = []
    for at, (label, field) in enumerate(zip(struct_carrier_names(target), target.fields, strict=True)):
        token = held.select(pl.col("tokens").list.get(at, null_on_oob=True)).to_series()
        value = parse_text(token, field.dataType, options, context)
        bad = bad | (value.is_null() & token.is_not_null())
        cells.append(value.alias(label))
    return cells, bad & texts.is_not_null()


def _resolve_from_csv(resolution: Any) -> Expression:
    if not isinstance(dtype_of(resolution.args[0]), StringType | NullType):
        raise resolution.unexpected(0, '"STRING"')
    text = resolution.coerce(0, STRING)
    options = options_of(resolution, 2)
    dtype = given_schema(resolution, 1, options)
    if not isinstance(dtype, StructType):
        raise resolution.error("INVALID_SCHEMA.NON_STRUCT_TYPE", inputSchema=f'"{resolution.names[1]}"',
                               dataType=type_name(dtype))  # fmt: skip
    mode = dict(options).get("mode", "PERMISSIVE").upper()
    if mode == "DROPMALFORMED":
        raise resolution.error("PARSE_MODE_UNSUPPORTED", funcName="`from_csv`", mode=mode)
    return resolution.call((text,), nullable_type(dtype), nullable_of(text), (("pairs", options),))  # type: ignore[no-any-return]


# ---- to_csv ----------------------------------------------------------------------------------------
def _to_csv(evaluation: Evaluation, value: pl.Expr) -> pl.Expr:
    from voltray.executors.sources.base import Options
    from voltray.executors.sources.csv import _quoted
    from voltray.executors.sources.rendering import rendered_text

    kind = dtype_of(evaluation.call.args[0])
    assert isinstance(kind, StructType)
    options = Options(evaluation.call.option("pairs", ()))
    separator = options.text("sep", "delimiter", default=",").replace("\\t", "\t")
    cells = []
    for name, field in zip(struct_carrier_names(kind), kind.fields, strict=True):
        if isinstance(field.dataType, NullType):
            text = pl.lit(None, dtype=pl.String)
        else:
            text = rendered_text(value.struct.field(name), field.dataType, options, evaluation.context, "csv")
        if options.flag("ignoreLeadingWhiteSpace", True):
            text = text.str.strip_chars_start()
        if options.flag("ignoreTrailingWhiteSpace", True):
            text = text.str.strip_chars_end()
        cells.append(_quoted(text, separator, options).fill_null(pl.lit(options.get("nullValue", ""))))
    return pl.when(value.is_not_null()).then(pl.concat_str(cells, separator=separator))


def _resolve_to_csv(resolution: Any) -> Expression:
    kind = dtype_of(resolution.args[0])
    if not isinstance(kind, StructType):
        shown = type_name(kind)
        raise resolution.mismatch("UNSUPPORTED_INPUT_TYPE", functionName="`to_csv`", dataType=shown)
    return resolution.call(resolution.args[:1], STRING, True, (("pairs", options_of(resolution, 1)),))  # type: ignore[no-any-return]


# ---- schema_of_csv ---------------------------------------------------------------------------------
def _resolve_schema_of_csv(resolution: Any) -> Expression:
    from voltray.executors.sources.base import Options
    from voltray.executors.sources.csv_inference import infer_types
    from voltray.executors.sources.csv_tokens import dialect_of, tokenize

    text = constant_text(resolution, 0, "csv")
    options = Options(options_of(resolution, 1))
    context = EvaluationContext(resolution.settings.time_zone, resolution.ansi)
    tokens = tokenize(pl.Series([text]), dialect_of(options))
    types = infer_types([tokens], len(tokens[0]), options, context)
    fields = [StructField(f"_c{i}", t, True) for i, t in enumerate(types)]
    return Literal(sql_type(StructType(fields)), STRING)


_OPTIONS = Parameter("options", Accept(), optional=True)

FUNCTIONS: tuple[Function, ...] = (
    Function(
        ("from_csv",), Signature((Parameter("csv", ANY), Parameter("schema", ANY), _OPTIONS)), STRING, _from_csv,
        resolve=_resolve_from_csv, display=lambda names: f"from_csv({names[0]})",
    ),
    Function(
        ("to_csv",), Signature((Parameter("expr", ANY), _OPTIONS)), STRING, _to_csv, resolve=_resolve_to_csv,
        nullable=always_nullable, display=lambda names: f"to_csv({names[0]})",
    ),
    Function(
        ("schema_of_csv",), Signature((Parameter("csv", ANY), _OPTIONS)), STRING, resolve=_resolve_schema_of_csv,
        display=lambda names: f"schema_of_csv({names[0]})",
    ),
)  # fmt: skip
