"""Nodes of Spark's grammar that sqlglot's tree has none for."""

from __future__ import annotations

from sqlglot import exp


class Pipe(exp.Expression, exp.Query):
    """A query behind which ``|>`` applies one operator: ``kind`` names it, the other arguments are its own."""

    arg_types = {  # noqa: RUF012
        "this": True,
        "kind": True,
        "expressions": False,
        "operand": False,
        "groups": False,
        "group_kind": False,
        "windows": False,
        "clauses": False,
        **exp.QUERY_MODIFIERS,
        "with_": False,
    }


class UnpivotClause(exp.Expression):
    """UNPIVOT: names of value columns, the name of the column of labels, and the sets of columns."""

    arg_types = {"values": True, "this": True, "expressions": True, "include_nulls": False, "alias": False}  # noqa: RUF012


class UnpivotSet(exp.Expression):
    """The columns of one label, and the label where one is given."""

    arg_types = {"expressions": True, "alias": False}  # noqa: RUF012


class TableArgument(exp.Expression):
    """``TABLE(query)`` with how its rows are to be spread and ordered."""

    arg_types = {"this": True, "partition_by": False, "order_by": False, "single": False}  # noqa: RUF012
