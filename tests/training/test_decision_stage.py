"""The command that trains decision modules: what it refuses, and what it writes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pruneproof import pruning
from pruneproof.errors import PruneProofError
from pruneproof.settings import MethodSettings
from pruneproof.training import decision_stage
from pruneproof.training.decision_stage import DecisionTraining, train
from pruneproof.training.decision_training import DecisionSettings
from pruneproof.training.settings_files import read

PROJECT = Path(__file__).parents[2]
COMMITTED = sorted(path for path in (PROJECT / "data" / "decisions").glob("*.yaml") if path.stem != "dvc")


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_committed_modules_are_those_of_their_settings(path: Path) -> None:
    settings = read(path, DecisionTraining)
    tensors = load_file(path.with_suffix(".safetensors"))
    assert {name.partition(".")[0] for name in tensors} == {str(stage) for stage in range(len(settings.layers))}
    assert all(bool(tensor.isfinite().all()) for tensor in tensors.values())
    options = {"method": "lvpruning", "weights": f"data/decisions/{path.stem}.safetensors"}
    method = pruning.load(MethodSettings.model_validate(options | {"layers": settings.layers, "keep": settings.keep}))
    assert method.budget(100, settings.of) is not None


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("backbone: builtin_llava\nlayers: [8, 1, 16]\n", "layers"),
        ("backbone: builtin_llava\ntraining: {steps: 0}\n", "training.steps"),
        ("backbone: builtin_llava\nscene: 3\n", "scene"),
        ("scenes: 3\n", "backbone"),
    ],
)
def test_wrong_settings_are_one_line(tmp_path: Path, text: str, wrong: str) -> None:
    path = tmp_path / "some.yaml"
    path.write_text(text)
    with pytest.raises(PruneProofError, match=wrong) as caught:
        read(path, DecisionTraining)
    assert "\n" not in str(caught.value)


def test_a_missing_model_and_other_settings_are_refused(tmp_path: Path) -> None:
    settings = DecisionTraining(backbone="nobody")
    with pytest.raises(PruneProofError, match="nobody"):
        train(settings, tmp_path, tmp_path / "some.safetensors")
    work = tmp_path / ".training" / "some"
    work.mkdir(parents=True)
    (work / "settings.json").write_text(settings.model_dump_json(indent=2))
    other = DecisionTraining(backbone="builtin_llava", training=DecisionSettings(steps=3))
    with pytest.raises(PruneProofError, match="other settings"):
        train(other, PROJECT / "data" / "backbones", tmp_path / "some.safetensors")


@pytest.mark.slow
def test_a_training_that_goes_on_ends_like_one_in_one_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backbones = PROJECT / "data" / "backbones"
    settings = DecisionTraining(
        backbone="builtin_llava", scenes=2, training=DecisionSettings(steps=2, scenes_batch=1, heads=2, hidden=8)
    )
    train(settings, backbones, tmp_path / "a" / "some.safetensors")
    calls = 0

    def dying(*arguments: object) -> None:
        nonlocal calls
        calls += 1
        raise KeyboardInterrupt

    monkeypatch.setattr(decision_stage, "save", dying)
    with pytest.raises(KeyboardInterrupt):
        train(settings, backbones, tmp_path / "b" / "some.safetensors")
    monkeypatch.undo()
    train(settings, backbones, tmp_path / "b" / "some.safetensors")
    one, two = (load_file(tmp_path / place / "some.safetensors") for place in "ab")
    assert calls == 1
    assert "a reconstruction" in (tmp_path / "b" / "some.md").read_text()
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)
