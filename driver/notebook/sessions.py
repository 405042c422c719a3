"""The session of a notebook: the one that is there, one where SPARK_REMOTE says, or one on an embedded server."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeGuard

from pyspark.sql.connect.session import SparkSession

from voltray.driver.embedded import REMOTE_VARIABLE, session
from voltray.driver.notebook.progress import progress_bars

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

SESSION = "spark"


def session_of(shell: InteractiveShell) -> SparkSession:
    """The session called `spark`; where there is none, one is found or started and given that name."""
    spark = shell.user_ns.get(SESSION)
    if not is_live_session(spark):
        spark = SparkSession.getActiveSession() or _new_session()
        shell.user_ns[SESSION] = spark
    if has_outputs(shell):
        spark.registerProgressHandler(progress_bars)
    return spark


def has_outputs(shell: InteractiveShell) -> bool:
    """Whether it is a notebook, whose outputs can be replaced, rather than a terminal."""
    return hasattr(shell, "kernel")


def is_live_session(candidate: object) -> TypeGuard[SparkSession]:
    """Whether it is a session that has not been stopped."""
    return isinstance(candidate, SparkSession) and not candidate.is_stopped


def place_of(spark: SparkSession) -> str:
    """Where a session's server is; the connection string holds more, a token perhaps."""
    return f"sc://{spark.client._builder.endpoint}"  # type: ignore[attr-defined]


def _new_session() -> SparkSession:
    if remote := os.environ.get(REMOTE_VARIABLE):
        return SparkSession.builder.remote(remote).getOrCreate()
    return session()
