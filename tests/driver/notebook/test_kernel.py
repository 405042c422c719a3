"""Cells run by a real kernel: tables, `%sql`, `%%sql`, progress, errors, interrupts."""

from __future__ import annotations

import re
import time

import pytest

TABLE = """\
+---+---+
|  a|  b|
+---+---+
|  1|x<y|
+---+---+"""


def test_sql_shows_a_table_and_is_a_data_frame(notebook):
    shown = notebook.run("%sql select 1 as a, 'x<y' as b")
    assert shown.text == TABLE
    html = "<table border='1'>\n<tr><th>a</th><th>b</th></tr>\n<tr><td>1</td><td>x&lt;y</td></tr>\n</table>\n"
    assert shown.data[-1]["text/html"] == html
    assert notebook.run("frame = %sql select * from range(30)\nframe.count()").text == "30"
    assert notebook.run("frame").text.endswith("| 19|\n+---+\nonly showing top 20 rows")
    assert notebook.run("frame.limit(1)").text == "DataFrame[id: bigint]"


def test_options_of_a_cell(notebook):
    kept = notebook.run("%%sql kept --limit 2 --truncate 0\nselect id, repeat('é', 30) as r from range(3)")
    assert (kept.status, kept.data) == ("ok", [])
    assert notebook.run("kept.count()").text == "3"
    assert notebook.run("kept").text == "DataFrame[id: bigint, r: string]"
    rows = notebook.run("%sql --limit=1 --truncate 5 select * from {kept}")
    assert rows.text.splitlines()[3:] == ["|  0|éé...|", "+---+-----+", "only showing top 1 row"]
    whole = notebook.run("%%sql --limit 1 --truncate 0\nselect * from {kept}").text
    assert "|0  |" + "é" * 30 + "|" in whole
    refused = notebook.run("%%sql kept again\nselect 1")
    assert refused.status == "error"
    assert refused.texts[0].startswith("UsageError: %%sql [NAME] [--limit ROWS] [--truncate CHARACTERS]: cannot read")


def test_variables_are_parameters(notebook):
    notebook.run("name, limit, missing, pairs = \"x' or '1'='1\", 2, None, {'k': (1, 2)}")
    shown = notebook.run(
        "%%sql\nselect {name} as n, {limit} as l, {missing} as m, {pairs} as p, '{name}' as s -- {comment}"
    )
    assert shown.text.splitlines()[3] == "|x' or '1'='1|  2|NULL|{k -> [1, 2]}|{name}|"
    # As text it would have let all rows through.
    filtered = notebook.run("%sql select count(*) as n from values ('a'), ('b') t(v) where v = {name}")
    assert filtered.text.splitlines()[3] == "|  0|"
    unknown = notebook.run("%sql select {nothing}")
    assert unknown.texts == ["UsageError: {nothing}: there is no variable of this name\n"]


def test_a_command_shows_nothing_and_an_error_its_message(notebook):
    assert notebook.run("%%sql\ncreate or replace temp view v as select 1 as a;").data == []
    assert notebook.run("%sql select * from v").text.splitlines()[3] == "|  1|"
    failed = notebook.run("%%sql\nselect *\nfrom nowhere")
    ((name, message),) = failed.errors
    assert (failed.status, name, failed.texts) == ("error", "AnalysisException", [])
    assert message.startswith("AnalysisException: [TABLE_OR_VIEW_NOT_FOUND]")
    assert message.endswith("== SQL (line 2, position 6) ==\nfrom nowhere\n     ^^^^^^^")
    # What fails only as rows are fetched is the cell's error too.
    assert [name for name, _ in notebook.run("%sql select 1/0").errors] == ["ArithmeticException"]


def test_eager_evaluation(notebook):
    """Recorded from Spark 4.1.1, but for the one query that gives both forms."""
    notebook.run("spark.conf.set('spark.sql.repl.eagerEval.enabled', True)")
    notebook.run("spark.conf.set('spark.sql.repl.eagerEval.maxNumRows', 2)")
    notebook.run("spark.conf.set('spark.sql.repl.eagerEval.truncate', 5)")
    try:
        shown = notebook.run("spark.sql(\"select * from values (1, 'éé<é\\\"é€', 'x'), (2, null, 'y'), (3, '', 'z')\")")
        failed = notebook.run("spark.range(1).selectExpr('1 / id')")
    finally:
        notebook.run(
            "for conf in ('enabled', 'maxNumRows', 'truncate'): spark.conf.unset(f'spark.sql.repl.eagerEval.{conf}')"
        )
    assert shown.data[-1]["text/html"] == (
        "<table border='1'>\n<tr><th>col1</th><th>col2</th><th>col3</th></tr>\n"
        "<tr><td>1</td><td>&eacute;&eacute;...</td><td>x</td></tr>\n"
        "<tr><td>2</td><td>NULL</td><td>y</td></tr>\n</table>\nonly showing top 2 rows\n"
    )
    assert shown.text == (
        "+----+-----+----+\n|col1| col2|col3|\n+----+-----+----+\n"
        "|   1|éé...|   x|\n|   2| NULL|   y|\n+----+-----+----+\nonly showing top 2 rows"
    )
    assert failed.text.startswith("ArithmeticException: [DIVIDE_BY_ZERO]")
    assert len(failed.data) == 1 and not failed.errors


@pytest.mark.slow
def test_a_long_query_shows_a_bar_and_ends_with_its_interrupt(notebook, executors_busy):
    bars: list[str] = []

    def interrupt_once(outputs) -> None:
        if outputs.data and not bars:
            bars.append(outputs.data[-1]["text/html"])
            notebook.manager.interrupt_kernel()

    cancelled = notebook.run("%sql select sum(sqrt(id)) from range(100000000000)", interrupt_once)
    assert re.match(r'<progress value="\d+" max="\d+" .* tasks done; 0 of 1 stages; ', bars[0])
    assert cancelled.errors == [("KeyboardInterrupt", "KeyboardInterrupt: the query was cancelled")]
    # The bar is gone, and so is the executor's work.
    assert cancelled.data[-1]["text/html"] == ""
    deadline = time.monotonic() + 60
    while executors_busy():
        assert time.monotonic() < deadline, "the executor is still at work"
    assert notebook.run("%sql select 1 as a, 'x<y' as b").text == TABLE


def test_unloading(notebook):
    notebook.run("%unload_ext voltray")
    assert notebook.run("%sql select 1").status == "error"
    assert notebook.run("spark.range(1)").text == "DataFrame[id: bigint]"
    notebook.run("%load_ext voltray")
    assert notebook.run("%sql select 1 as a, 'x<y' as b").text == TABLE


def test_a_session_that_was_stopped_is_followed_by_another(notebook):
    notebook.run("spark.stop()")
    assert notebook.run("%sql select 1 as a, 'x<y' as b").text == TABLE
    assert notebook.run("spark.range(3).count()").text == "3"
