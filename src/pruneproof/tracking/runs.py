"""Which runs a study consists of: read from its tables, without MLflow."""

from __future__ import annotations

from pruneproof.folders import Folders
from pruneproof.settings import Study
from pruneproof.tracking.conditions import condition_runs, report_run
from pruneproof.tracking.methods import method_runs
from pruneproof.tracking.planned import PlannedRun
from pruneproof.tracking.results import gather


def plan_runs(study: Study, folders: Folders) -> list[PlannedRun]:
    """All runs of a study, those of each experiment in the order in which the UI should list them.

    The report comes first, since runs that leave the study refer to it; then methods, whose models conditions refer to.

    Raises:
        PruneProofError: if a table is missing, empty or damaged.
    """
    results = gather(study, folders)
    return [report_run(results), *method_runs(results), *condition_runs(results)]
