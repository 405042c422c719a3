"""ICU's collators and case mappings, from the libraries that icu4py brings (its C interface, by ctypes).

icu4py itself wraps no collators. Where its libraries cannot be loaded, whatever needs ICU refuses.
"""

from __future__ import annotations

import ctypes
import threading
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from voltray.proto.collations import Collation
from voltray.proto.failures import ErrorKind, SparkError, spark_error

_STRENGTH, _CASE_LEVEL = 5, 3  # UCOL_STRENGTH, UCOL_CASE_LEVEL
_PRIMARY, _SECONDARY, _TERTIARY, _ON = 0, 1, 2, 17
_LOCAL = threading.local()


class Libraries:
    """The loaded libraries; ICU's names carry its version."""

    def __init__(self) -> None:
        """Load data, common and collation code, in that order."""
        distribution = metadata.distribution("icu4py")
        files = [Path(str(distribution.locate_file(f))) for f in distribution.files or ()]
        found = {key: next(f for f in files if key in f.name) for key in ("icudata", "icuuc", "icui18n")}
        for key in ("icudata", "icuuc"):
            ctypes.CDLL(str(found[key]), mode=ctypes.RTLD_GLOBAL)
        self.common = ctypes.CDLL(str(found["icuuc"]))
        self.collation = ctypes.CDLL(str(found["icui18n"]))
        version = (ctypes.c_uint8 * 4)()
        suffix = next(s for s in range(120, 60, -1) if hasattr(self.common, f"u_getVersion_{s}"))
        getattr(self.common, f"u_getVersion_{suffix}")(version)
        self.suffix = suffix

    def collator(self, collation: Collation) -> ctypes.c_void_p:
        """An open collator."""
        status = ctypes.c_int(0)
        opened = getattr(self.collation, f"ucol_open_{self.suffix}")
        opened.restype, opened.argtypes = ctypes.c_void_p, [ctypes.c_char_p, ctypes.POINTER(ctypes.c_int)]
        handle = ctypes.c_void_p(opened((collation.locale or "root").encode(), ctypes.byref(status)))
        if status.value > 0:
            raise unavailable(collation.name)
        change = getattr(self.collation, f"ucol_setAttribute_{self.suffix}")
        change.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_int, ctypes.POINTER(ctypes.c_int)]
        change.restype = None
        level = _PRIMARY if collation.ignores_accents else _SECONDARY if collation.ignores_case else _TERTIARY
        change(handle, _STRENGTH, level, ctypes.byref(status))
        if collation.ignores_accents and not collation.ignores_case:
            change(handle, _CASE_LEVEL, _ON, ctypes.byref(status))
        return handle


@lru_cache(maxsize=1)
def _libraries() -> Libraries | None:
    try:
        return Libraries()
    except (OSError, StopIteration, metadata.PackageNotFoundError):
        return None


def unavailable(name: str) -> SparkError:
    """ICU is not installed."""
    return spark_error("UNSUPPORTED_COLLATION", ErrorKind.UNSUPPORTED, collationName=name)


class SortKeys:
    """Sort keys under one collation: bytes that compare as the texts do. Belongs to one thread."""

    def __init__(self, collation: Collation) -> None:
        """Open the collator."""
        libraries = _libraries()
        if libraries is None:
            raise unavailable(collation.name)
        self._handle = libraries.collator(collation)
        self._get = getattr(libraries.collation, f"ucol_getSortKey_{libraries.suffix}")
        self._get.restype = ctypes.c_int32
        self._get.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int32, ctypes.c_void_p, ctypes.c_int32]
        self._buffer = ctypes.create_string_buffer(1024)

    def of(self, text: str) -> bytes:
        """The key of one text."""
        units = text.encode("utf-16-le", "surrogatepass")
        length = self._get(self._handle, units, len(units) // 2, self._buffer, len(self._buffer))
        if length > len(self._buffer):
            self._buffer = ctypes.create_string_buffer(2 * length)
            length = self._get(self._handle, units, len(units) // 2, self._buffer, len(self._buffer))
        return self._buffer.raw[: length - 1]


def sort_keys(collation: Collation) -> SortKeys:
    """This thread's sort keys of a collation."""
    held: dict[str, SortKeys] = _LOCAL.__dict__.setdefault("held", {})
    if collation.name not in held:
        held[collation.name] = SortKeys(collation)
    return held[collation.name]


class Search:
    """Occurrences of one text in another under a collation, as ICU's StringSearch finds them."""

    def __init__(self, collation: Collation) -> None:
        """Open the collator."""
        libraries = _libraries()
        if libraries is None:
            raise unavailable(collation.name)
        self._handle = libraries.collator(collation)
        status = ctypes.POINTER(ctypes.c_int)
        text = [ctypes.c_char_p, ctypes.c_int32]
        kinds: dict[str, tuple[object, list[object]]] = {
            "openFromCollator": (ctypes.c_void_p, [*text, *text, ctypes.c_void_p, ctypes.c_void_p, status]),
            "first": (ctypes.c_int32, [ctypes.c_void_p, status]),
            "next": (ctypes.c_int32, [ctypes.c_void_p, status]),
            "getMatchedLength": (ctypes.c_int32, [ctypes.c_void_p]),
            "close": (None, [ctypes.c_void_p]),
        }
        self._calls = {}
        for name, (result, arguments) in kinds.items():
            call = getattr(libraries.collation, f"usearch_{name}_{libraries.suffix}")
            call.restype, call.argtypes = result, arguments
            self._calls[name] = call

    def matches(self, text: str, pattern: str) -> list[tuple[int, int]]:
        """Where the pattern occurs, one after another: (start, end) in characters."""
        units, wanted = text.encode("utf-16-le", "surrogatepass"), pattern.encode("utf-16-le", "surrogatepass")
        status = ctypes.c_int(0)
        reference = ctypes.byref(status)
        handle = self._calls["openFromCollator"](
            wanted, len(wanted) // 2, units, len(units) // 2, self._handle, None, reference
        )
        if status.value > 0:
            return []
        found: list[tuple[int, int]] = []
        at = self._calls["first"](handle, reference)
        while at >= 0:
            end = at + self._calls["getMatchedLength"](handle)
            found.append((_characters(units, at), _characters(units, end)))
            at = self._calls["next"](handle, reference)
        self._calls["close"](handle)
        return found


def _characters(units: bytes, end: int) -> int:
    return len(units[: 2 * end].decode("utf-16-le", "surrogatepass"))


def search(collation: Collation) -> Search:
    """This thread's search under a collation."""
    held: dict[str, Search] = _LOCAL.__dict__.setdefault("searches", {})
    if collation.name not in held:
        held[collation.name] = Search(collation)
    return held[collation.name]
