"""The repository's own rules: its layout, its import rule, its generated pages."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from voltray.driver.settings import settings_document

ROOT = Path(__file__).parents[2]
FOLDERS = ("driver", "executors", "proto")


@pytest.mark.parametrize("folder", FOLDERS)
def test_top_folders_are_no_packages_of_their_own(folder: str) -> None:
    # They import as voltray.<folder>; a package `proto` would hide proto-plus, which Ray's clients use.
    assert not (ROOT / folder / "__init__.py").exists()


@pytest.mark.parametrize("folder", FOLDERS)
def test_subfolders_are_packages(folder: str) -> None:
    modules = (ROOT / folder).rglob("*.py")
    inner = {module.parent for module in modules} - {ROOT / folder}
    assert [str(path) for path in sorted(inner) if not (path / "__init__.py").exists()] == []


def test_import_rule() -> None:
    check = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert check.returncode == 0, check.stdout[-4000:] + check.stderr[-2000:]


def test_settings_page_is_up_to_date() -> None:
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert page == settings_document(), "run: make docs"


def test_functions_page_is_up_to_date() -> None:
    page = (ROOT / "docs" / "functions.md").read_text(encoding="utf-8")
    script = Path(__file__).with_name("functions_document.py")
    written = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True).stdout
    assert page == written, "run: make docs"
