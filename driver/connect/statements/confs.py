"""SET and RESET of confs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voltray.driver.connect.confs import local_time_zone
from voltray.driver.connect.statements.rows import NOTHING, Rows, text_rows
from voltray.driver.plan import statements as s
from voltray.driver.plan.identifiers import quoted
from voltray.driver.plan.redaction import redacted_conf
from voltray.proto.failures import spark_error

if TYPE_CHECKING:
    from voltray.driver.connect.operations import Operation
    from voltray.driver.connect.session import Session


def set_conf(session: Session, operation: Operation, statement: s.SetConf) -> Rows:
    """Set or show confs."""
    key = statement.key
    if key is None:
        confs = [(k, redacted_conf(k, v)) for k, v in sorted(session.confs.explicit().items())]
        return text_rows(("key", "value"), confs)
    given = local_time_zone() if statement.local_time_zone else statement.value
    if given is None:
        value = session.confs.value(key)
        return text_rows(("key", "value"), [(key, "<undefined>" if value is None else redacted_conf(key, value))])
    parts = tuple(key.split("."))
    if session.variable_key(parts) in session.variables:
        raise spark_error("UNSUPPORTED_FEATURE.SET_VARIABLE_USING_SET", variableName=quoted(parts))
    session.confs.set(key, given)
    return text_rows(("key", "value"), [(key, given)])


def reset_conf(session: Session, operation: Operation, statement: s.ResetConf) -> Rows:
    """Give confs their defaults again."""
    keys = [statement.key] if statement.key is not None else list(session.confs.explicit())
    for key in keys:
        if statement.key is not None or session.confs.is_modifiable(key):
            session.confs.unset(key)
    return NOTHING
