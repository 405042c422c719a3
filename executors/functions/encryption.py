"""AES encryption, in the modes and layouts of Spark: GCM (iv, text, tag), CBC (iv, text), ECB."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import polars as pl

from voltray.executors.functions.evaluation import NEVER, Evaluation, Rows
from voltray.executors.functions.registry import (
    BINARY_INPUT,
    STRING_INPUT,
    Function,
    Parameter,
    Signature,
    always_nullable,
)  # fmt: skip
from voltray.proto.expressions import Literal
from voltray.proto.failures import ErrorKind, SparkError, spark_error
from voltray.proto.types import BINARY, STRING

_FUNCTION = "`aes_encrypt`/`aes_decrypt`"
_PADDINGS = {
    ("GCM", "DEFAULT"),
    ("GCM", "NONE"),
    ("CBC", "DEFAULT"),
    ("CBC", "PKCS"),
    ("ECB", "DEFAULT"),
    ("ECB", "PKCS"),
}
_IV_LENGTHS = {"GCM": 12, "CBC": 16}


def _parameter_error(kind: str, **parameters: object) -> SparkError:
    return spark_error(
        f"INVALID_PARAMETER_VALUE.{kind}", ErrorKind.RUNTIME, extra={**parameters, "functionName": _FUNCTION}
    )


def _crypto_error(detail: str) -> SparkError:
    return _parameter_error("AES_CRYPTO_ERROR", parameter="`expr`, `key`", detailMessage=detail)


def _cipher(key: bytes, mode: str, padding: str) -> Any:
    from cryptography.hazmat.primitives.ciphers import algorithms

    if (mode, padding) not in _PADDINGS:
        raise spark_error(
            "UNSUPPORTED_FEATURE.AES_MODE", ErrorKind.RUNTIME, mode=mode, padding=padding, functionName=_FUNCTION
        )
    if len(key) not in (16, 24, 32):
        raise _parameter_error("AES_KEY_LENGTH", parameter="`key`", actualLength=len(key))
    return algorithms.AES(key)


def _block_mode(mode: str, iv: bytes) -> Any:
    from cryptography.hazmat.primitives.ciphers import modes

    return modes.CBC(iv) if mode == "CBC" else modes.ECB()


def encrypt(value: bytes, key: bytes, mode: str, padding: str, iv: bytes, aad: bytes) -> bytes:
    """One value encrypted; a random iv where none is given."""
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.padding import PKCS7

    mode, padding = mode.upper(), padding.upper()
    algorithm = _cipher(key, mode, padding)
    if mode == "ECB" and iv:
        raise spark_error("UNSUPPORTED_FEATURE.AES_MODE_IV", ErrorKind.RUNTIME, mode=mode, functionName=_FUNCTION)
    if mode != "GCM" and aad:
        raise spark_error("UNSUPPORTED_FEATURE.AES_MODE_AAD", ErrorKind.RUNTIME, mode=mode, functionName=_FUNCTION)
    if mode != "ECB":
        iv = iv or os.urandom(_IV_LENGTHS[mode])
        if len(iv) != _IV_LENGTHS[mode]:
            raise _parameter_error("AES_IV_LENGTH", mode=mode, parameter="`iv`", actualLength=len(iv))
    if mode == "GCM":
        return iv + AESGCM(key).encrypt(iv, value, aad or None)
    padder = PKCS7(128).padder()
    encryptor = Cipher(algorithm, _block_mode(mode, iv)).encryptor()
    return iv + encryptor.update(padder.update(value) + padder.finalize()) + encryptor.finalize()


def decrypt(value: bytes, key: bytes, mode: str, padding: str, aad: bytes) -> bytes:
    """One value decrypted."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.padding import PKCS7

    mode, padding = mode.upper(), padding.upper()
    algorithm = _cipher(key, mode, padding)
    size = _IV_LENGTHS.get(mode, 0)
    iv, body = value[:size], value[size:]
    if len(iv) < size:
        raise _crypto_error("Invalid buffer arguments")
    try:
        if mode == "GCM":
            return AESGCM(key).decrypt(iv, body, aad or None)
        decryptor = Cipher(algorithm, _block_mode(mode, iv)).decryptor()
        unpadder = PKCS7(128).unpadder()
        return unpadder.update(decryptor.update(body) + decryptor.finalize()) + unpadder.finalize()
    except InvalidTag as error:
        raise _crypto_error("Tag mismatch") from error
    except ValueError as error:
        raise _crypto_error(str(error)) from error


def _over_rows(function: Callable[..., bytes], tolerant: bool) -> Callable[..., pl.Expr]:
    def body(evaluation: Evaluation, *values: pl.Expr) -> pl.Expr:
        quiet = tolerant or evaluation.guard is NEVER

        def run(rows: Rows, *columns: pl.Series) -> pl.Series:
            cells = zip(*[c.to_list() for c in columns], strict=True)
            return pl.Series([_one(rows, i, row) for i, row in enumerate(cells)], dtype=pl.Binary)

        def _one(rows: Rows, position: int, row: tuple[Any, ...]) -> bytes | None:
            if None in row or not rows.holds(position):
                return None
            try:
                return function(*row)
            except SparkError:
                if quiet:
                    return None
                raise

        return evaluation.columnwise(run, *values)

    return body


_MODE = (
    Parameter("mode", STRING_INPUT, default=Literal("GCM", STRING)),
    Parameter("padding", STRING_INPUT, default=Literal("DEFAULT", STRING)),
)
_AAD = Parameter("aad", BINARY_INPUT, default=Literal(b"", BINARY))
_IV = Parameter("iv", BINARY_INPUT, default=Literal(b"", BINARY))
_BASE = (Parameter("expr", BINARY_INPUT), Parameter("key", BINARY_INPUT))
_ENCRYPT = Signature((*_BASE, *_MODE, _IV, _AAD))
_DECRYPT = Signature((*_BASE, *_MODE, _AAD))


def _shown(name: str, defaults: tuple[str, ...]) -> Callable[[tuple[str, ...]], str]:
    return lambda names: f"{name}({', '.join([*names, *defaults[len(names) - 2 :]])})"


_LOOP = "A loop a row, over the cryptography package."

FUNCTIONS: tuple[Function, ...] = (
    Function(
        ("aes_encrypt",), _ENCRYPT, BINARY, _over_rows(encrypt, False), nullable=always_nullable,
        display=_shown("aes_encrypt", ("GCM", "DEFAULT", "", "")), deterministic=False, foldable=False, notes=_LOOP,
    ),
    Function(
        ("aes_decrypt",), _DECRYPT, BINARY, _over_rows(decrypt, False), nullable=always_nullable,
        display=_shown("aes_decrypt", ("GCM", "DEFAULT", "")), notes=_LOOP,
    ),
    Function(
        ("try_aes_decrypt",), _DECRYPT, BINARY, _over_rows(decrypt, True), nullable=always_nullable,
        display=_shown("try_aes_decrypt", ("GCM", "DEFAULT", "")), notes=_LOOP,
    ),
)  # fmt: skip
