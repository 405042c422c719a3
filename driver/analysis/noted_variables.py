"""Session variables that note which of them were found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


class NotedVariables(Mapping[str, Any]):
    """Variables as they are; each value that is read is noted as ``("VARIABLE", (name,))``."""

    def __init__(self, variables: Mapping[str, Any], noted: list[tuple[str, tuple[str, ...]]]) -> None:
        self._variables = variables
        self._noted = noted

    def __getitem__(self, name: str) -> Any:
        value = self._variables[name]
        self._noted.append(("VARIABLE", (name,)))
        return value

    def __contains__(self, name: object) -> bool:
        return name in self._variables

    def __iter__(self) -> Iterator[str]:
        return iter(self._variables)

    def __len__(self) -> int:
        return len(self._variables)
