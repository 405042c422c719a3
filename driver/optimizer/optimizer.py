"""The optimizer: an ordered tuple of rules, each a pure function from plan to plan.

Polars optimizes what one task runs; these rules do what must be done across joins and exchanges, and what
no executor could do (a subquery is a plan of its own until it is a join).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from voltray.driver.optimizer.collapse_projects import collapse_projects
from voltray.driver.optimizer.compare_by_collation_keys import compare_by_collation_keys
from voltray.driver.optimizer.fold_constants import fold_constants
from voltray.driver.optimizer.name_input_files import name_input_files
from voltray.driver.optimizer.plan_python_sources import plan_python_sources
from voltray.driver.optimizer.prune_columns import prune_columns
from voltray.driver.optimizer.push_down_filters import push_down_filters
from voltray.driver.optimizer.push_down_limits import push_down_limits
from voltray.driver.optimizer.push_down_semi_joins import push_down_semi_joins
from voltray.driver.optimizer.reorder_joins import reorder_joins
from voltray.driver.optimizer.restrict_grouped_subqueries import restrict_grouped_subqueries
from voltray.driver.optimizer.rewrite_subqueries import rewrite_subqueries
from voltray.driver.optimizer.rewrite_time_windows import rewrite_time_windows
from voltray.driver.optimizer.share_common_subplans import share_common_subplans
from voltray.driver.plan.logical import LogicalPlan

Rule = Callable[[LogicalPlan, Any], LogicalPlan]

RULES: tuple[Rule, ...] = (
    rewrite_time_windows,
    rewrite_subqueries,
    compare_by_collation_keys,
    name_input_files,
    fold_constants,
    collapse_projects,
    push_down_filters,
    reorder_joins,
    restrict_grouped_subqueries,
    push_down_semi_joins,
    plan_python_sources,
    prune_columns,
    collapse_projects,
    push_down_limits,
    share_common_subplans,
)


def optimize(plan: LogicalPlan, environment: Any) -> LogicalPlan:
    """Apply every rule in order."""
    for rule in RULES:
        plan = rule(plan, environment)
    return plan
