"""XML: from_xml, to_xml, schema_of_xml."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

import numpy as np
import polars as pl

from voltray.executors.functions import lists
from voltray.executors.functions.evaluation import Evaluation, EvaluationContext, Rows
from voltray.executors.functions.json import without_corrupt
from voltray.executors.functions.registry import ANY, Accept, Function, Parameter, Signature, always_nullable
from voltray.executors.functions.schema_arguments import (
    bad_record,
    constant_text,
    given_schema,
    nullable_type,
    options_of,
)  # fmt: skip
from voltray.proto.expressions import Expression, Literal, dtype_of
from voltray.proto.types import (
    BOOLEAN,
    DATE,
    DOUBLE,
    LONG,
    NULL,
    STRING,
    TIMESTAMP,
    ArrayType,
    DataType,
    MapType,
    NullType,
    StringType,
    StructField,
    StructType,
    VariantType,
    carrier,
    sql_type,
    struct_carrier_names,
)  # fmt: skip

Element = ElementTree.Element
Node = Element | str | None
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}$")
_NOTE = "XML texts are parsed and written one by one; what they hold becomes columns field by field."


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def read_element(text: str) -> Element | None:
    """The root of an XML text, None where it is none."""
    try:
        return ElementTree.fromstring(text.strip())
    except ElementTree.ParseError:
        return None


@dataclass(frozen=True, slots=True)
class XmlColumns:
    """Turns elements into columns, one field of all records at a time."""

    options: Mapping[str, str]
    context: EvaluationContext

    @property
    def prefix(self) -> str:
        """What stands before an attribute's name."""
        return self.options.get("attributePrefix", "_")

    @property
    def value_tag(self) -> str:
        """The field for an element's own text."""
        return self.options.get("valueTag", "_VALUE")

    def column(self, nodes: Sequence[Node], dtype: DataType) -> tuple[pl.Series, np.ndarray]:
        """The nodes as a column, and those of which some part does not fit."""
        match dtype:
            case StructType():
                return self._struct(nodes, dtype)
            case MapType():
                return self._map(nodes, dtype)
            case ArrayType():
                return self._arrays([[n] if n is not None else None for n in nodes], dtype)
        return self._leaf(nodes, dtype)

    def _struct(self, nodes: Sequence[Node], dtype: StructType) -> tuple[pl.Series, np.ndarray]:
        known = np.array([isinstance(n, Element) or bool(n) for n in nodes], dtype=bool)
        bad = np.zeros(len(nodes), dtype=bool)
        columns = []
        for name, field in zip(struct_carrier_names(dtype), dtype.fields, strict=True):
            found = [self._children(n, field.name) for n in nodes]
            if isinstance(field.dataType, ArrayType):
                inner, wrong = self._arrays([f or None for f in found], field.dataType)
            else:
                inner, wrong = self.column([f[-1] if f else None for f in found], field.dataType)
            bad |= wrong
            columns.append(inner.alias(name))
        whole = pl.DataFrame(columns).to_struct("struct")
        return whole.zip_with(pl.Series(known), pl.Series([None], dtype=whole.dtype)), bad

    def _children(self, node: Node, name: str) -> list[Node]:
        if node is None:
            return []
        if name == self.value_tag:
            text = node if isinstance(node, str) else "".join([node.text or "", *[c.tail or "" for c in node]]).strip()
            return [text] if text else []
        if isinstance(node, str):
            return []
        wanted = name.lower()
        if name.startswith(self.prefix):
            held = {(self.prefix + _local(k)).lower(): v for k, v in node.attrib.items()}
            if wanted in held:
                return [held[wanted]]
        return [c for c in node if _local(c.tag).lower() == wanted]

    def _arrays(self, groups: Sequence[list[Node] | None], dtype: ArrayType) -> tuple[pl.Series, np.ndarray]:
        lengths = np.array([len(g) if g else 0 for g in groups], dtype=np.int64)
        items, wrong = self.column([n for g in groups if g for n in g], dtype.elementType)
        bad = np.zeros(len(groups), dtype=bool)
        bad[np.repeat(np.arange(len(groups)), lengths)[wrong]] = True
        return lists.build(items, lengths, np.array([g is not None for g in groups], dtype=bool)), bad

    def _map(self, nodes: Sequence[Node], dtype: MapType) -> tuple[pl.Series, np.ndarray]:
        held: list[dict[str, Node]] = []
        for node in nodes:
            pairs: dict[str, Node] = {}
            if isinstance(node, Element):
                pairs |= {self.prefix + _local(k): v for k, v in node.attrib.items()}
                pairs |= {_local(c.tag): c for c in node}
            held.append(pairs)
        lengths = np.array([len(h) for h in held], dtype=np.int64)
        keys = pl.Series("key", [k for h in held for k in h], dtype=pl.String)
        items, wrong = self.column([v for h in held for v in h.values()], dtype.valueType)
        bad = np.zeros(len(nodes), dtype=bool)
        bad[np.repeat(np.arange(len(nodes)), lengths)[wrong]] = True
        known = np.array([isinstance(n, Element) for n in nodes], dtype=bool)
        return lists.build(
            pl.DataFrame([keys, items.alias("value")]).to_struct("entry"), lengths, known
        ).list.to_map(), bad

    def _leaf(self, nodes: Sequence[Node], dtype: DataType) -> tuple[pl.Series, np.ndarray]:
        from voltray.executors.sources.base import Options
        from voltray.executors.sources.text_values import parse_text

        texts = [self._text(n) for n in nodes]
        null = self.options.get("nullValue")
        texts = [None if t is None or t == null else t for t in texts]
        if not isinstance(dtype, StringType):
            texts = [t or None for t in texts]
        if isinstance(dtype, NullType | VariantType):
            return pl.Series([None], dtype=carrier(dtype)).new_from_index(0, len(nodes)), np.zeros(
                len(nodes), dtype=bool
            )
        given = pl.Series(texts, dtype=pl.String)
        column = parse_text(given, dtype, Options(self.options.items()), self.context)
        return column, (given.is_not_null() & column.is_null()).to_numpy()

    def _text(self, node: Node) -> str | None:
        if node is None or isinstance(node, str):
            return node
        if len(node):
            inner = "".join([node.text or "", *[ElementTree.tostring(c, encoding="unicode") for c in node]])
            return inner.strip()
        return (node.text or "").strip()


def _from_xml(evaluation: Evaluation, text: pl.Expr) -> pl.Expr:
    dtype = evaluation.call.dtype
    pairs = dict(evaluation.call.option("pairs", ()))
    name = pairs.get("columnNameOfCorruptRecord", "_corrupt_record")
    target, corrupt = without_corrupt(dtype, name)
    strict = pairs.get("mode", "PERMISSIVE").upper() == "FAILFAST"
    reader = XmlColumns(pairs, evaluation.context)

    def run(rows: Rows, texts: pl.Series) -> pl.Series:
        roots = [None if t is None else read_element(t) for t in texts.to_list()]
        broken = texts.is_not_null() & pl.Series([r is None for r in roots])
        blank = ElementTree.Element("blank")
        whole, wrong = reader.column([blank if r is None else r for r in roots], target)
        bad = broken | pl.Series(wrong)
        if strict:
            rows.refuse(bad, lambda: bad_record("[null]"))
        if corrupt is not None:
            cells = whole.struct.unnest().get_columns()
            cells.insert(corrupt, texts.zip_with(bad, pl.Series([None], dtype=pl.String)).alias(name))
            whole = pl.DataFrame(cells).to_struct("row")
        return whole.zip_with(texts.is_not_null(), pl.Series([None], dtype=whole.dtype)).cast(carrier(dtype))

    return evaluation.columnwise(run, text)


def _resolve_from_xml(resolution: Any) -> Expression:
    if not isinstance(dtype_of(resolution.args[0]), StringType | NullType):
        raise resolution.unexpected(0, '"STRING"')
    text = resolution.coerce(0, STRING)
    options = options_of(resolution, 2)
    dtype = given_schema(resolution, 1, options)
    if not isinstance(dtype, StructType):
        shown = {"inputSchema": f'"{resolution.names[1]}"', "dataType": f'"{sql_type(dtype)}"'}
        raise resolution.error("INVALID_SCHEMA.NON_STRUCT_TYPE", **shown)
    mode = dict(options).get("mode", "PERMISSIVE").upper()
    if mode == "DROPMALFORMED":
        raise resolution.error("PARSE_MODE_UNSUPPORTED", funcName="`from_xml`", mode=mode)
    return resolution.call((text,), nullable_type(dtype), True, (("pairs", options),))  # type: ignore[no-any-return]


# ---- to_xml ----------------------------------------------------------------------------------------
def _to_xml(evaluation: Evaluation, value: pl.Expr) -> pl.Expr:
    kind = dtype_of(evaluation.call.args[0])
    pairs = dict(evaluation.call.option("pairs", ()))
    tag = pairs.get("rowTag", "ROW")

    def run(rows: Rows, structs: pl.Series) -> pl.Series:
        trees = trees_of(structs, kind, pairs, evaluation.context)
        written = [None if t is None else "\n".join(element_lines(tag, t, pairs, "")) for t in trees]
        return pl.Series(written, dtype=pl.String)

    return evaluation.columnwise(run, value)


def trees_of(column: pl.Series, dtype: DataType, options: Mapping[str, str], context: EvaluationContext) -> list[Any]:
    """Values as texts, lists of them, and (name, value) pairs."""
    from voltray.executors.sources.base import Options
    from voltray.executors.sources.rendering import rendered_text

    match dtype:
        case StructType():
            names = struct_carrier_names(dtype)
            fields = [
                trees_of(column.struct.field(n), f.dataType, options, context)
                for n, f in zip(names, dtype.fields, strict=True)
            ]
            shown = [f.name for f in dtype.fields]
            cells = zip(*fields, strict=True) if fields else [()] * len(column)
            known = column.is_not_null().to_list()
            return [tuple(zip(shown, c, strict=True)) if k else None for c, k in zip(cells, known, strict=True)]
        case ArrayType():
            taken = lists.parts(column)
            items = trees_of(taken.values, dtype.elementType, options, context)
            return _grouped(items, taken, column)
        case MapType():
            taken = lists.parts(column.map.entries())
            keys = trees_of(taken.values.struct.field("key"), dtype.keyType, options, context)
            values = trees_of(taken.values.struct.field("value"), dtype.valueType, options, context)
            grouped = _grouped(list(zip(keys, values, strict=True)), taken, column)
            return [None if g is None else tuple(g) for g in grouped]
        case NullType():
            return [None] * len(column)
    text = rendered_text(pl.col("x"), dtype, Options(options.items()), context, "xml")
    return column.to_frame("x").select(text.alias("text")).to_series().to_list()


def _grouped(items: list[Any], taken: lists.Lists, column: pl.Series) -> list[Any]:
    ends = np.cumsum(taken.lengths)
    known = column.is_not_null().to_list()
    spans = zip(ends - taken.lengths, ends, known, strict=True)
    return [items[a:b] if k else None for a, b, k in spans]


def element_lines(tag: str, tree: Any, options: Mapping[str, str], indent: str) -> list[str]:
    """An element's lines."""
    if isinstance(tree, list):
        return [line for item in tree for line in element_lines(tag, item, options, indent)]
    null = options.get("nullValue")
    if tree is None:
        return [] if null is None else [f"{indent}<{tag}>{escape(null)}</{tag}>"]
    if isinstance(tree, str):
        return [f"{indent}<{tag}>{escape(tree)}</{tag}>"]
    prefix, value_tag = options.get("attributePrefix", "_"), options.get("valueTag", "_VALUE")
    attributes, inner, own = "", [], None
    for name, item in tree:
        if name == value_tag:
            own = item
        elif name.startswith(prefix) and isinstance(item, str):
            attributes += f" {name[len(prefix) :]}={quoteattr(item)}"
        elif not (name.startswith(prefix) and item is None):
            inner += element_lines(name, item, options, indent + "    ")
    if inner:
        return [f"{indent}<{tag}{attributes}>{escape(own or '')}", *inner, f"{indent}</{tag}>"]
    return [f"{indent}<{tag}{attributes}>{escape(own)}</{tag}>" if own else f"{indent}<{tag}{attributes}/>"]


def _resolve_to_xml(resolution: Any) -> Expression:
    if not isinstance(dtype_of(resolution.args[0]), StructType | VariantType):
        raise resolution.unexpected(0, '"STRUCT"')
    return resolution.call(resolution.args[:1], STRING, True, (("pairs", options_of(resolution, 1)),))  # type: ignore[no-any-return]


# ---- schema_of_xml ---------------------------------------------------------------------------------
def inferred_schema(text: str, options: Mapping[str, str], context: EvaluationContext) -> DataType:
    """The schema of one XML text."""
    root = read_element(text)
    if root is None:
        return StructType([StructField("_corrupt_record", STRING, True)])
    found = type_of(root, options, context)
    if not isinstance(found, StructType):
        found = StructType([StructField(options.get("valueTag", "_VALUE"), found, True)])
    return without_nulls(found)


def type_of(element: Element, options: Mapping[str, str], context: EvaluationContext) -> DataType:
    """The type that one element tells."""
    fields: dict[str, DataType] = {}
    if options.get("excludeAttribute", "false").lower() != "true":
        for name, value in element.attrib.items():
            fields[options.get("attributePrefix", "_") + _local(name)] = _text_type(value, options, context)
    repeated: set[str] = set()
    for child in element:
        name = _local(child.tag)
        kind = type_of(child, options, context)
        if name in fields:
            repeated.add(name)
            kind = merged_types(fields[name], kind)
        fields[name] = kind
    text = "".join([element.text or "", *[c.tail or "" for c in element]]).strip()
    if not fields:
        return _text_type(text, options, context)
    if text:
        fields[options.get("valueTag", "_VALUE")] = _text_type(text, options, context)
    typed = [(n, ArrayType(k, True) if n in repeated else k) for n, k in fields.items()]
    return StructType([StructField(n, k, True) for n, k in sorted(typed)])


def _text_type(text: str, options: Mapping[str, str], context: EvaluationContext) -> DataType:
    from voltray.executors.sources.base import Options
    from voltray.executors.sources.text_values import parse_text

    if not text:
        return NULL
    given = pl.Series([text], dtype=pl.String)
    for dtype in (LONG, DOUBLE, BOOLEAN, DATE, TIMESTAMP):
        if dtype == DATE and "dateFormat" not in options and not _DATE.match(text):
            continue
        if parse_text(given, dtype, Options(options.items()), context)[0] is not None:
            return dtype
    return STRING


def merged_types(left: DataType, right: DataType) -> DataType:
    """The narrowest type for values of both; strings in the end."""
    match left, right:
        case (NullType(), _):
            return right
        case (_, NullType()):
            return left
        case (StructType(), StructType()):
            types = {f.name: f.dataType for f in left.fields}
            for field in right.fields:
                types[field.name] = merged_types(types.get(field.name, NULL), field.dataType)
            return StructType([StructField(n, k, True) for n, k in sorted(types.items())])
    if {left, right} == {LONG, DOUBLE}:
        return DOUBLE
    return left if left == right else STRING


def without_nulls(dtype: DataType) -> DataType:
    """The type with strings where nothing but NULL was seen."""
    match dtype:
        case NullType():
            return STRING
        case ArrayType():
            return ArrayType(without_nulls(dtype.elementType), True)
        case StructType():
            return StructType([StructField(f.name, without_nulls(f.dataType), True) for f in dtype.fields])
    return dtype


def _resolve_schema_of_xml(resolution: Any) -> Expression:
    text = constant_text(resolution, 0, "xml")
    context = EvaluationContext(resolution.settings.time_zone, resolution.ansi)
    return Literal(sql_type(inferred_schema(text, dict(options_of(resolution, 1)), context)), STRING)


_OPTIONS = Parameter("options", Accept(), optional=True)

FUNCTIONS: tuple[Function, ...] = (
    Function(
        ("from_xml",), Signature((Parameter("xml", ANY), Parameter("schema", ANY), _OPTIONS)), STRING, _from_xml,
        resolve=_resolve_from_xml, nullable=always_nullable, display=lambda names: f"from_xml({names[0]})", notes=_NOTE,
    ),
    Function(
        ("to_xml",), Signature((Parameter("expr", ANY), _OPTIONS)), STRING, _to_xml, resolve=_resolve_to_xml,
        nullable=always_nullable, display=lambda names: f"to_xml({names[0]})", notes=_NOTE,
    ),
    Function(
        ("schema_of_xml",), Signature((Parameter("xml", ANY), _OPTIONS)), STRING, resolve=_resolve_schema_of_xml,
        display=lambda names: f"schema_of_xml({names[0]})",
    ),
)  # fmt: skip
