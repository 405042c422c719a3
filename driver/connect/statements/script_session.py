"""A session as a script's statements see it: the script's own variables before the session's."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from voltray.driver.plan.identifiers import quote
from voltray.driver.plan.scripts import DeclareCondition, DeclareHandler
from voltray.proto.expressions import Expression, Literal

if TYPE_CHECKING:
    from voltray.driver.connect.session import Session
    from voltray.driver.plan.logical import LogicalPlan
    from voltray.driver.plan.relations import Relation

_MARK = "#"


@dataclass(slots=True, eq=False)
class Frame:
    """A block at work: its variables with their defaults, and its handlers."""

    label: str | None
    conditions: tuple[DeclareCondition, ...] = ()
    handlers: tuple[DeclareHandler, ...] = ()
    variables: dict[str, Literal] = field(default_factory=dict)
    defaults: dict[str, Expression] = field(default_factory=dict)
    generated_label: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def name(self) -> str:
        """The label, or one that was made up."""
        return self.label or self.generated_label


class ScriptSession:
    """A session with the frames of a running script over it."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.frames: list[Frame] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.session, name)

    def analyze(self, relation: Relation) -> LogicalPlan:
        """A relation as a resolved plan, its variables as they are now."""
        return self.session.backend.analyze(relation, self)  # type: ignore[arg-type]

    @property
    def variables(self) -> Mapping[str, Any]:
        """Values by name, by label and name, and by the frame's number and name."""
        merged: dict[str, Any] = dict(self.session.variables)
        for number, frame in enumerate(self.frames):
            for name, value in frame.variables.items():
                merged[name] = value
                merged[f"{_MARK}{number}.{name}"] = value
                if frame.label is not None:
                    merged[f"{frame.label.lower()}.{name}"] = value
        return merged

    def variable_path(self, name: str) -> str:
        """Where a variable is, as its generated name shows it."""
        key = self.variable_key(tuple(name.split(".")))
        frame = None if key is None else self._frame_of(key)
        if frame is None:
            return f"system.session.{name}"
        parts = ("local", frame.name, name.rpartition(".")[2])
        return ".".join([p if re.fullmatch(r"\w+", p) else quote(p) for p in parts])

    def variable_key(self, parts: tuple[str, ...]) -> str | None:
        """Under which key a name's variable is kept."""
        folded = [p.lower() for p in parts]
        for number in range(len(self.frames) - 1, -1, -1):
            frame = self.frames[number]
            labelled = len(folded) == 2 and frame.label is not None and frame.label.lower() == folded[0]
            if (len(folded) == 1 or labelled) and folded[-1] in frame.variables:
                return f"{_MARK}{number}.{folded[-1]}"
        return self.session.variable_key(parts)

    def set_variable(self, name: str, value: Any | None, default: Expression | None = None) -> None:
        """Give a variable a value."""
        frame = self._frame_of(name)
        if frame is None:
            self.session.set_variable(name, value, default)
            return
        frame.variables[name.partition(".")[2]] = value  # type: ignore[assignment]

    def variable_default(self, key: str) -> Expression:
        """What DEFAULT means for a variable."""
        frame = self._frame_of(key)
        return self.session.variable_default(key) if frame is None else frame.defaults[key.partition(".")[2]]

    def _frame_of(self, key: str) -> Frame | None:
        return self.frames[int(key[1:].partition(".")[0])] if key.startswith(_MARK) else None
