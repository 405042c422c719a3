"""The hidden ``_metadata`` column of file scans."""

from __future__ import annotations

from dataclasses import replace

from voltray.driver.plan.logical import FileScan
from voltray.driver.plan.streaming import StreamScan
from voltray.proto.expressions import Attribute


def metadata_attribute(plan: FileScan | StreamScan) -> Attribute:
    """The scan's ``_metadata``, the same each time: its id follows from that of the scan's first column."""
    from voltray.driver.catalog.file_relation import metadata_attribute as described

    first = min([a.expr_id for a in plan.attributes], default=0)
    scan = FileScan(plan.attributes, plan.name) if isinstance(plan, StreamScan) else plan
    return replace(described(scan), expr_id=-first - 1)
