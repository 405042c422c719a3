"""Which files a read covers: paths, globs, folders, hidden files and the filters of the options."""

from __future__ import annotations

import fnmatch
import glob
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo

from voltray.executors.sources.base import Options, SourceFile
from voltray.proto.failures import ErrorKind, spark_error

_GLOB = re.compile(r"[*?\[{]")
_LOCAL_SCHEMES = ("", "file")


@dataclass(frozen=True, slots=True)
class Listing:
    """Files found, each with the folders' names between its root and itself; ``roots`` are the folders read."""

    files: tuple[SourceFile, ...]
    folders: tuple[tuple[str, ...], ...]
    roots: tuple[str, ...]


def local_path(path: str) -> str:
    """The absolute local path of a path or ``file:`` URI; other schemes are refused."""
    if not path:
        raise spark_error("", ErrorKind.ILLEGAL_ARGUMENT, message="Can not create a Path from an empty string")
    scheme, _, rest = path.partition(":") if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", path) else ("", "", path)
    if scheme.lower() not in _LOCAL_SCHEMES:
        message = f'No FileSystem for scheme "{scheme}"'
        raise spark_error("UNSUPPORTED_FILE_SYSTEM", ErrorKind.UNSUPPORTED, message=message, sqlstate="0A000")
    if scheme:
        rest = urlsplit("file:" + rest).path or rest
        rest = unquote(rest) if "%" in rest and not os.path.exists(rest) else rest
    return os.path.abspath(rest)


def file_uri(path: str) -> str:
    """A path as Hadoop prints it in messages and ``_metadata``: ``file:/a/b``."""
    return f"file:{path}"


def is_hidden(name: str) -> bool:
    """Whether Spark skips a file or folder: names that start with ``_`` (no ``=`` in them) or ``.``."""
    return name.startswith(".") or (name.startswith("_") and "=" not in name) or name.endswith("._COPYING_")


def expand_braces(pattern: str) -> Iterator[str]:
    """The patterns that ``{a,b}`` stands for, which Python's glob does not know."""
    match = re.search(r"\{([^{}]*)\}", pattern)
    if match is None:
        yield pattern
        return
    for part in match[1].split(","):
        yield from expand_braces(pattern[: match.start()] + part + pattern[match.end() :])


def expand_path(path: str) -> tuple[str, ...]:
    """The existing paths behind one path or glob, sorted; PATH_NOT_FOUND where there is none."""
    absolute = local_path(path)
    if os.path.exists(absolute):
        return (absolute,)
    if _GLOB.search(absolute):
        translated = [p.replace("[^", "[!") for p in expand_braces(absolute)]
        found = sorted({f for p in translated for f in glob.iglob(p) if not is_hidden(os.path.basename(f))})
        if found:
            return tuple(found)
    raise spark_error("PATH_NOT_FOUND", path=file_uri(absolute))


def list_files(paths: Iterable[str], options: Options, time_zone: str = "UTC") -> Listing:
    """All files that a read of ``paths`` covers, in the order of their paths."""
    accept = _file_filter(options, time_zone)
    explicit = [(p, _GLOB.search(p) is not None) for p in paths]
    ignore_missing = options.flag("ignoreMissingFiles")
    files: list[SourceFile] = []
    folders: list[tuple[str, ...]] = []
    roots: list[str] = []
    for path, _ in explicit:
        for root in _expand(path, ignore_missing):
            roots.append(root)
            for file, below in _walk(root):
                if accept(file):
                    files.append(file)
                    folders.append(below)
    return Listing(tuple(files), tuple(folders), tuple(roots))


def _expand(path: str, ignore_missing: bool) -> tuple[str, ...]:
    try:
        return expand_path(path)
    except Exception:
        if ignore_missing:
            return ()
        raise


def source_file(path: str, stat: os.stat_result | None = None) -> SourceFile:
    """A file with its size and time of modification."""
    stat = stat or os.stat(path)
    return SourceFile(path, stat.st_size, stat.st_mtime_ns // 1_000_000 * 1000)


def _walk(root: str) -> Iterator[tuple[SourceFile, tuple[str, ...]]]:
    if not os.path.isdir(root):
        yield source_file(root), ()
        return
    stack: list[tuple[str, tuple[str, ...]]] = [(root, ())]
    while stack:
        folder, below = stack.pop()
        with os.scandir(folder) as entries:
            found = sorted((e for e in entries if not is_hidden(e.name)), key=lambda e: e.name)
        for entry in found:
            if entry.is_file():
                yield source_file(entry.path, entry.stat()), below
        stack.extend((e.path, (*below, e.name)) for e in reversed(found) if e.is_dir())


def _file_filter(options: Options, time_zone: str):  # type: ignore[no-untyped-def]  # noqa: ANN202
    pattern = options.get("pathGlobFilter")
    patterns = list(expand_braces(pattern)) if pattern is not None else None
    after = _instant(options, "modifiedAfter", time_zone)
    before = _instant(options, "modifiedBefore", time_zone)

    def accept(file: SourceFile) -> bool:
        name = os.path.basename(file.path)
        if patterns is not None and not any(fnmatch.fnmatchcase(name, p) for p in patterns):
            return False
        if after is not None and file.modification_time <= after:
            return False
        return before is None or file.modification_time < before

    return accept


def _instant(options: Options, name: str, time_zone: str) -> int | None:
    text = options.get(name)
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        message = (
            f"The timestamp provided for the '{name}' option is invalid. "
            f"The expected format is 'YYYY-MM-DDTHH:mm:ss', but the provided timestamp: {text}"
        )
        raise spark_error("_LEGACY_ERROR_TEMP_1241", message=message) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=ZoneInfo(options.get("timeZone", time_zone)))
    return int(moment.timestamp() * 1_000_000)
