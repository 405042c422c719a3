"""Collations: their names, what they tell apart, and which of them an expression's text is under.

``UTF8_BINARY`` compares bytes, ``UTF8_LCASE`` the code points in lower case; the others are ICU's, by language
(``UNICODE`` is the root). ``_CI`` ignores case, ``_AI`` accents, ``_RTRIM`` trailing spaces. A text whose parts are
under different collations has none: its type is ``string collate null``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

from voltray.proto.edit_distance import edit_distance
from voltray.proto.failures import ErrorKind, SparkError, spark_error
from voltray.proto.types import ArrayType, DataType, MapType, StringType, StructField, StructType

UTF8_BINARY, INDETERMINATE = "UTF8_BINARY", "null"
ICU_VERSION = "77.1.0.0"
_SUFFIXES = (
    "", "_AI", "_AI_RTRIM", "_CI", "_CI_AI", "_CI_AI_RTRIM", "_CI_RTRIM", "_RTRIM",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Collation:
    """One collation. ``locale`` is ICU's, empty for the root; None where Spark compares without ICU."""

    name: str
    locale: str | None = None
    language: str | None = None
    country: str | None = None
    ignores_case: bool = False
    ignores_accents: bool = False
    trims: bool = False

    @property
    def row(self) -> tuple[str | None, ...]:
        """The collation as collations() lists it."""
        return (
            "SYSTEM", "BUILTIN", self.name, self.language, self.country,
            "ACCENT_INSENSITIVE" if self.ignores_accents else "ACCENT_SENSITIVE",
            "CASE_INSENSITIVE" if self.ignores_case else "CASE_SENSITIVE",
            "RTRIM" if self.trims else "NO_PAD", None if self.locale is None else ICU_VERSION,
        )  # fmt: skip


@lru_cache(maxsize=1)
def all_collations() -> dict[str, Collation]:
    """Every collation by its name in upper case, in Spark's order."""
    found = [
        Collation("UTF8_BINARY"),
        Collation("UTF8_LCASE", ignores_case=True),
        Collation("UTF8_BINARY_RTRIM", trims=True),
        Collation("UTF8_LCASE_RTRIM", ignores_case=True, trims=True),
        *_variants("UNICODE", "", None, None),
    ]
    text = resources.files("voltray.proto").joinpath("collation_locales.tsv").read_text(encoding="utf-8")
    for line in text.splitlines():
        name, locale, language, country = line.split("\t")
        found.extend(_variants(name, locale, language or None, country or None))
    return {c.name.upper(): c for c in found}


def _variants(name: str, locale: str, language: str | None, country: str | None) -> list[Collation]:
    return [
        Collation(name + s, locale, language, country, "_CI" in s, "_AI" in s, s.endswith("_RTRIM")) for s in _SUFFIXES
    ]


@lru_cache(maxsize=1024)
def collation_named(name: str) -> Collation:
    """The collation of a name, in any case and with its modifiers in any order, or COLLATION_INVALID_NAME."""
    known = all_collations()
    found = known.get(name.upper()) or known.get(_ordered(name.upper()))
    if found is None:
        raise _invalid(name)
    return found


def _ordered(name: str) -> str:
    parts = name.split("_")
    tail = [p for p in parts if p in ("CI", "AI", "CS", "AS", "RTRIM")]
    if len(set(tail)) != len(tail) or {"CI", "CS"} <= set(tail) or {"AI", "AS"} <= set(tail):
        return name
    kept = [m for m in ("CI", "AI", "RTRIM") if m in tail]
    if parts[len(parts) - len(tail) :] != tail or (parts[0].startswith("UTF8") and {"CS", "AS"} & set(tail)):
        return name
    return "_".join([*parts[: len(parts) - len(tail)], *kept])


def _invalid(name: str) -> SparkError:
    wanted = name.upper()
    nearest = min(all_collations().values(), key=lambda c: edit_distance(wanted, c.name.upper()))
    return spark_error("COLLATION_INVALID_NAME", ErrorKind.ANALYSIS, collationName=name, proposals=nearest.name)


def string_type(name: str) -> StringType:
    """The type of texts under a collation of any spelling."""
    return StringType(collation_named(name).name)


# ---- collations inside types ---------------------------------------------------------------------------
def collation_of(dtype: DataType) -> str | None:
    """The collation of the first text in a type; None where it holds no text."""
    match dtype:
        case StringType():
            return dtype.collation
        case ArrayType():
            return collation_of(dtype.elementType)
    return None


def is_collated(dtype: DataType) -> bool:
    """Whether any text in a type compares otherwise than by its bytes."""
    match dtype:
        case StringType():
            return dtype.collation != UTF8_BINARY
        case ArrayType():
            return is_collated(dtype.elementType)
        case MapType():
            return is_collated(dtype.keyType) or is_collated(dtype.valueType)
        case StructType():
            return any(is_collated(f.dataType) for f in dtype.fields)
    return False


def map_strings(dtype: DataType, change: Callable[[StringType], DataType]) -> DataType:
    """A type with each text's type changed."""
    match dtype:
        case StringType():
            return change(dtype)
        case ArrayType():
            return ArrayType(map_strings(dtype.elementType, change), dtype.containsNull)
        case MapType():
            key, value = map_strings(dtype.keyType, change), map_strings(dtype.valueType, change)
            return MapType(key, value, dtype.valueContainsNull)
        case StructType():
            fields = [StructField(f.name, map_strings(f.dataType, change), f.nullable, f.metadata) for f in dtype]
            return StructType(fields)
    return dtype


def with_collation(dtype: DataType, name: str) -> DataType:
    """A text type, or an array of them, under a collation."""
    match dtype:
        case StringType():
            return StringType(name)
        case ArrayType():
            return ArrayType(with_collation(dtype.elementType, name), dtype.containsNull)
    return dtype
