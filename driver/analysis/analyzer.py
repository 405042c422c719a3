"""Analysis: an unresolved relation becomes a resolved logical plan, in one pass from the bottom up."""

from __future__ import annotations

from voltray.driver.analysis.environment import Environment
from voltray.driver.analysis.expressions.catalogue import EXPRESSIONS
from voltray.driver.analysis.relations.catalogue import RELATIONS
from voltray.driver.analysis.resolver import Analysis
from voltray.driver.analysis.scope import Resolved
from voltray.driver.plan.logical import LogicalPlan
from voltray.driver.plan.relations import Relation


def analyze(relation: Relation, environment: Environment) -> LogicalPlan:
    """The resolved plan of a relation, or the Spark error that says why there is none."""
    return resolve(relation, environment).plan


def resolve(relation: Relation, environment: Environment) -> Resolved:
    """The resolved plan of a relation with the scope of its output."""
    return Analysis(environment, RELATIONS, EXPRESSIONS).relation(relation)
