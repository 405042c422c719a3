"""``sql_keywords()`` in FROM: Spark SQL's keywords and whether they are reserved."""

from __future__ import annotations

from voltray.driver.analysis.environment import Environment
from voltray.driver.analysis.errors import analysis_error
from voltray.driver.plan import relations as r
from voltray.driver.plan.keywords import KEYWORDS, RESERVED
from voltray.proto.types import BOOLEAN, STRING

NAME = "sql_keywords"


def keywords_relation(relation: r.TableFunction, environment: Environment) -> r.Relation:
    """The rows of ``sql_keywords()``."""
    if relation.args:
        raise analysis_error(
            "WRONG_NUM_ARGS.WITHOUT_SUGGESTION", relation.origin, functionName=f"`{NAME}`", expectedNum=0,
            actualNum=len(relation.args), docroot="https://spark.apache.org/docs/latest",
        )  # fmt: skip
    enforced = environment.conf("spark.sql.ansi.enforceReservedKeywords").lower() == "true"
    rows = tuple([(word, enforced and word in RESERVED) for word in KEYWORDS])
    return r.CommandRelation((("keyword", STRING, False), ("reserved", BOOLEAN, False)), rows)
