"""Running a planned write: rows to a staging folder, then the commit, or the abort."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voltray.driver.connect.observed import send_observed

if TYPE_CHECKING:
    from voltray.driver.catalog.write_planning import PlannedWrite
    from voltray.driver.connect.operations import Operation
    from voltray.driver.connect.session import Session


def run_write(session: Session, operation: Operation, planned: PlannedWrite) -> None:
    """Write the rows and commit them; a write that fails leaves what was there before."""
    if planned.specification is None:
        planned.commit(())
        return
    try:
        reports, work = session.write(planned.plan, planned.specification, operation)
        operation.check_canceled()
        planned.commit(reports)
    except BaseException:
        planned.abort()
        raise
    send_observed(operation, work)
