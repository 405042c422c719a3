"""CSV and JSON texts read as Spark 4.1.1 reads them: schemas, rows and error conditions were recorded from it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.executors.sources.reading import read_file
from voltray.proto.failures import SparkError
from voltray.proto.types import ArrayType, DataType, MapType, StructType

FOLDER = Path(__file__).parent
TODAY = "2026, 11, 22"


def cases(name: str) -> list[Any]:
    lines = (FOLDER / f"recorded_{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [pytest.param(name, json.loads(line), id=f"{name}-{i}") for i, line in enumerate(lines)]


def shown(value: Any, dtype: DataType) -> Any:
    """A value in the form of the recording."""
    if value is None or isinstance(value, bool | int | str):
        return value
    match dtype:
        case StructType():
            return [shown(v, f.dataType) for v, f in zip(value.values(), dtype.fields, strict=True)]
        case MapType():
            return [[shown(k, dtype.keyType), shown(v, dtype.valueType)] for k, v in value.items()]
        case ArrayType():
            return [shown(v, dtype.elementType) for v in value]
    return repr(value.replace(tzinfo=None) if isinstance(value, datetime) else value)


@pytest.mark.parametrize(("name", "case"), [*cases("csv"), *cases("json")])
def test_as_recorded(name: str, case: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / f"file.{name}"
    path.write_bytes(case["text"].encode())
    if "error" in case:
        with pytest.raises(SparkError) as caught:
            read_file(name, str(path), case["schema"], case["options"])
        assert caught.value.condition == (case["error"] or "")
        return
    schema, frame = read_file(name, str(path), case["schema"], case["options"])
    assert schema.simpleString() == case["type"]
    types = [f.dataType for f in schema.fields]
    rows = [[shown(v, t) for v, t in zip(row, types, strict=False)] for row in frame.rows()]
    today = datetime.now(UTC).strftime("%Y, %-m, %-d")
    assert json.dumps(rows).replace(today, TODAY) == json.dumps(case["rows"])
