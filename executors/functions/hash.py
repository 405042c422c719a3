"""Hash functions: of values (hash, xxhash64) and of bytes (md5, sha1, sha2, crc32)."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import polars as pl

from voltray.executors.functions.columns import by_unique, by_unique_rows
from voltray.executors.functions.evaluation import Evaluation, Rows
from voltray.executors.functions.hash_columns import MURMUR3, XXHASH64, Algorithm, hash_columns
from voltray.executors.functions.registry import (
    ANY,
    BINARY_INPUT,
    Function,
    Parameter,
    Signature,
    accepts_type,
    always_nullable,
    never_nullable,
    parameters,
)  # fmt: skip
from voltray.proto.expressions import Expression, dtype_of
from voltray.proto.types import INTEGER, LONG, STRING, ArrayType, DataType, MapType, StructType

SEED = 42


def _hash(algorithm: Algorithm, dtype: Any, evaluation: Evaluation, *values: pl.Expr) -> pl.Expr:
    types = [dtype_of(a) for a in evaluation.call.args]

    def run(rows: Rows, *columns: pl.Series) -> pl.Series:
        return pl.Series(hash_columns(algorithm, list(columns), types, SEED).view(dtype))

    return evaluation.columnwise(run, *values) if values else pl.lit(SEED)


def _contains_map(dtype: DataType) -> bool:
    match dtype:
        case MapType():
            return True
        case ArrayType():
            return _contains_map(dtype.elementType)
        case StructType():
            return any(_contains_map(f.dataType) for f in dtype.fields)
    return False


def _resolve(resolution: Any) -> Expression:
    if any(_contains_map(dtype_of(a)) for a in resolution.args):
        raise resolution.mismatch("HASH_MAP_TYPE", functionName=f"`{resolution.name}`")
    return resolution.call()  # type: ignore[no-any-return]


def _digest(function: Callable[[bytes], Any], dtype: pl.DataType) -> Callable[..., pl.Expr]:
    """A function of bytes as a body: a loop a distinct value."""
    return lambda evaluation, value: evaluation.columnwise(lambda rows, c: by_unique(c, function, dtype), value)


def _md5(value: bytes) -> str:
    return hashlib.md5(value, usedforsecurity=False).hexdigest()


def _sha1(value: bytes) -> str:
    return hashlib.sha1(value, usedforsecurity=False).hexdigest()


_SHA2 = {0: hashlib.sha256, 224: hashlib.sha224, 256: hashlib.sha256, 384: hashlib.sha384, 512: hashlib.sha512}


def _sha2_of(value: bytes, bits: int) -> str | None:
    function = _SHA2.get(bits)
    return None if function is None else function(value).hexdigest()


def _sha2(evaluation: Evaluation, value: pl.Expr, bits: pl.Expr) -> pl.Expr:
    def run(rows: Rows, column: pl.Series, sizes: pl.Series) -> pl.Series:
        if sizes.n_unique() == 1:
            size = sizes[0]
            return by_unique(column, lambda v: None if size is None else _sha2_of(v, size), pl.String())
        return by_unique_rows([column, sizes], _sha2_of, pl.String())

    return evaluation.columnwise(run, value, bits)


_VALUES = Signature((Parameter("expr", ANY),), repeated=1, minimum=1)
_BYTES = parameters(("expr", BINARY_INPUT))
_LOOP = "A loop a distinct value, over hashlib or zlib."

FUNCTIONS: tuple[Function, ...] = (
    Function(
        ("hash",), _VALUES, INTEGER, partial(_hash, MURMUR3, np.int32), nullable=never_nullable, resolve=_resolve
    ),
    Function(
        ("xxhash64",), _VALUES, LONG, partial(_hash, XXHASH64, np.int64), nullable=never_nullable, resolve=_resolve
    ),
    Function(("md5",), _BYTES, STRING, _digest(_md5, pl.String()), notes=_LOOP),
    Function(("sha", "sha1"), _BYTES, STRING, _digest(_sha1, pl.String()), notes=_LOOP),
    Function(
        ("sha2",), parameters(("expr", BINARY_INPUT), ("bitLength", accepts_type(INTEGER))), STRING, _sha2,
        nullable=always_nullable, notes=_LOOP,
    ),
    Function(("crc32",), _BYTES, LONG, _digest(zlib.crc32, pl.Int64()), notes=_LOOP),
)  # fmt: skip
