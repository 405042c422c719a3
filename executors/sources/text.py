"""Text: each line a row (or each file, with wholetext)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from voltray.executors.functions.evaluation import EvaluationContext
from voltray.executors.sources.base import FileWriter, GroupScan, Options, Source, SourceFile, WriteGroup
from voltray.executors.sources.compression import TEXT_CODECS, compress_file, is_compressed, read_bytes, text_codec
from voltray.executors.sources.failures import reading, unreadable_file
from voltray.proto.failures import ErrorKind, spark_error
from voltray.proto.types import STRING, DataType, StringType, StructField, StructType

SCHEMA = StructType([StructField("value", STRING, True)])
# Files up to this size are checked for being UTF-8: others are read as such.
_CHECKED_BYTES = 8 << 20
_INFERRED_AT_ONCE = 200_000


def infer(files: tuple[SourceFile, ...], options: Options, context: EvaluationContext) -> StructType | None:
    """Always one column of text."""
    return SCHEMA


def scan(group: GroupScan) -> pl.LazyFrame:
    """Lines of the files as the one column."""
    frames = [file_lines(f, group.options) for f in group.files]
    lines = frames[0] if len(frames) == 1 else pl.concat(frames)
    return lines.select(pl.col("line").alias(group.columns[0].column)) if group.columns else lines


def file_lines(file: SourceFile, options: Options, encoding: str = "utf-8") -> pl.LazyFrame:
    """The lines of one file in a column ``line``; one row with everything where ``wholetext`` is asked for."""
    separator = options.get("lineSep")
    if separator == "":
        message = "requirement failed: 'lineSep' cannot be an empty string."
        raise spark_error("", ErrorKind.ILLEGAL_ARGUMENT, message=message)
    whole = options.flag("wholetext")
    if file.size == 0 and not whole:
        return pl.LazyFrame(schema={"line": pl.String})
    if not whole and separator is None and _is_scannable(file, encoding):
        lines = pl.scan_lines(file.path, name="line", glob=False)
        return lines.map_batches(_split_at_returns, streamable=True, validate_output_schema=False)

    def load(_: pl.DataFrame) -> pl.DataFrame:
        with reading(file.path):
            text = read_bytes(file.path).decode(encoding, "replace")
        return pl.DataFrame({"line": [text] if whole else split_lines(text, separator)}, schema={"line": pl.String})

    # The file is read when its turn comes.
    once = pl.LazyFrame({"once": [0]})
    return once.map_batches(load, schema={"line": pl.String}, validate_output_schema=False)


def _split_at_returns(batch: pl.DataFrame) -> pl.DataFrame:
    """Lines that end with carriage returns, too: Polars ends them at line feeds alone."""
    lines = batch["line"]
    if not lines.str.contains("\r", literal=True).any():
        return batch
    ended = lines.str.strip_suffix("\r")
    return ended.str.split("\r").to_frame("line").explode("line")


def line_batches(lines: pl.LazyFrame) -> Iterator[pl.Series]:
    """The lines in batches, so that inferring a schema does not hold them all."""
    for batch in lines.collect_batches(chunk_size=_INFERRED_AT_ONCE, maintain_order=True, engine="streaming"):
        yield batch["line"]


def split_lines(text: str, separator: str | None) -> list[str]:
    """Lines of a text; the separator behind the last line starts no further one."""
    if separator is None:
        lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    else:
        lines = text.split(separator)
    return lines[:-1] if lines and lines[-1] == "" else lines


def _is_scannable(file: SourceFile, encoding: str) -> bool:
    """Whether Polars' own line reader can be used: UTF-8, plain or in a compression that it knows."""
    if encoding.lower() not in ("utf-8", "utf8"):
        return False
    if is_compressed(file.path):
        return file.path.endswith((".gz", ".zst", ".zstd"))
    if file.size > _CHECKED_BYTES:
        return True
    try:
        with open(file.path, "rb") as opened:
            opened.read().decode("utf-8")
    except UnicodeDecodeError:
        return False
    except OSError as error:
        raise unreadable_file(file.path) from error
    return True


def text_extension(base: str) -> Any:
    """The extension of a text format's files, with that of their compression."""

    def extension(options: Options) -> str:
        return base + TEXT_CODECS[text_codec(options.text("compression", "codec", default="none"))]

    return extension


def check_text_codec(options: Options) -> None:
    """Refuse an unknown codec before anything is written."""
    text_codec(options.text("compression", "codec", default="none"))


def _sink(group: WriteGroup, target: Any) -> Any:
    (kept,) = group.data_attributes
    line = pl.col(kept.column).fill_null("").alias("line")
    separator = group.options.get("lineSep", "\n")
    return sink_lines(group.frame.select(line, *group.keys), target, separator)


def sink_lines(frame: pl.LazyFrame, target: Any, separator: str = "\n", header: str | None = None) -> Any:
    """Write the column ``line`` as it is, a line each, below a header."""
    named = frame if header is None else frame.rename({"line": header})
    return named.sink_csv(
        target, include_header=header is not None, quote_style="never", line_terminator=separator, separator="\x01",
        lazy=True, engine="streaming", mkdir=True, check_extension=False,
    )  # fmt: skip


def compress_text(path: str, group: WriteGroup) -> None:
    """Compress a finished file in its place."""
    codec = text_codec(group.options.text("compression", "codec", default="none"))
    if codec not in ("none", "uncompressed"):
        compress_file(path, codec)


def supports(dtype: DataType) -> bool:
    """Strings alone."""
    return isinstance(dtype, StringType)


SOURCE = Source(
    names=("text", "org.apache.spark.sql.execution.datasources.text"),
    title="Text",
    infer=infer,
    scan=scan,
    supports=supports,
    writer=FileWriter(text_extension(".txt"), check_text_codec, _sink, compress_text),
    fixed_schema=SCHEMA,
)
