"""The notebooks of `examples/notebooks`, run from top to bottom."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[3] / "examples" / "notebooks").glob("*.ipynb"))


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs(path: Path, spark_remote: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SPARK_REMOTE", spark_remote)
    notebook = nbformat.read(path, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "it is kept without outputs"
    NotebookClient(notebook, timeout=200, kernel_name="python3").execute()
    shown = "\n".join(
        output.get("text") or output["data"]["text/plain"]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
    )
    if path.stem == "quickstart":
        assert "| Lisbon|250000| 1.245E7|" in shown
        assert "|Lisbon|  2000|   99.6|" in shown
        assert "Lisbon    99.2    120.03" in shown
