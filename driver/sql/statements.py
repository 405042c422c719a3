"""SQL text to statements: the sqlglot trees that are not queries, one converter for each."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from sqlglot import exp

from voltray.driver.plan import statements as s
from voltray.driver.plan.relations import Relation
from voltray.driver.sql import expressions as e
from voltray.driver.sql.commands import parse_command
from voltray.driver.sql.context import SqlText
from voltray.driver.sql.markers import with_parameters
from voltray.driver.sql.parser import QUERY_NODES, parse_statement
from voltray.driver.sql.queries import convert_query
from voltray.driver.sql.routines import parse_create_function
from voltray.driver.sql.variables import parse_variable_statement
from voltray.proto.expressions import Expression
from voltray.proto.failures import ErrorKind, spark_error
from voltray.proto.types import StructField, StructType


_QUERY = re.compile(r"(?:\s|--[^\n]*\n|/\*.*?\*/|\()*(?:select|with|values|from|table)\b", re.IGNORECASE | re.DOTALL)


def parse_sql(
    text: str, named: tuple[tuple[str, Expression], ...] = (), positional: tuple[Expression, ...] = ()
) -> Relation | s.Statement:
    """A query's relation, or the statement that a text is."""
    if (named or positional) and not _QUERY.match(text):
        text = with_parameters(text, dict(named), positional)
        named, positional = (), ()
    command = parse_create_function(text) or parse_variable_statement(text) or parse_command(text)
    if command is not None:
        return command
    tree = parse_statement(text)
    source = SqlText(text, convert_query, named, positional)
    if isinstance(tree, QUERY_NODES):
        return convert_query(tree, source)
    converter = _STATEMENTS.get(type(tree))
    if converter is None:
        words = " ".join(text.split()[:2]).upper()
        raise source.error(f"{words} is not a statement of Spark SQL", tree)
    return converter(tree, source)


def _name(node: exp.Expression) -> s.Name:
    table: Any = node.this if isinstance(node, exp.Schema) else node
    return tuple([part.name for part in table.parts])


def _properties(node: exp.Expression) -> list[exp.Expression]:
    clause = node.args.get("properties")
    return list(clause.expressions) if clause is not None else []


def _pairs(nodes: list[exp.Expression]) -> s.Options:
    return tuple([(_key(n.this), n.args["value"].name) for n in nodes if type(n) is exp.Property])


def _key(node: Any) -> str:
    return node if isinstance(node, str) else ".".join([p.name for p in getattr(node, "parts", [node])])


def _one(nodes: list[exp.Expression], kind: type[exp.Expression]) -> Any:
    return next((n for n in nodes if isinstance(n, kind)), None)


def _text_of(node: Any) -> str | None:
    return node.this.name if node is not None else None


# ---- CREATE ---------------------------------------------------------------------------------------
def _create(node: exp.Create, text: SqlText) -> s.Statement:
    kind = str(node.args["kind"]).upper()
    if kind == "VIEW":
        return _create_view(node, text)
    if kind == "TABLE":
        return _create_table(node, text)
    if kind in ("DATABASE", "SCHEMA", "NAMESPACE"):
        properties = _properties(node)
        return s.CreateDatabase(
            _name(node.this),
            bool(node.args.get("exists")),
            _text_of(_one(properties, exp.SchemaCommentProperty)),
            _text_of(_one(properties, exp.LocationProperty)),
            _pairs(properties),
        )
    if kind == "FUNCTION" and isinstance(node.expression, exp.Literal):
        temporary = _one(_properties(node), exp.TemporaryProperty) is not None
        replace, exists = bool(node.args.get("replace")), bool(node.args.get("exists"))
        return s.CreateFunction(_name(node.this), node.expression.name, temporary, replace, exists)
    return s.NotSupported(f"CREATE {kind}")


def _create_view(node: exp.Create, text: SqlText) -> s.Statement:
    properties = _properties(node)
    temporary, is_global = _one(properties, exp.TemporaryProperty), _one(properties, exp.GlobalProperty)
    scope = "global" if is_global is not None else "temporary" if temporary is not None else "persistent"
    replace = bool(node.args.get("replace"))
    if node.expression is None:
        file_format = _one(properties, exp.FileFormatProperty)
        if file_format is None:
            raise text.error("a view needs AS and a query", node)
        schema = _schema(node.this, text) if isinstance(node.this, exp.Schema) else None
        options = _table_options(properties)
        return s.CreateTemporaryViewUsing(
            _name(node.this), file_format.this.name, schema, options, replace, is_global is not None
        )
    return s.CreateView(
        _name(node.this),
        convert_query(node.expression, text),
        _query_text(text.text),
        scope,
        replace,
        bool(node.args.get("exists")),
        _view_columns(node.this),
        _text_of(_one(properties, exp.SchemaCommentProperty)),
        _pairs(properties),
    )


def _query_text(text: str) -> str:
    match = re.search(r"\bas\b\s*(?=\(*\s*(select|with|values|from|table)\b)", text, re.IGNORECASE)
    return text[match.end() :].strip().rstrip(";") if match else text


def _view_columns(node: exp.Expression) -> tuple[tuple[str, str | None], ...]:
    if not isinstance(node, exp.Schema):
        return ()
    columns = []
    for column in node.expressions:
        comment = column.find(exp.CommentColumnConstraint) if isinstance(column, exp.ColumnDef) else None
        columns.append((column.name, comment.this.name if comment is not None else None))
    return tuple(columns)


def _schema(node: exp.Schema, text: SqlText) -> StructType:
    fields = []
    for column in node.expressions:
        if not isinstance(column, exp.ColumnDef):
            continue
        comment = column.find(exp.CommentColumnConstraint)
        required = any(
            isinstance(c.kind, exp.NotNullColumnConstraint) and not c.kind.args.get("allow_null")
            for c in column.args.get("constraints") or []
        )
        metadata = {"comment": comment.this.name} if comment is not None else {}
        fields.append(StructField(column.name, e.data_type(column.args["kind"], text), not required, metadata))
    return StructType(fields)


def _defaults(node: exp.Schema) -> tuple[tuple[str, str], ...]:
    found = []
    for column in node.expressions:
        default = column.find(exp.DefaultColumnConstraint) if isinstance(column, exp.ColumnDef) else None
        if default is not None:
            found.append((column.name, default.this.sql(dialect="spark")))
    return tuple(found)


def _table_options(properties: list[exp.Expression]) -> s.Options:
    clause = _one(properties, exp.OptionsProperty)
    return _pairs(clause.expressions) if clause is not None else ()


def _create_table(node: exp.Create, text: SqlText) -> s.Statement:
    properties = _properties(node)
    columns = isinstance(node.this, exp.Schema) and any(isinstance(c, exp.ColumnDef) for c in node.this.expressions)
    file_format, like = _one(properties, exp.FileFormatProperty), _one(properties, exp.LikeProperty)
    bucket = _one(properties, exp.ClusteredByProperty)
    partition = _one(properties, exp.PartitionedByProperty)
    schema = _schema(node.this, text) if columns else None
    names: tuple[str, ...] = ()
    if partition is not None:
        names = tuple([c.name for c in partition.this.expressions])
        typed = [c for c in partition.this.expressions if isinstance(c, exp.ColumnDef)]
        if typed and schema is not None:
            extra = _schema(exp.Schema(this=None, expressions=typed), text)
            schema = StructType([*schema.fields, *extra.fields])
    return s.CreateTable(
        _name(node.this),
        schema,
        file_format.this.name if file_format is not None else None,
        bool(node.args.get("exists")),
        replace=bool(node.args.get("replace")),
        external=_one(properties, exp.ExternalProperty) is not None,
        partition_columns=names,
        bucket_columns=tuple([c.name for c in bucket.expressions]) if bucket is not None else (),
        num_buckets=int(bucket.args["buckets"].name) if bucket is not None else None,
        options=_table_options(properties),
        location=_text_of(_one(properties, exp.LocationProperty)),
        comment=_text_of(_one(properties, exp.SchemaCommentProperty)),
        properties=_pairs(properties),
        query=convert_query(node.expression, text) if node.expression is not None else None,
        like=_name(like.this) if like is not None else None,
        defaults=_defaults(node.this) if columns else (),
    )


# ---- others ---------------------------------------------------------------------------------------
def _drop(node: exp.Drop, text: SqlText) -> s.Statement:
    kind, exists = str(node.args["kind"]).upper(), bool(node.args.get("exists"))
    tables = node.args.get("tables") or ([node.this] if node.this is not None else [])
    if not tables:
        raise text.error("DROP needs a name", node)
    name = _name(tables[0])
    if kind == "TABLE":
        return s.DropTable(name, exists)
    if kind == "VIEW":
        return s.DropView(name, exists)
    if kind in ("DATABASE", "SCHEMA", "NAMESPACE"):
        return s.DropDatabase(name, exists, bool(node.args.get("cascade")))
    if kind == "FUNCTION":
        return s.DropFunction(name, bool(node.args.get("temporary")), exists)
    return s.NotSupported(f"DROP {kind}")


def _insert(node: exp.Insert, text: SqlText) -> s.Statement:
    target = node.this
    if not isinstance(target, (exp.Table, exp.Schema)):
        return s.NotSupported("INSERT OVERWRITE DIRECTORY")
    table = target.this if isinstance(target, exp.Schema) else target
    columns = tuple([c.name for c in target.expressions]) if isinstance(target, exp.Schema) else ()
    partition: list[tuple[str, Expression | None]] = []
    clause = table.args.get("partition")
    for item in clause.expressions if clause is not None else []:
        if isinstance(item, exp.EQ):
            partition.append((item.this.name, e.convert(item.expression, text)))
        else:
            partition.append((item.name, None))
    if node.args.get("where") is not None:
        return s.NotSupported("INSERT INTO ... REPLACE WHERE")
    query = convert_query(node.expression, text)
    overwrite, by_name = bool(node.args.get("overwrite")), bool(node.args.get("by_name"))
    return s.Insert(_name(table), query, overwrite, columns, by_name, tuple(partition))


def _use(node: exp.Use, text: SqlText) -> s.Statement:
    return s.Use(_name(node.this))


def _set(node: exp.Set, text: SqlText) -> s.Statement:
    items = node.expressions
    if len(items) == 1 and str(items[0].args.get("kind") or "") == "VARIABLE" and isinstance(items[0].this, exp.EQ):
        assignment = items[0].this
        target = assignment.this
        name = tuple([p.name for p in target.parts]) if isinstance(target, exp.Column) else (target.name,)
        return s.SetVariable(name, e.convert(assignment.expression, text))
    return s.NotSupported("SET with several variables")


def _declare(node: exp.Declare, text: SqlText) -> s.Statement:
    item = node.expressions[0]
    targets = item.this if isinstance(item.this, list) else [item.this]
    kind, default = item.args.get("kind"), item.args.get("default")
    return s.DeclareVariable(
        (targets[0].name,),
        e.data_type(kind, text) if kind is not None else None,
        e.convert(default, text) if isinstance(default, exp.Expression) else None,
        bool(node.args.get("replace")),
    )


def _truncate(node: exp.TruncateTable, text: SqlText) -> s.Statement:
    return s.TruncateTable(_name(node.expressions[0]))


def _cache(node: exp.Cache, text: SqlText) -> s.Statement:
    query = convert_query(node.expression, text) if node.expression is not None else None
    return s.CacheTable(_name(node.this), query, bool(node.args.get("lazy")))


def _uncache(node: exp.Uncache, text: SqlText) -> s.Statement:
    return s.UncacheTable(_name(node.this), bool(node.args.get("exists")))


def _refresh(node: exp.Refresh, text: SqlText) -> s.Statement:
    return s.RefreshTable(_name(node.this) if isinstance(node.this, exp.Table) else (node.this.name,))


def _describe(node: exp.Describe, text: SqlText) -> s.Statement:
    target = node.this
    extended = str(node.args.get("style") or "").upper() in ("EXTENDED", "FORMATTED")
    if isinstance(target, QUERY_NODES):
        return s.Describe("query", query=convert_query(target, text))
    return s.Describe("table", _name(target), extended)


def _unsupported(what: str) -> Callable[[Any, SqlText], s.Statement]:
    def converted(node: Any, text: SqlText) -> s.Statement:
        return s.NotSupported(what)

    return converted


def _text_command(node: exp.Command, text: SqlText) -> s.Statement:
    raise spark_error("PARSE_SYNTAX_ERROR", ErrorKind.PARSE, error=f"'{node.this}'", hint="")


_STATEMENTS: Mapping[type[exp.Expression], Callable[[Any, SqlText], s.Statement]] = {
    exp.Create: _create,
    exp.Drop: _drop,
    exp.Insert: _insert,
    exp.Use: _use,
    exp.Set: _set,
    exp.Declare: _declare,
    exp.TruncateTable: _truncate,
    exp.Cache: _cache,
    exp.Uncache: _uncache,
    exp.Refresh: _refresh,
    exp.Describe: _describe,
    exp.Command: _text_command,
    exp.Alter: _unsupported("ALTER"),
    exp.Delete: _unsupported("DELETE"),
    exp.Update: _unsupported("UPDATE"),
    exp.Merge: _unsupported("MERGE"),
    exp.Analyze: _unsupported("ANALYZE"),
    exp.MultitableInserts: _unsupported("INSERT into several tables"),
}
