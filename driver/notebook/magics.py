"""The magics `%sql` and `%%sql`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_cell_magic, magics_class, no_var_expand
from pyspark.errors import PySparkException

from voltray.driver.notebook import options
from voltray.driver.notebook.errors import message_of, shorten
from voltray.driver.notebook.parameters import bind_variables
from voltray.driver.notebook.sessions import session_of
from voltray.driver.notebook.tables import fetch_table

if TYPE_CHECKING:
    from pyspark.sql.connect.dataframe import DataFrame


@magics_class
class SqlMagics(Magics):
    """`%sql` and `%%sql`."""

    # IPython would put variables into the line as text.
    @no_var_expand
    @line_cell_magic
    def sql(self, line: str, cell: str | None = None) -> DataFrame | None:
        """Run a SQL statement on the notebook's session and show its first rows.

        `%sql [--limit ROWS] [--truncate CHARACTERS] STATEMENT` shows the rows and is the DataFrame:
        `frame = %sql SELECT …`. `%%sql [NAME] [--limit ROWS] [--truncate CHARACTERS]` has the statement on the
        lines below; with NAME the DataFrame becomes that variable, and no row is fetched yet.
        `{variable}` stands for the value of a variable (as a parameter, never as text) or for a DataFrame.
        """
        if cell is None:
            chosen, text = options.of_line(line)
        else:
            chosen, text = options.of_cell(line), cell.strip()
        if not text:
            raise UsageError("there is no statement")
        try:
            return self._run(text, chosen)
        except PySparkException as error:
            shorten(error, message_of(error))
            raise
        except KeyboardInterrupt as interrupt:
            shorten(interrupt, "the query was cancelled")
            raise

    def _run(self, text: str, chosen: options.Options) -> DataFrame | None:
        assert self.shell is not None
        variables = self.shell.user_ns
        statement = bind_variables(text, variables)
        spark = session_of(self.shell)
        frame: Any = spark.sql(statement.text, args=statement.values, **statement.frames)
        if chosen.name is not None:
            variables[chosen.name] = frame
            return None
        return frame if fetch_table(frame, chosen.limit, chosen.truncate) else None
