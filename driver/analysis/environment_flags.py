"""Boolean confs as the analyzer asks for them."""

from __future__ import annotations

from voltray.driver.analysis.environment import Environment


def flag(environment: Environment, key: str) -> bool:
    """Whether a boolean conf that is on by default was left on."""
    return environment.conf(key).lower() != "false"
