"""What is noted of stages, and how they are drawn."""

from __future__ import annotations

import gc
import weakref

from voltray.driver.monitoring.monitor import Monitor
from voltray.driver.monitoring.operations import OperationNotes, Statement
from voltray.driver.monitoring.stages import KEPT_TASKS, QueryNotes, StageNotes
from voltray.driver.monitoring.web.dag import HEIGHT, WIDTH, draw
from voltray.proto.status import FINISHED


def stage(notes: QueryNotes, stage_id: int, tasks: int, inputs: tuple[int, ...] = ()) -> StageNotes:
    return notes.stage(
        stage_id, "hash", tasks, partitions=4, inputs=inputs, caches=(), file_bytes=0, operators=lambda: ("Range",)
    )


def test_a_task_that_runs_again_counts_once():
    notes = QueryNotes()
    one = stage(notes, 0, 2)
    for index, rows in ((0, 10), (1, 30), (0, 20)):
        one.task_started()
        one.task_left()
        one.task_done(index, 0, 0.0, 1.0, rows, rows * 8, spilled=index == 1)
    status = one.status()
    assert (status.rows, status.bytes, status.most_rows, status.median_rows) == (50, 400, 30, 25)
    assert status.spilled_bytes == notes.totals.spilled_bytes == 240
    assert notes.totals.tasks_done == 3


def test_skew_is_the_largest_over_the_median_and_needs_work_that_matters():
    notes = QueryNotes()
    small, large = stage(notes, 0, 3), stage(notes, 1, 3)
    for index, rows in enumerate((10, 10, 80)):
        small.task_done(index, 0, 0.0, 0.01, rows, rows)
        large.task_done(index, 0, 0.0, 0.01, rows * 10_000, rows)
        small.done = large.done = index + 1
    assert small.status().skew == large.status().skew == 8
    assert not small.status().is_skewed and large.status().is_skewed


def test_stages_of_many_tasks_keep_what_they_come_to():
    one = stage(QueryNotes(), 0, KEPT_TASKS * 10)
    for index in range(KEPT_TASKS * 10):
        one.task_done(index, 0, 0.0, index / 1000, 5, 40)
    before = one.status()
    one.end()
    after = one.status()
    assert (after.rows, after.longest_seconds, after.median_seconds) == (
        before.rows, before.longest_seconds, before.median_seconds,
    )  # fmt: skip
    assert one.seconds.values == [] and after.rows == 5 * KEPT_TASKS * 10


def test_stages_are_drawn_in_layers_without_overlap():
    notes = QueryNotes()
    for stage_id, inputs in ((0, ()), (1, ()), (2, (0,)), (3, (1, 2)), (4, (3, 0))):
        stage(notes, stage_id, 1, inputs)
    drawing = draw(notes.status().stages)
    places = {n.stage.stage_id: (n.x, n.y) for n in drawing.nodes}
    assert len(drawing.edges) == 5 and len(set(places.values())) == 5
    for reader, inputs in ((2, (0,)), (3, (1, 2)), (4, (3, 0))):
        assert all(places[reader][0] >= places[i][0] + WIDTH for i in inputs)
    assert max(x for x, _ in places.values()) + WIDTH <= drawing.width
    assert max(y for _, y in places.values()) + HEIGHT <= drawing.height
    assert draw(()).nodes == ()


def test_an_ended_operation_holds_nothing_but_what_is_shown():
    class Heavy:
        """Stands for an operation, its plan and its operators."""

        def write(self) -> str:
            return "select 1"

        def lines(self) -> tuple[str, ...]:
            return ("OneRow",)

        def cancel(self, reason: str) -> bool:
            return True

    class Lines:
        def __init__(self, heavy: Heavy | None) -> None:
            self.heavy, self.kept = heavy, ()

        def __call__(self) -> tuple[str, ...]:
            if self.heavy is not None:
                self.kept, self.heavy = self.heavy.lines(), None
            return self.kept

    heavy = Heavy()
    gone = weakref.ref(heavy)
    monitor = Monitor()
    statement = Statement(heavy.write, lambda source=heavy: None)
    notes = OperationNotes("o", "s", "ada", (), statement, heavy.cancel, "o.s")
    monitor.begin(notes)
    monitor.query("o.s").stage(
        0, "result", 1, partitions=1, inputs=(), caches=(), file_bytes=0, operators=Lines(heavy)
    )  # fmt: skip
    with monitor.watching(notes):
        notes.end(FINISHED)
    del heavy, statement
    gc.collect()
    assert gone() is None and not notes.cancel("too late")
    told = notes.status(whole=True)
    assert (told.statement, told.queries[0].stages[0].operators) == ("select 1", ("OneRow",))
