"""Which values of pickled functions Spark can read back: its unpickler builds few classes that take arguments."""

from __future__ import annotations

import array
import copyreg
import datetime
import pickle
from decimal import Decimal
from typing import Any

from pyspark.cloudpickle import cloudpickle

PICKLE_EXCEPTION = "net.razorvine.pickle.PickleException: "
"""Precedes the text of such a failure: clients know it by that."""
_CONTAINERS = (list, tuple, set, frozenset)
_READ = frozenset(
    (
        type(None), bool, int, float, complex, str, bytes, bytearray, type, Decimal, array.array,
        datetime.date, datetime.time, datetime.timedelta,
    )
)  # fmt: skip
_CLOUDPICKLE: Any = cloudpickle
_NEW: tuple[Any, ...] = (copyreg.__newobj__, copyreg.__newobj_ex__)  # type: ignore[attr-defined]


class UnreadableResultError(Exception):
    """A function returned what Spark cannot read back."""


def check_readable(value: Any) -> None:
    """Raise for a value, or one inside it, that Spark's unpickler refuses: NumPy's numbers, rows where none belong."""
    kind = type(value)
    if kind in _READ:
        return
    if kind in _CONTAINERS:
        if not _READ.issuperset(map(type, value)):
            for part in value:
                check_readable(part)
    elif kind is dict:
        check_readable(list(value))
        check_readable(list(value.values()))
    elif kind is datetime.datetime:
        check_readable(value.tzinfo)
    elif not isinstance(value, BaseException):
        _check_object(value)


def _check_object(value: Any) -> None:
    try:
        reduced = value.__reduce_ex__(2)
    except TypeError as error:
        raise pickle.PicklingError(f"Could not serialize object: TypeError: {error}") from None
    if isinstance(reduced, str):
        return
    build, arguments, *state = reduced
    if build in _NEW:
        build, *arguments = arguments
        if not _CLOUDPICKLE._should_pickle_by_reference(build):
            # The class travels as the text of itself.
            arguments, build = [build], _CLOUDPICKLE._make_skeleton_class
    name = f"{build.__module__}.{build.__qualname__}"
    for part in (*arguments, *state[:1]):
        check_readable(part)
    if arguments:
        raise UnreadableResultError(
            f"expected zero arguments for construction of ClassDict (for {name}): a function returned a value of "
            f"{type(value).__module__}.{type(value).__qualname__}, which Spark cannot read. Return Python's own "
            "values, such as x.item() or x.tolist() of NumPy's."
        )
