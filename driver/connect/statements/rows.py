"""What a statement answers with: a few rows of text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from voltray.proto.types import BOOLEAN, STRING, StructField, StructType


@dataclass(frozen=True, slots=True)
class Rows:
    """A schema and rows of internal values."""

    schema: StructType
    rows: tuple[tuple[object, ...], ...] = ()


NOTHING = Rows(StructType([]))


def text_rows(names: Sequence[str], rows: Sequence[Sequence[object]], nullable: Sequence[str] = ()) -> Rows:
    """Rows of strings (and Booleans, for names that start with ``is``)."""
    fields = [StructField(n, BOOLEAN if n.startswith("is") else STRING, n in nullable) for n in names]
    return Rows(StructType(fields), tuple([tuple(row) for row in rows]))
