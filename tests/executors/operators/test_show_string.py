"""Pictures of rows, recorded from Spark 4.1.1."""

from __future__ import annotations

import pytest
from operator_trees import attribute, rows, scan

from voltray.proto.operators import Project, ShowString
from voltray.proto.types import STRING

FACES = "\U0001f600" * 12
ODD = "\x00\x01\x02\x07\b\t\n\x0b\f\r\x1b\x7f\x85\u2028\\\"'<>&"
X, Y, SHOWN = attribute("x", STRING), attribute("y", STRING), attribute("show", STRING)
SOURCE = scan((X, Y), [(FACES, ODD)])
NAMES = ("a\nb", "q")


def picture(style: str, count: int, truncate: int, source: object = SOURCE) -> str:
    operator = ShowString(source, style, count, truncate, NAMES, (SHOWN,), (X, Y))  # type: ignore[arg-type]
    return str(rows(operator)[0][0])


@pytest.mark.parametrize(
    ("style", "count", "truncate", "wanted"),
    [
        (
            "text", 20, 10,
            "+----------+----------+\n|      a\\nb|         q|\n+----------+----------+\n"
            "|\U0001f600\U0001f600\U0001f600?...|\x00\x01\x02\\a\\b...|\n+----------+----------+\n",
        ),
        ("vertical", 20, 7, "-RECORD 0-------\n a\\nb | \U0001f600\U0001f600... \n q    | \x00\x01\x02\\... \n"),
        (
            "text", 20, 0,
            "+------------------------+---------------------------+\n"
            "|a\\nb                    |q                          |\n"
            "+------------------------+---------------------------+\n"
            f"|{FACES}|\x00\x01\x02\\a\\b\\t\\n\\v\\f\\r\x1b\x7f\x85\u2028\\\"'<>&|\n"
            "+------------------------+---------------------------+\n",
        ),
        ("text", 20, 4, "+----+----+\n|a\\nb|   q|\n+----+----+\n|?...|\x00...|\n+----+----+\n"),
        ("text", 0, 20, "+----+---+\n|a\\nb|  q|\n+----+---+\n+----+---+\nonly showing top 0 rows"),
        ("text", -1, 20, "+----+---+\n|a\\nb|  q|\n+----+---+\n+----+---+\nonly showing top 0 rows"),
        ("vertical", 0, 20, "(0 rows)"),
    ],
)  # fmt: skip
def test_pictures(style: str, count: int, truncate: int, wanted: str) -> None:
    assert picture(style, count, truncate) == wanted


def test_more_rows_than_shown() -> None:
    source = scan((X, Y), [("1", "漢字kana"), ("2", None)])
    assert picture("text", 1, 20, source) == (
        "+----+--------+\n|a\\nb|       q|\n+----+--------+\n|   1|漢字kana|\n+----+--------+\nonly showing top 1 row"
    )
    assert picture("text", 2, 0, source).endswith("|2   |NULL    |\n+----+--------+\n")


def test_html() -> None:
    source = scan((X, Y), [("<\"&'>é€", "漢字"), ("x", "y")])
    assert picture("html", 1, 20, source) == (
        "<table border='1'>\n<tr><th>a\\nb</th><th>q</th></tr>\n"
        "<tr><td>&lt;&quot;&amp;'&gt;&eacute;&euro;</td><td>漢字</td></tr>\n</table>\nonly showing top 1 row\n"
    )


def test_rows_without_columns() -> None:
    bare = ShowString(Project(SOURCE, ()), "text", 20, 20, (), (SHOWN,), ())
    assert rows(bare)[0][0] == "++\n||\n++\n||\n++\n"
