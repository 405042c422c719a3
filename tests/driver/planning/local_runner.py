"""Runs planned stages in this process, with the executors' own task runner and no cluster."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl

from voltray.driver.plan.logical import LogicalPlan
from voltray.driver.planning.fragment import Fragment, StageResult
from voltray.driver.planning.planner import Planner
from voltray.driver.scheduler.lineage import StoredStage, TaskOutcome, keys_of
from voltray.driver.scheduler.state import StageState, finished
from voltray.executors.functions.evaluation import EvaluationContext
from voltray.executors.task_runner import TaskRunner
from voltray.proto.failures import SparkError
from voltray.proto.stages import Exchange, Stage
from voltray.proto.tasks import PieceSlice, Task, encode_task

TASKS = TaskRunner(1)


@dataclass
class LocalRunner:
    """Planning's ``StageRunner`` whose stages have really run."""

    context: EvaluationContext
    stages: dict[str, StoredStage] = field(default_factory=dict)

    def new_stage_id(self) -> int:
        return len(self.stages)

    def run(self, stage: Stage, *, streaming: bool) -> StageResult:
        stored = StoredStage(
            str(stage.stage_id), stage, StageState.of(stage.stage_id, len(stage.tasks)), self.context, streaming, 1
        )
        for index in range(len(stage.tasks)):
            report, *pieces = TASKS.store(*self._prepared(stage, index))
            if report.failure is not None:
                raise SparkError(report.failure)
            stored.state = finished(stored.state, index, TaskOutcome(report, tuple(pieces), 0))
        self.stages[stored.source] = stored
        return stored.result()

    def cached(self, cache_id: str) -> StageResult:
        raise KeyError(cache_id)

    def rows(self, fragment: Fragment) -> pl.DataFrame:
        """The rows of a query's last fragment."""
        stage = Stage(self.new_stage_id(), fragment.tasks, Exchange("keep", 1), fragment.output)
        self.run(stage, streaming=False)
        outcomes = self.stages[str(stage.stage_id)].outcomes
        frames = [pl.DataFrame(o.pieces[0].table) for o in outcomes]
        return pl.concat(frames).select([a.column for a in fragment.output])

    def _prepared(self, stage: Stage, index: int) -> tuple[bytes, tuple[Any, ...]]:
        arguments: list[Any] = []
        pieces: list[tuple[str, tuple[PieceSlice, ...]]] = []
        for key in keys_of(stage.tasks[index]):
            slices = []
            for _, _, piece, part in self.stages[key.source].pieces(key):
                slices.append(PieceSlice(len(arguments), part.first, part.last))
                arguments.append(piece)
            pieces.append((key.text, tuple(slices)))
        context = replace(self.context, partition_id=index)
        task = Task(
            "q", stage.stage_id, index, stage.tasks[index], stage.output, stage.attributes, context, tuple(pieces)
        )
        return encode_task(task), tuple(arguments)


def run_plan(plan: LogicalPlan, settings: Any, confs: dict[str, str]) -> tuple[pl.DataFrame, LocalRunner]:
    """The rows of a plan run on three slots, and the runner that ran its stages."""
    context = EvaluationContext(confs=tuple(confs.items()))
    runner = LocalRunner(context)
    fragment = Planner(settings, context, runner, slots=3).plan_query(plan)
    return runner.rows(fragment), runner
