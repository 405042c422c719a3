"""A progress bar below the cell, one an operation: it comes with the server's first report and goes with the query."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from IPython.display import HTML, DisplayHandle, display
from pyspark.sql.connect.shell.progress import ProgressHandler, StageInfo

# The stage under which a server tells that a query waits for its turn.
_QUEUE = -1
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


class ProgressBars(ProgressHandler):
    """A handler for ``SparkSession.registerProgressHandler``; several threads of a notebook may run queries."""

    def __init__(self) -> None:
        self._bars: dict[str | None, DisplayHandle] = {}

    def __call__(
        self, stages: Iterable[StageInfo] | None, inflight_tasks: int, operation_id: str | None, done: bool
    ) -> None:
        """Show where a query stands."""
        known = list(stages or ())
        bar = self._bars.get(operation_id)
        if done:
            if self._bars.pop(operation_id, None) is not None and bar is not None:
                bar.update(HTML(""))
            return
        if not known:
            return
        page = HTML(_queue(known[0]) if known[0].stage_id == _QUEUE else _progress(known))
        if bar is not None:
            bar.update(page)
            return
        shown = display(page, display_id=True)
        if shown is not None:
            self._bars[operation_id] = shown


progress_bars = ProgressBars()


def _queue(stage: StageInfo) -> str:
    ahead = stage.num_tasks - stage.num_completed_tasks - 1
    return f"<small>waiting for a place: {max(ahead, 0)} queries ahead</small>"


def _progress(stages: Sequence[StageInfo]) -> str:
    tasks = sum(s.num_tasks for s in stages)
    completed = sum(s.num_completed_tasks for s in stages)
    finished = sum(s.done for s in stages)
    read = _size(sum(s.num_bytes_read for s in stages))
    return (
        f'<progress value="{completed}" max="{tasks}" style="width: 20em"></progress> '
        f"<small>{completed} of {tasks} tasks done; {finished} of {len(stages)} stages; {read} read</small>"
    )


def _size(count: float) -> str:
    for unit in _UNITS[:-1]:
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} {_UNITS[-1]}"
