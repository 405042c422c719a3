"""Servers over a fake backend, with their status pages."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # helpers of these tests are modules beside them

from sites import POLICY, TOKENS, Site, serve


@pytest.fixture
def site_settings() -> dict[str, Any]:
    """Return the settings of the test's server; tests override it."""
    return {}


@pytest.fixture
def site(site_settings: dict[str, Any], tmp_path: Path) -> Iterator[Site]:
    """Return a server that asks nobody who they are."""
    yield from serve(tmp_path, site_settings)


@pytest.fixture
def guarded(site_settings: dict[str, Any], tmp_path: Path) -> Iterator[Site]:
    """Return a server that wants tokens, where root is an admin."""
    (tmp_path / "tokens.toml").write_text(TOKENS)
    (tmp_path / "policy.toml").write_text(POLICY)
    files = {"auth_tokens": tmp_path / "tokens.toml", "policy": tmp_path / "policy.toml"}
    yield from serve(tmp_path, {**files, **site_settings})
