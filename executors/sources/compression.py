"""Compression codecs: the check of their names, and whole-file compression of text formats."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import shutil
import zlib
from collections.abc import Callable
from typing import Any

import zstandard

from voltray.proto.failures import ErrorKind, spark_error

# Codec -> the extension of a text file that it compresses.
TEXT_CODECS = {
    "bzip2": ".bz2", "deflate": ".deflate", "uncompressed": "", "snappy": ".snappy", "none": "", "lz4": ".lz4",
    "gzip": ".gz",
}  # fmt: skip
_BLOCK = 1 << 20
_COMPRESSORS: dict[str, Callable[[Any], Any]] = {
    "gzip": lambda target: gzip.GzipFile(fileobj=target, mode="wb", compresslevel=6),
    "bzip2": lambda target: bz2.BZ2File(target, "wb"),
}
_ALIASES = {
    "org.apache.hadoop.io.compress.gzipcodec": "gzip",
    "org.apache.hadoop.io.compress.bzip2codec": "bzip2",
    "org.apache.hadoop.io.compress.deflatecodec": "deflate",
}


def check_codec(name: str, available: tuple[str, ...]) -> None:
    """Refuse a codec that the format does not know, as Spark does."""
    if name not in available:
        raise spark_error(
            "CODEC_NOT_AVAILABLE.WITH_AVAILABLE_CODECS_SUGGESTION",
            ErrorKind.ILLEGAL_ARGUMENT,
            codecName=name,
            availableCodecs=", ".join(available),
        )


def text_codec(name: str) -> str:
    """The canonical name of a text format's codec."""
    lowered = name.lower()
    codec = _ALIASES.get(lowered, lowered)
    check_codec(codec, tuple(TEXT_CODECS))
    if codec in ("lz4", "snappy"):
        raise spark_error("CODEC_NOT_AVAILABLE.WITH_CONF_SUGGESTION", ErrorKind.ILLEGAL_ARGUMENT, codecName=codec)
    return codec


def compress_file(path: str, codec: str) -> None:
    """Replace a file by its compressed form."""
    staged = f"{path}.plain"
    os.rename(path, staged)
    with open(staged, "rb") as plain, open(path, "wb") as target:
        if codec == "deflate":
            compressor = zlib.compressobj()
            while block := plain.read(_BLOCK):
                target.write(compressor.compress(block))
            target.write(compressor.flush())
        else:
            with _COMPRESSORS[codec](target) as packed:
                shutil.copyfileobj(plain, packed, _BLOCK)
    os.remove(staged)


def is_compressed(path: str) -> bool:
    """Whether a text file's extension says that it is compressed."""
    return path.endswith((".gz", ".bz2", ".zst", ".zstd", ".deflate", ".xz", ".lz4", ".snappy"))


def read_bytes(path: str) -> bytes:
    """A whole text file, decompressed by its extension."""
    if path.endswith(".gz"):
        with gzip.open(path, "rb") as file:
            return file.read()
    if path.endswith(".bz2"):
        with bz2.open(path, "rb") as file:
            return file.read()
    if path.endswith((".zst", ".zstd")):
        with zstandard.open(path, "rb") as file:
            return bytes(file.read())
    if path.endswith(".xz"):
        with lzma.open(path, "rb") as file:
            return file.read()
    with open(path, "rb") as plain:
        data = plain.read()
    return zlib.decompress(data) if path.endswith(".deflate") else data
