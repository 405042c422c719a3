"""Ask a real Spark for the answers to this folder's cases: ``python -m tests.driver.analysis.record sc://host:port``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

from pyspark.errors import PySparkException
from pyspark.sql import SparkSession
from pyspark.sql.connect.dataframe import DataFrame

from tests.driver.analysis.cases import cases
from tests.driver.analysis.support import RECORDED, described


def answer(frame: Callable[[], DataFrame]) -> Any:
    """A schema or an error, as the server gives it (and not as the client remembers it)."""
    try:
        made = frame()
        client = made._session.client
        return described(client.schema(made._plan.to_proto(client)))
    except PySparkException as error:
        parameters = dict(sorted((error.getMessageParameters() or {}).items()))
        return {"condition": error.getCondition(), "parameters": parameters}


def main() -> None:
    """Record every case."""
    session = SparkSession.builder.remote(sys.argv[1]).create()
    answers = {name: answer(frame) for name, frame in cases(session).items()}
    lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in answers.items()]
    RECORDED.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
