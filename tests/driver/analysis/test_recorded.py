"""Schemas and errors of analysis, as Spark 4.1.1 gave them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.driver.analysis.cases import cases
from tests.driver.analysis.support import offline_session, outcome, recorded

ANSWERS = recorded()
CASES = cases(offline_session())


@pytest.mark.parametrize("name", list(CASES))
def test_recorded(name: str) -> None:
    expected: Any = ANSWERS[name]
    found = outcome(CASES[name])
    if isinstance(expected, dict) and isinstance(found, dict) and expected["condition"] == "INTERNAL_ERROR":
        assert found["condition"] == expected["condition"]
    else:
        assert found == expected
