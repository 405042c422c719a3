"""What `%load_ext voltray` puts into IPython, and `%unload_ext voltray` takes out."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from pyspark.logger import PySparkLogger
from pyspark.sql.connect.dataframe import DataFrame

from voltray.driver.notebook.magics import SqlMagics
from voltray.driver.notebook.progress import progress_bars
from voltray.driver.notebook.sessions import SESSION, has_outputs, is_live_session, place_of, session_of
from voltray.driver.notebook.tables import bundle_of

if TYPE_CHECKING:
    import logging

    from IPython.core.interactiveshell import InteractiveShell

_PROGRESS_VARIABLE = "SPARK_CONNECT_PROGRESS_BAR_ENABLED"
# PySpark logs each failed query as a line of JSON, beside the exception that says the same.
_QUERY_LOGGER = "SQLQueryContextLogger"


def load(shell: InteractiveShell) -> None:
    """Find or start a session, and put the magics, tables and progress bars in."""
    spark = session_of(shell)
    shell.register_magics(SqlMagics)
    assert shell.display_formatter is not None
    shell.display_formatter.mimebundle_formatter.for_type(DataFrame, bundle_of)
    PySparkLogger.getLogger(_QUERY_LOGGER).addFilter(_drop)
    if not has_outputs(shell) and sys.stdout.isatty():
        # A terminal has no outputs to replace: there, PySpark's own bar serves.
        os.environ.setdefault(_PROGRESS_VARIABLE, "1")
    print(f"`{SESSION}` is a session of Spark {spark.version} at {place_of(spark)}")  # noqa: T201 - what the user asked for


def unload(shell: InteractiveShell) -> None:
    """Take out what `load` put in; the session stays."""
    for kind in ("line", "cell"):
        shell.magics_manager.magics[kind].pop("sql", None)
    assert shell.display_formatter is not None
    shell.display_formatter.mimebundle_formatter.pop(DataFrame, None)
    PySparkLogger.getLogger(_QUERY_LOGGER).removeFilter(_drop)
    spark = shell.user_ns.get(SESSION)
    if is_live_session(spark) and has_outputs(shell):
        spark.removeProgressHandler(progress_bars)


def _drop(record: logging.LogRecord) -> bool:
    return False
