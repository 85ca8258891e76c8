"""Bringing the runs of MLflow to a planned state, so that a second recording finds the first."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pruneproof.tracking import names
from pruneproof.tracking.conditions import REPORT
from pruneproof.tracking.planned import Data, Place, PlannedRun

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Run

BATCH = 500
"""Metrics in one request; MLflow's limit is 1000."""
PARAMS_BATCH = 100
"""Parameters in one request, which is MLflow's limit."""
PARENT = "mlflow.parentRunId"
NOTE = "mlflow.note.content"
STAGE = "record_runs"
"""The tag `stage` of every run and model that is ours; others of the experiments are left alone."""
STEP_MS = 1000
"""Time between two steps of a metric: charts may have the time as their axis."""


class Recorder:
    """One recording: knows the runs and models that exist, and the ids of those that are current."""

    def __init__(
        self, client: MlflowClient, experiments: Mapping[Place, str], planned: Sequence[PlannedRun], finished: int
    ) -> None:
        """Read what exists, and delete what a killed recording left half written.

        Args:
            client: of an open store.
            experiments: their ids.
            planned: whatever a run refers to before it.
            finished: when the last result was finished, in milliseconds since 1970. The first run of an experiment
                starts so long before it as the longest run takes, and each further one a millisecond earlier, so that
                the UI, newest first, lists them in the order given. If runs that these replace started later (the clock
                was set back since), they start after those.
        """
        self.client = client
        self.experiments = experiments
        self.planned = planned
        self.ids: dict[tuple[Place, str], str] = {}
        self.models: dict[str, str] = {}
        """Cell id of a method's run to the id of its model."""
        self.existing: dict[tuple[Place, str], list[Run]] = {}
        current = {(run.place, run.cell_id): run.cell_hash for run in planned}
        begun = finished - max((_milliseconds(run) for run in planned), default=0)
        self.next_start = {place: max(begun, len(planned)) for place in experiments}
        for place, run in self._our_runs():
            cell_id = run.data.tags["cell_id"]
            elsewhere = any((other, cell_id) in current for other in experiments if other != place)
            if run.info.status != "FINISHED" or ((place, cell_id) not in current and elsewhere):
                # From a recording that was killed, or from a version that kept such runs in the other experiment.
                client.delete_run(run.info.run_id)
                continue
            self.existing.setdefault((place, cell_id), []).append(run)
            if run.data.tags.get("cell_hash") != current.get((place, cell_id)):
                self.next_start[place] = max(self.next_start[place], run.info.start_time + len(planned))
        self.ready = self._our_models()

    def record(self) -> None:
        """Write what is missing, and mark what is no longer valid."""
        from rich.console import Console
        from rich.progress import track

        console = Console(stderr=True)
        for run in track(self.planned, "recording", console=console, disable=not console.is_terminal):
            self._settle(run)
            self.next_start[run.place] -= 1
        # A method or condition that left the study is no longer a result of it.
        for cell in self.existing.keys() - self.ids.keys():
            for left in self.existing[cell]:
                if "superseded_by" not in left.data.tags:
                    self.client.set_tag(left.info.run_id, "superseded_by", self.ids["conditions", REPORT])
        for model_id in self._all_models() - set(self.models.values()):
            self.client.delete_logged_model(model_id)

    def _our_runs(self) -> Iterator[tuple[Place, Run]]:
        for place, experiment_id in self.experiments.items():
            token: str | None = None
            while True:
                page = self.client.search_runs([experiment_id], max_results=5000, page_token=token)
                ours = (run for run in page if run.data.tags.get("stage") == STAGE and "cell_id" in run.data.tags)
                yield from ((place, run) for run in ours)
                token = page.token
                if not token:
                    break

    def _pages_of_models(self) -> Iterator[Any]:
        token: str | None = None
        while True:
            page = self.client.search_logged_models([self.experiments["methods"]], page_token=token)
            yield from (model for model in page if (model.tags or {}).get("stage") == STAGE)
            token = page.token
            if not token:
                return

    def _our_models(self) -> dict[str, str]:
        """Run id to the id of its finished model."""
        return {model.source_run_id: model.model_id for model in self._pages_of_models() if model.status == "READY"}

    def _all_models(self) -> set[str]:
        return {model.model_id for model in self._pages_of_models()}

    def _settle(self, planned: PlannedRun) -> None:
        """Make `planned` the current run of its cell."""
        found = self.existing.get((planned.place, planned.cell_id), [])
        same = next((run for run in found if run.data.tags.get("cell_hash") == planned.cell_hash), None)
        parent = self.ids[planned.place, planned.parent] if planned.parent else None
        current = self._create(planned, parent) if same is None else self._renew(planned, parent, same)
        self.ids[planned.place, planned.cell_id] = current
        for run in found:
            if run is not same and run.data.tags.get("superseded_by") != current:
                self.client.set_tag(run.info.run_id, "superseded_by", current)

    def _renew(self, planned: PlannedRun, parent: str | None, run: Run) -> str:
        """Make a run that has the result the current one: it follows its parent, its model and its figures."""
        run_id, tags = str(run.info.run_id), run.data.tags
        if "superseded_by" in tags:
            self.client.delete_tag(run_id, "superseded_by")
        if parent and tags.get(PARENT) != parent:
            self.client.set_tag(run_id, PARENT, parent)
        model_id = self._model(planned, run_id)
        if model_id and tags.get("model_id") != model_id:
            self._join(planned, run_id, run.info.start_time, model_id)
        if tags.get("figures", "") != _figures_tag(planned):
            self._upload(run_id, planned.figures)
            self.client.set_tag(run_id, "figures", planned.figures_digest)
        return run_id

    def _create(self, planned: PlannedRun, parent: str | None) -> str:
        from mlflow.entities import DatasetInput, Param

        start = self.next_start[planned.place]
        identity = {
            "cell_id": planned.cell_id, "cell_hash": planned.cell_hash, "figures": _figures_tag(planned),
            PARENT: parent or "",
        }  # fmt: skip
        written: dict[str, Any] = {"stage": STAGE, **planned.tags, **planned.inputs, **identity}
        tags = {names.key(name): names.value(text, names.TAG_LENGTH) for name, text in written.items() if text}
        run = self.client.create_run(self.experiments[planned.place], start, tags, names.run(planned.name))
        run_id = str(run.info.run_id)
        if (note := _note(planned, run_id)) != tags.get(NOTE, ""):
            self.client.set_tag(run_id, NOTE, note)
        params = [Param(name, text) for name, text in _params(planned).items()]
        metrics = _metrics(planned, start)
        self.client.log_batch(run_id, metrics[:BATCH], params[:PARAMS_BATCH])
        for first in range(BATCH, len(metrics), BATCH):
            self.client.log_batch(run_id, metrics[first : first + BATCH])
        for first in range(PARAMS_BATCH, len(params), PARAMS_BATCH):
            self.client.log_batch(run_id, params=params[first : first + PARAMS_BATCH])
        if planned.data:
            self.client.log_inputs(run_id, [DatasetInput(*_dataset(one)) for one in planned.data])
        self._upload(run_id, {**planned.artifacts, **planned.figures})
        self.client.set_terminated(run_id, "FINISHED", start + _milliseconds(planned))
        if model_id := self._model(planned, run_id):
            self._join(planned, run_id, start, model_id)
        return run_id

    def _model(self, planned: PlannedRun, run_id: str) -> str | None:
        """The id of the model that a run's values belong to: a method's run has one of its own, which may be new."""
        if planned.place == "methods":
            self.models[planned.cell_id] = self.ready.get(run_id) or self._new_model(planned, run_id)
        return self.models[planned.model] if planned.model else None

    def _new_model(self, planned: PlannedRun, run_id: str) -> str:
        model = self.client.create_logged_model(
            self.experiments[planned.place],
            names.model(planned.cell_id),
            run_id,
            {"stage": STAGE, "cell_id": planned.cell_id, NOTE: _note(planned, run_id)},
            _params(planned),
            "backbone with a pruning method",
        )
        return str(model.model_id)

    def _join(self, planned: PlannedRun, run_id: str, start: int, model_id: str) -> None:
        """Give the values of a finished run to a model, and note in the run that the model has them.

        Not before it is finished: a model keeps what it got from a run that was killed and is deleted. MLflow leaves
        out what run or model has already.
        """
        from mlflow.entities import LoggedModelOutput, RunTag

        if planned.place == "methods" and run_id not in self.ready:
            self.client.log_outputs(run_id, [LoggedModelOutput(model_id, 0)])
            self.client.finalize_logged_model(model_id, "READY")
        values = [metric for metric in _metrics(planned, start, model_id) if metric.model_id]
        for first in range(BATCH, len(values), BATCH):
            self.client.log_batch(run_id, values[first : first + BATCH])
        self.client.log_batch(run_id, values[:BATCH], tags=[RunTag("model_id", model_id)])

    def _upload(self, run_id: str, artifacts: Mapping[str, Path | str]) -> None:
        for name, content in artifacts.items():
            if isinstance(content, Path):
                folder = str(Path(name).parent)
                self.client.log_artifact(run_id, str(content), None if folder == "." else folder)
            else:
                self.client.log_text(run_id, content, name)


def _milliseconds(planned: PlannedRun) -> int:
    return round(1000 * planned.seconds)


def _note(planned: PlannedRun, run_id: str) -> str:
    """The description of a run with its id in it, which it has only once it exists."""
    return names.value(planned.tags.get(NOTE, "").replace("{run_id}", run_id), names.TAG_LENGTH)


def _figures_tag(planned: PlannedRun) -> str:
    return planned.figures_digest if planned.figures else ""


def _params(planned: PlannedRun) -> dict[str, str]:
    return {names.key(name): names.value(str(content), names.PARAM_LENGTH) for name, content in planned.params.items()}


def _metrics(planned: PlannedRun, start: int, model_id: str | None = None) -> list[Metric]:
    """A run's values, those with data as values of a model if one is given."""
    from mlflow.entities import Metric

    return [
        Metric(names.key(key), value, start + STEP_MS * step, step, model_id, data.name, data.digest)
        if data and model_id
        else Metric(names.key(key), value, start + STEP_MS * step, step)
        for key, value, step, data in planned.points
    ]


def _dataset(data: Data) -> tuple[Any, Any]:
    """What MLflow's `DatasetInput` takes."""
    from mlflow.entities import Dataset, InputTag

    source = json.dumps({"uri": data.source})
    return Dataset(data.name, data.digest, "local", source), [InputTag("mlflow.data.context", "evaluation")]
