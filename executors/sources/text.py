"""Text: each line a row (or each file, with wholetext)."""

from __future__ import annotations

from typing import Any

import polars as pl

from voltray.executors.functions.evaluation import EvaluationContext
from voltray.executors.sources.base import FileWriter, GroupScan, Options, Source, SourceFile, WriteGroup
from voltray.executors.sources.compression import TEXT_CODECS, compress_file, is_compressed, read_bytes, text_codec
from voltray.executors.sources.failures import reading, unreadable_file
from voltray.proto.failures import ErrorKind, spark_error
from voltray.proto.types import STRING, DataType, StringType, StructField, StructType

SCHEMA = StructType([StructField("value", STRING, True)])
_UNIVERSAL = r"\r\n|\r|\n"


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
    if options.flag("wholetext"):
        with reading(file.path):
            return pl.LazyFrame({"line": [read_bytes(file.path).decode(encoding, "replace")]})
    if file.size == 0:
        return pl.LazyFrame(schema={"line": pl.String})
    if separator is None and _is_plain(file, encoding):
        return pl.scan_lines(file.path, name="line", glob=False)
    with reading(file.path):
        text = read_bytes(file.path).decode(encoding, "replace")
    return pl.LazyFrame({"line": split_lines(text, separator)}, schema={"line": pl.String})


def split_lines(text: str, separator: str | None) -> list[str]:
    """Lines of a text; the separator behind the last line starts no further one."""
    if separator is None:
        lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    else:
        lines = text.split(separator)
    return lines[:-1] if lines and lines[-1] == "" else lines


def _is_plain(file: SourceFile, encoding: str) -> bool:
    """Whether Polars' own line reader gives what Spark reads: plain UTF-8, no carriage returns."""
    if encoding.lower() not in ("utf-8", "utf8") or is_compressed(file.path):
        return False
    try:
        with open(file.path, "rb") as opened:
            while block := opened.read(8 << 20):
                if b"\r" in block:
                    return False
                block.decode("utf-8") if not block.isascii() and file.size <= 8 << 20 else None
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
