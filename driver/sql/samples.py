"""TABLESAMPLE made into an unresolved relation, with Spark's refusals."""

from __future__ import annotations

from decimal import Decimal

from sqlglot import exp

from voltray.driver.plan import relations as r
from voltray.driver.sql import expressions as e
from voltray.driver.sql.context import SqlText
from voltray.proto.failures import ErrorKind, SparkError, spark_error

_ROUNDING = Decimal("0.000001")


def convert_sample(node: exp.TableSample, child: r.Relation, text: SqlText) -> r.Relation:
    """Rows of a sample: a number of them, a percentage, or buckets."""
    seed = int(node.args["seed"].name) if node.args.get("seed") is not None else None
    if node.args.get("size") is not None:
        size = node.args["size"]
        return r.Limit(child, e.convert(size, text), origin=text.origin(size))
    if node.args.get("bucket_numerator") is not None:
        field = node.args.get("bucket_field")
        if field is not None:
            shown = "colname" if isinstance(field, exp.Column) else "function"
            raise _refused("_LEGACY_ERROR_TEMP_0015", node, text, msg=f"BUCKET x OUT OF y ON {shown}")
        upper = Decimal(node.args["bucket_numerator"].name) / Decimal(node.args["bucket_denominator"].name)
        return _fraction(upper, seed, node, child, text)
    if node.args.get("percent") is not None:
        return _fraction(Decimal(node.args["percent"].name) / 100, seed, node, child, text)
    method = node.args.get("method")
    if method is None:
        raise _refused("_LEGACY_ERROR_TEMP_0014", node, text)
    word = text.source(method)
    if word[:1].isdigit() and word[-1:].isalpha():
        raise _refused("_LEGACY_ERROR_TEMP_0015", node, text, msg="byteLengthLiteral")
    raise _refused("_LEGACY_ERROR_TEMP_0016", node, text, bytesStr=word)


def _fraction(upper: Decimal, seed: int | None, node: exp.TableSample, child: r.Relation, text: SqlText) -> r.Relation:
    if not -_ROUNDING <= upper <= 1 + _ROUNDING:
        words = f"Sampling fraction ({float(upper)}) must be on interval [0, 1]"
        raise _refused("_LEGACY_ERROR_TEMP_0064", node, text, msg=words)
    return r.Sample(child, 0.0, float(upper), False, seed)


def _refused(condition: str, node: exp.Expression, text: SqlText, **parameters: object) -> SparkError:
    place = text.place(node)
    contexts = (place,) if place is not None else ()
    return spark_error(condition, ErrorKind.PARSE, contexts=contexts, extra=parameters)
