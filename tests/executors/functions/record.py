"""Record Spark's answers: ``python record.py REMOTE recorded/NAME.jsonl [conf=value ...] < expressions``.

Each line of the input is a SQL expression over the sample row; each line of the output is Spark's name, type,
nullability and value (as text) of it, or its error.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pyspark.errors import PySparkException
from pyspark.sql import SparkSession
from sample_row import SPARK_ROW  # type: ignore[import-not-found]


def recorded(spark: SparkSession, text: str) -> dict[str, Any]:
    """One expression's answer."""
    found: dict[str, Any] = {"expression": text}
    try:
        frame = spark.sql(f"select {text} from {SPARK_ROW}")
        field = frame.schema.fields[0]
        found |= {"name": field.name, "type": field.dataType.simpleString(), "nullable": field.nullable}
        value = spark.sql(f"select cast(value as string) from (select {text} as value from {SPARK_ROW})").collect()
        found["value"] = value[0][0]
    except PySparkException as error:
        parameters = error.getMessageParameters() or {}
        found |= {"error": error.getCondition(), "sqlstate": error.getSqlState(), "parameters": dict(parameters)}
    return found


def main() -> None:
    """Read expressions, write answers."""
    remote, path, *settings = sys.argv[1:]
    spark = SparkSession.builder.remote(remote).create()
    confs = dict(setting.split("=", 1) for setting in settings)
    for key, value in confs.items():
        spark.conf.set(key, value)
    lines = [line.strip() for line in sys.stdin]
    known = Path(path).read_text(encoding="utf-8").splitlines() if Path(path).exists() else []
    seen = {(json.loads(k)["expression"], json.dumps(json.loads(k).get("confs", {}))) for k in known}
    wanted = [x for x in dict.fromkeys(lines) if x and not x.startswith("#") and (x, json.dumps(confs)) not in seen]
    for text in wanted:
        answer = recorded(spark, text)
        if confs:
            answer["confs"] = confs
        known.append(json.dumps(answer, ensure_ascii=False))
    Path(path).write_text("\n".join(known) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
