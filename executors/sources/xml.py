"""XML: each element of the row tag a row."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import partial
from typing import Any
from xml.etree import ElementTree

import polars as pl

from voltray.executors.functions import xml as xml_functions
from voltray.executors.functions.evaluation import EvaluationContext
from voltray.executors.sources.base import FileWriter, GroupScan, Options, Source, SourceFile, WriteGroup
from voltray.executors.sources.compression import read_bytes
from voltray.executors.sources.failures import reading
from voltray.executors.sources.malformed import (
    MalformedRows,
    corrupt_column,
    corrupt_name,
    corrupt_records,
    mode_of,
)  # fmt: skip
from voltray.executors.sources.text import check_text_codec, compress_text, sink_lines, text_extension
from voltray.proto.failures import spark_error
from voltray.proto.types import (
    NULL,
    STRING,
    CalendarIntervalType,
    DataType,
    StructField,
    StructType,
    carrier,
    struct_carrier_names,
)  # fmt: skip

_IGNORED = re.compile(r"<!--.*?-->", re.DOTALL)
_DECLARATION = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'


def row_tag(options: Options) -> str:
    """The tag of rows, which has no default."""
    tag = options.get("rowTag")
    if not tag:
        raise spark_error("XML_ROW_TAG_MISSING", rowTag="`rowTag`")
    return tag


def records(file: SourceFile, options: Options) -> Iterator[str]:
    """The texts of a file's row elements."""
    with reading(file.path):
        text = read_bytes(file.path).decode(options.text("encoding", "charset", default="utf-8"), "replace")
    tag = re.escape(row_tag(options))
    element = re.compile(rf"<{tag}(?:\s[^<>]*)?(?:/>|(?<!/)>.*?</{tag}\s*>)", re.DOTALL)
    for match in element.finditer(_IGNORED.sub("", text)):
        yield match[0]


def infer(files: tuple[SourceFile, ...], options: Options, context: EvaluationContext) -> StructType | None:
    """The schema of all rows; malformed ones add their column."""
    if not files:
        return None
    row_tag(options)
    found: DataType = NULL
    corrupt = False
    for file in files:
        for text in records(file, options):
            root = xml_functions.read_element(text)
            corrupt = corrupt or root is None
            if root is not None:
                found = xml_functions.merged_types(found, _row_type(root, options, context))
    schema = xml_functions.without_nulls(found)
    fields = list(schema.fields) if isinstance(schema, StructType) else []
    if corrupt and mode_of(options) == "PERMISSIVE":
        fields.append(StructField(corrupt_name(options, context), STRING, True))
    return StructType(sorted(fields, key=lambda f: f.name))


def _row_type(root: ElementTree.Element, options: Options, context: EvaluationContext) -> DataType:
    found = xml_functions.type_of(root, options, context)
    if isinstance(found, StructType) or found == NULL:
        return found
    return StructType([StructField(options.get("valueTag", "_VALUE"), found, True)])


def scan(group: GroupScan) -> pl.LazyFrame:
    """Rows of the files, each read when its turn comes."""
    row_tag(group.options)
    schema = {c.column: carrier(c.dtype) for c in group.columns} or {"\0rows": pl.Null()}
    once = pl.LazyFrame({"once": [0]})
    frames = [
        once.map_batches(partial(_load, file=f, group=group), schema=schema, validate_output_schema=False)
        for f in group.files
    ]
    return frames[0] if len(frames) == 1 else pl.concat(frames)


def _load(_: pl.DataFrame, file: SourceFile, group: GroupScan) -> pl.DataFrame:
    texts = pl.Series("record", list(records(file, group.options)), dtype=pl.String)
    corrupt = corrupt_column(group.schema, group.options, group.context)
    fields = [f for f in group.schema.fields if f.name != corrupt]
    roots = [xml_functions.read_element(t) for t in texts.to_list()]
    blank = ElementTree.Element("blank")
    reader = xml_functions.XmlColumns(group.options, group.context)
    whole, wrong = reader.column([blank if r is None else r for r in roots], StructType(fields))
    bad = pl.Series([r is None for r in roots], dtype=pl.Boolean) | pl.Series(wrong)
    cells = dict(zip([f.name for f in fields], whole.struct.unnest().get_columns(), strict=True)) if fields else {}
    columns = [
        corrupt_records(texts, bad).alias(c.column)
        if c.name == corrupt
        else cells[c.name].cast(carrier(c.dtype)).alias(c.column)
        for c in group.columns
    ]
    frame = pl.DataFrame(columns or [pl.Series("\0rows", [None]).new_from_index(0, len(texts))])
    return MalformedRows(group.options, group.context, group.files).handled(frame, bad, texts)


def supports(dtype: DataType) -> bool:
    """All but old intervals."""
    return not isinstance(dtype, CalendarIntervalType)


def _sink(group: WriteGroup, target: Any) -> Any:
    tag = row_tag(group.options)
    fields = group.data_attributes
    schema = StructType([StructField(a.name, a.dtype, True) for a in fields])

    def lines(batch: pl.DataFrame) -> pl.DataFrame:
        named = [batch[a.column].alias(n) for a, n in zip(fields, struct_carrier_names(schema), strict=True)]
        trees = xml_functions.trees_of(pl.DataFrame(named).to_struct("row"), schema, group.options, group.context)
        written = ["\n".join(xml_functions.element_lines(tag, t, group.options, "    ")) for t in trees]
        keys = [batch[k] for k in group.keys]
        return pl.DataFrame([pl.Series("line", written, dtype=pl.String), *keys])

    kept = group.frame.select(*[a.column for a in fields], *group.keys)
    output = {"line": pl.String(), **{k: pl.String() for k in group.keys}}
    rendered = kept.map_batches(lines, schema=output, streamable=True, validate_output_schema=False)
    return sink_lines(rendered, target)


def _finish(path: str, group: WriteGroup) -> None:
    """Put the root element around the rows."""
    root = group.options.get("rootTag", "ROWS")
    declaration = group.options.get("declaration")
    head = _DECLARATION if declaration is None else f"<?xml {declaration}?>" if declaration else ""
    staged = f"{path}.rows"
    os.rename(path, staged)
    with open(staged, encoding="utf-8") as rows, open(path, "w", encoding="utf-8", newline="") as target:
        target.write(f"{head}\n<{root}>\n" if head else f"<{root}>\n")
        for line in rows:
            target.write(line)
        target.write(f"</{root.split()[0]}>")
    os.remove(staged)
    compress_text(path, group)


def _check(options: Options) -> None:
    row_tag(options)
    check_text_codec(options)


SOURCE = Source(
    names=("xml", "org.apache.spark.sql.execution.datasources.xml"),
    title="XML",
    infer=infer,
    scan=scan,
    supports=supports,
    writer=FileWriter(text_extension(".xml"), _check, _sink, _finish),
)
