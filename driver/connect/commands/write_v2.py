"""Placeholder until the writers land."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voltray.driver.connect.errors import unsupported_operation

if TYPE_CHECKING:
    from voltray.driver.connect.operations import Operation
    from voltray.driver.connect.session import Session


def write_v2(session: Session, operation: Operation, command: Any) -> None:
    """Refuse for now."""
    raise unsupported_operation("writing")
