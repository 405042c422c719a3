"""The files that describe the project to other tools agree with the project."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import voltray

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def locked_versions(path: str = "requirements.lock") -> dict[str, str]:
    """Return the versions of a lock by package."""
    lines = (ROOT / path).read_text(encoding="utf-8").splitlines()
    pins = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(name): version for name, version in pins}


def test_version_is_the_same_everywhere() -> None:
    assert PROJECT["version"] == voltray.__version__
    assert f"## {voltray.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "requirement", [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]], ids=lambda text: text
)
def test_lock_holds_every_dependency(requirement: str) -> None:
    wanted = Requirement(requirement)
    assert locked_versions()[canonicalize_name(wanted.name)] in wanted.specifier


def test_lock_of_the_images_only_adds_to_the_other() -> None:
    added = locked_versions("docker/requirements.lock")
    assert {"jupyterlab", "aiohttp-cors"} <= added.keys()
    assert not added.keys() & locked_versions().keys()
