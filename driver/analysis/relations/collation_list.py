"""``collations()`` in FROM: every collation and what it tells apart."""

from __future__ import annotations

from voltray.driver.analysis.errors import analysis_error
from voltray.driver.plan import relations as r
from voltray.proto.collations import all_collations
from voltray.proto.types import STRING

NAME = "collations"
_COLUMNS = (
    ("CATALOG", False), ("SCHEMA", False), ("NAME", False), ("LANGUAGE", True), ("COUNTRY", True),
    ("ACCENT_SENSITIVITY", False), ("CASE_SENSITIVITY", False), ("PAD_ATTRIBUTE", False), ("ICU_VERSION", True),
)  # fmt: skip


def collations_relation(relation: r.TableFunction) -> r.Relation:
    """The rows of ``collations()``."""
    if relation.args:
        raise analysis_error(
            "WRONG_NUM_ARGS.WITHOUT_SUGGESTION", relation.origin, functionName=f"`{NAME}`", expectedNum=0,
            actualNum=len(relation.args), docroot="https://spark.apache.org/docs/latest",
        )  # fmt: skip
    columns = tuple([(name, STRING, nullable) for name, nullable in _COLUMNS])
    return r.CommandRelation(columns, tuple([c.row for c in all_collations().values()]))
