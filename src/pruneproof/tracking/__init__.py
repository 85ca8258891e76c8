"""The stage `record_runs`: the results of a study in MLflow, and nothing but MLflow.

An experiment is a study, a parent run a backbone with a method, a child run one condition, and one more run holds the
report. The stage comes last: whatever happens to MLflow, the results are already complete in `data/` and `reports/`.
"""

from __future__ import annotations

from pruneproof import files
from pruneproof.folders import Folders
from pruneproof.settings import Study
from pruneproof.tracking import store
from pruneproof.tracking.runs import PlannedRun, plan_runs


def run(study: Study, folders: Folders) -> None:
    """Record every result that MLflow does not have yet, and write `reports/tracking.json`.

    Logs to `mlflow.db` and `mlartifacts/` in the study's folder, or to the server in MLFLOW_TRACKING_URI. Running it
    twice adds nothing. A changed result becomes a new run, and the old one gets the tag `superseded_by`; so do the runs
    of methods and conditions that have left the study, with the id of its report.

    Raises:
        PruneProofError: if a table is missing, or MLflow does not answer.
    """
    folders = Folders(folders.study.resolve())
    planned = plan_runs(study, folders)
    started = (folders.scores / "summary.csv").stat().st_mtime_ns // 1_000_000
    note = next(run.tags["mlflow.note.content"] for run in planned if run.cell_id == "report")
    store.record(folders, study.study.name, planned, started, note)
    files.write_json(folders.reports / "tracking.json", receipt(study, planned))


def receipt(study: Study, planned: list[PlannedRun]) -> dict[str, object]:
    """What was recorded, without run ids or addresses: equal results give equal bytes wherever they are logged."""
    parents = {run.cell_id: run.cell_hash for run in planned if run.parent is None}
    everything = files.digest(*(run.cell_hash.encode() for run in planned))
    return {"experiment": study.study.name, "runs": len(planned), "parents": parents, "digest": everything}
