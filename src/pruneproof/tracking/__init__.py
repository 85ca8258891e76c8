"""The stage `record_runs`: the results of a study in MLflow, and nothing but MLflow.

The experiment `<study>` has one run and one model a backbone and method, with the few numbers that answer which method
holds up best; `<study>.conditions` has a run for each condition, all other numbers, and the report. The stage comes
last: whatever happens to MLflow, the results are already complete in `data/` and `reports/`.
"""

from __future__ import annotations

from pruneproof import files
from pruneproof.errors import PruneProofError
from pruneproof.folders import Folders
from pruneproof.settings import Study
from pruneproof.tracking import address, store
from pruneproof.tracking.notes import conditions_note, study_note
from pruneproof.tracking.planned import Place, PlannedRun
from pruneproof.tracking.runs import plan_runs
from pruneproof.tracking.tables import read


def run(study: Study, folders: Folders) -> None:
    """Record every result that MLflow does not have yet, and write `reports/tracking.json`.

    Logs to `mlflow.db` and `mlartifacts/` in the study's folder, or to the server in MLFLOW_TRACKING_URI. Running it
    twice adds nothing. A changed result becomes a new run, and the old one gets the tag `superseded_by`; so do the runs
    of methods and conditions that have left the study, with the id of its report.

    Raises:
        PruneProofError: if a table is missing, MLFLOW_TRACKING_URI is malformed, or MLflow does not answer.
    """
    folders = Folders(folders.study.resolve())
    planned = plan_runs(study, folders)
    if why := address.misspelt():
        raise PruneProofError(f"{why}. All results are complete in data/ and reports/; then run `{address.AGAIN}`")
    finished = (folders.scores / "summary.csv").stat().st_mtime_ns // 1_000_000
    headline = read(folders.reports / "summary.csv", ())
    notes: dict[Place, str] = {
        "methods": study_note(headline, store.conditions_of(study.study.name)),
        "conditions": conditions_note(study.study.name),
    }
    store.record(folders, study.study.name, planned, finished, notes)
    files.write_json(folders.reports / "tracking.json", receipt(study, planned))


def receipt(study: Study, planned: list[PlannedRun]) -> dict[str, object]:
    """What was recorded, without run ids or addresses: equal results give equal bytes wherever they are logged."""
    methods = {run.cell_id: run.cell_hash for run in planned if run.place == "methods"}
    everything = files.digest(*(run.cell_hash.encode() for run in planned))
    names = list(store.experiment_names(study.study.name).values())
    return {"experiments": names, "runs": len(planned), "methods": methods, "digest": everything}
