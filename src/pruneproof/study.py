"""Reading params.yaml: everything that is wrong with it is reported at once, before anything runs."""

from __future__ import annotations

import json
from pathlib import Path

from pruneproof import prompts
from pruneproof.errors import PruneProofError
from pruneproof.problems import model_problems
from pruneproof.settings import Study
from pruneproof.settings_file import described, read_yaml
from pruneproof.validation import checkpoint_problems, semantic_problems


def load_study(folder: Path) -> Study:
    """The settings of the study in `folder`; what a backbone's `prompt` says is in the fields that it sets.

    Raises:
        PruneProofError: naming every problem of params.yaml with its line, path, value and the allowed values.
    """
    path = folder.absolute() / "params.yaml"
    values, lines, problems = read_yaml(path)
    problems += model_problems(Study, values) + semantic_problems(values) + checkpoint_problems(values, folder)
    if problems:
        raise PruneProofError(described(path, problems, lines))
    study = Study.model_validate_json(json.dumps(values), strict=True)
    backbones = {name: prompts.applied(settings) for name, settings in study.backbones.items()}
    return study.model_copy(update={"backbones": backbones})
