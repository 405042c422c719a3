"""Finding, cutting, replacing and trimming texts under a collation, one text at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from voltray.executors.functions.collation_keys import folded_text, plain_key
from voltray.executors.functions.icu import search
from voltray.proto.collations import Collation
from voltray.proto.failures import ErrorKind, spark_error

Spans = list[tuple[int, int]]
_DOTTED_I = "i\u0307"  # what İ is in lower case


def matches(collation: Collation, text: str, pattern: str, overlapping: bool = False) -> Spans:
    """Where a pattern occurs in a text, in characters, from left to right."""
    if not pattern:
        return []
    if collation.locale is not None:
        return search(collation).matches(text, pattern)
    if not collation.ignores_case:
        return _occurrences(text, pattern, None, overlapping)
    parts = [folded_text(c) for c in text]
    owners = [i for i, part in enumerate(parts) for _ in part] + [len(text)]
    return _occurrences("".join(parts), folded_text(pattern), owners, overlapping)


def _occurrences(text: str, pattern: str, owners: list[int] | None, overlapping: bool) -> Spans:
    found: Spans = []
    at = text.find(pattern)
    while at >= 0:
        end = at + len(pattern)
        # A character that is two in lower case is matched whole or not at all.
        whole = owners is None or ((at == 0 or owners[at - 1] != owners[at]) and owners[end - 1] != owners[end])
        if whole:
            found.append((at, end) if owners is None else (owners[at], owners[end]))
        at = text.find(pattern, end if whole and not overlapping else at + 1)
    return found


def contains(collation: Collation, text: str, pattern: str) -> bool:
    """Whether the pattern occurs."""
    text, pattern = _trimmed(collation, text, pattern)
    return not pattern or bool(matches(collation, text, pattern))


def starts_with(collation: Collation, text: str, pattern: str) -> bool:
    """Whether the pattern occurs at the start."""
    text, pattern = _trimmed(collation, text, pattern)
    return not pattern or any(start == 0 for start, _ in matches(collation, text, pattern, True))


def ends_with(collation: Collation, text: str, pattern: str) -> bool:
    """Whether the pattern occurs at the end."""
    text, pattern = _trimmed(collation, text, pattern)
    return not pattern or any(end == len(text) for _, end in matches(collation, text, pattern, True))


def _trimmed(collation: Collation, text: str, pattern: str) -> tuple[str, str]:
    return (text.rstrip(" "), pattern.rstrip(" ")) if collation.trims else (text, pattern)


def position(collation: Collation, text: str, pattern: str, start: int = 1) -> int:
    """The 1-based place of the first occurrence from ``start`` on, 0 where there is none."""
    if start < 1:
        return 0
    text, pattern = _trimmed(collation, text, pattern)
    if not pattern:
        return 1
    return next((at + 1 for at, _ in matches(collation, text, pattern, True) if at + 1 >= start), 0)


def replace(collation: Collation, text: str, pattern: str, new: str) -> str:
    """Each occurrence replaced."""
    pieces = split(collation, text, pattern)
    return new.join(pieces)


def split(collation: Collation, text: str, pattern: str) -> list[str]:
    """The text cut at each occurrence."""
    pieces: list[str] = []
    last = 0
    for start, end in matches(collation, text, pattern):
        pieces.append(text[last:start])
        last = end
    return [*pieces, text[last:]]


def substring_index(collation: Collation, text: str, pattern: str, count: int) -> str:
    """What stands before the n-th occurrence, or after the n-th from the end."""
    text, pattern = _trimmed(collation, text, pattern)
    if not pattern or count == 0:
        return ""
    found = matches(collation, text, pattern, True)
    if count > 0:
        return text if len(found) < count else text[: found[count - 1][0]]
    return text if len(found) < -count else text[found[count][1] :]


def split_part(collation: Collation, text: str, pattern: str, number: int) -> str:
    """The n-th part, from the end where negative; the empty text beyond."""
    if number == 0:
        raise spark_error("INVALID_INDEX_OF_ZERO", ErrorKind.RUNTIME)
    text, pattern = _trimmed(collation, text, pattern)
    parts = split(collation, text, pattern)
    at = number - 1 if number > 0 else len(parts) + number
    return parts[at] if 0 <= at < len(parts) else ""


def find_in_set(collation: Collation, word: str, words: str) -> int:
    """The 1-based place of a word among words between commas."""
    if "," in word:
        return 0
    wanted = plain_key(collation, word)
    found = (i for i, w in enumerate(words.split(","), 1) if plain_key(collation, w) == wanted)
    return next(found, 0)


def translate(collation: Collation, text: str, source: str, target: str) -> str:
    """Each character that equals one of ``source`` becomes that of ``target`` (or nothing)."""
    table: dict[str | bytes, str] = {}
    for place, character in enumerate(source):
        new = target[place] if place < len(target) else ""
        table.setdefault(plain_key(collation, character), "" if new == "\0" else new)
    return "".join([table.get(plain_key(collation, c), c) for c in text])


def trim(collation: Collation, characters: str, text: str, side: str) -> str:
    """Leading and trailing characters that equal one of ``characters`` taken away."""
    untrimmed = Collation(collation.name, collation.locale, None, None, collation.ignores_case,
                          collation.ignores_accents)  # fmt: skip
    key = _character_key(untrimmed)
    taken = {key(c) for c in characters}
    dotted = collation.locale is None and collation.ignores_case and "İ" in characters
    start, end = 0, len(text)
    if side in ("both", "leading"):
        while start < end:
            if dotted and text[start : min(start + 2, end)].lower() == _DOTTED_I:
                start += 2
            elif key(text[start]) in taken:
                start += 1
            else:
                break
    if side in ("both", "trailing"):
        spaces = 0
        if collation.trims:  # spaces at the end do not count: what stands before them is trimmed, and they stay
            spaces = end - max(start, len(text.rstrip(" "))) if " " not in characters else 0
            end -= spaces
        before = end
        while end > start:
            if dotted and text[max(end - 2, start) : end].lower() == _DOTTED_I:
                end -= 2
            elif key(text[end - 1]) in taken:
                end -= 1
            else:
                break
        if spaces:
            return text[start:end] + text[before : before + spaces]
    return text[start:end]


def _character_key(collation: Collation) -> Callable[[str], Any]:
    known: dict[str, Any] = {}

    def key(character: str) -> Any:
        if character not in known:
            known[character] = plain_key(collation, character)
        return known[character]

    return key


def to_map(collation: Collation, text: str, pairs: str, values: str) -> list[tuple[str, str | None]]:
    """Pairs of a key and a value, cut at two delimiters."""
    found: list[tuple[str, str | None]] = []
    for pair in split(collation, text, pairs):
        cuts = matches(collation, pair, values)
        found.append((pair[: cuts[0][0]], pair[cuts[0][1] :]) if cuts else (pair, None))
    return found
