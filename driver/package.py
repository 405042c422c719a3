"""Voltray: Spark Connect without the JVM.

This file becomes `voltray/__init__.py` (see hatch_build.py). It imports nothing at load time: executors and
the command line import `voltray` too, and must not pay for the client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell
    from pyspark.sql.connect.session import SparkSession

__all__ = ["__version__", "session"]
__version__ = "0.1.0"


def session(**settings: object) -> SparkSession:
    """Start an embedded server over a local Ray and return an ordinary Spark Connect session to it."""
    from voltray.driver.embedded import session as start_session

    return start_session(**settings)


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Run by `%load_ext voltray`: a session called `spark`, `%sql`, `%%sql`, tables and progress bars."""
    from voltray.driver.notebook.extension import load

    load(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Run by `%unload_ext voltray`."""
    from voltray.driver.notebook.extension import unload

    unload(shell)
