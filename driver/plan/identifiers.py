"""Names of several parts: ``a.b``, with back quotes around parts that hold other characters."""

from __future__ import annotations

from voltray.proto.failures import ErrorKind, spark_error


def split_identifier(text: str) -> tuple[str, ...]:
    """The parts of an attribute's name as the DataFrame API takes it (Spark's ``parseAttributeName``).

    Dots separate; a part in back quotes may hold dots, and doubled back quotes stand for one.
    """
    if "`" not in text:
        parts = tuple(text.split("."))
        if text and not all(parts):
            raise _invalid(text)
        return parts
    return tuple(_quoted_parts(text))


def _quoted_parts(text: str) -> list[str]:
    parts: list[str] = []
    position, size = 0, len(text)
    while True:
        if position < size and text[position] == "`":
            part, position = _quoted(text, position + 1)
        else:
            stop = text.find(".", position)
            stop = size if stop < 0 else stop
            part, position = text[position:stop], stop
            if not part or "`" in part:
                raise _invalid(text)
        parts.append(part)
        if position >= size:
            return parts
        if text[position] != ".":
            raise _invalid(text)
        position += 1


def _quoted(text: str, position: int) -> tuple[str, int]:
    pieces: list[str] = []
    while True:
        stop = text.find("`", position)
        if stop < 0:
            raise _invalid(text)
        pieces.append(text[position:stop])
        if text[stop + 1 : stop + 2] != "`":
            return "".join(pieces), stop + 1
        pieces.append("`")
        position = stop + 2


def _invalid(text: str) -> Exception:
    return spark_error("INVALID_ATTRIBUTE_NAME_SYNTAX", ErrorKind.ANALYSIS, name=text)


def quote(part: str) -> str:
    """A part in back quotes, as Spark prints names in its messages."""
    return "`" + part.replace("`", "``") + "`"


def quoted(parts: tuple[str, ...]) -> str:
    """A name of several parts, each in back quotes."""
    return ".".join([quote(p) for p in parts])
