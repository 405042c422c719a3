"""Arrow tables that are kept between batches, as leaves of plans."""

from __future__ import annotations

import pyarrow as pa

from voltray.driver.plan.logical import LocalData
from voltray.proto.expressions import Attribute


def local(attributes: tuple[Attribute, ...], table: pa.Table) -> LocalData:
    """A table as a leaf of a plan."""
    return LocalData(attributes, table, table.num_rows)


def joined(old: pa.Table | None, new: pa.Table) -> pa.Table:
    """Rows kept before, then new ones, under the names of the new."""
    if old is None or old.num_rows == 0:
        return new
    renamed = old.rename_columns(new.column_names)
    return pa.concat_tables([renamed if renamed.schema == new.schema else renamed.cast(new.schema), new])
