"""The optimizer: an ordered tuple of rules, each a pure function from plan to plan."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from voltray.driver.plan.logical import LogicalPlan

Rule = Callable[[LogicalPlan, Any], LogicalPlan]

RULES: tuple[Rule, ...] = ()


def optimize(plan: LogicalPlan, environment: Any) -> LogicalPlan:
    """Apply every rule in order."""
    for rule in RULES:
        plan = rule(plan, environment)
    return plan
