"""What `plan --machine` prints, with the measurements of this processor replaced by numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pruneproof import cli
from pruneproof.planning import measuring

PARAMS = """\
study: {name: tiny, seed: 5, root: ROOT}
benchmark: {images: 12}
perturbations:
  image: {names: [fog], severities: [1, 5]}
backbones:
  b: {family: llava, checkpoint: CHECKPOINT, text_tower: TOWER}
  unknown: {family: llava, checkpoint: owner/name, revision: REVISION, text_tower: ViT-L-14}
methods:
  full: {method: full}
  atp_25: {method: atp, keep: 0.25}
scoring: {primary: [atp_25]}
"""


@pytest.fixture
def study(tmp_path: Path, llava_root: Path, llava_settings: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    names = {
        "ROOT": str(llava_root),
        "CHECKPOINT": llava_settings.checkpoint,
        "TOWER": llava_settings.text_tower,
        "REVISION": 40 * "a",
    }
    text = PARAMS
    for name, value in names.items():
        text = text.replace(name, value)
    (tmp_path / "params.yaml").write_text(text)
    monkeypatch.setattr(measuring, "picture_seconds", lambda pixels: 0.01)
    monkeypatch.setattr(measuring, "corruption_seconds", lambda names: dict.fromkeys(names, 3600.0))
    return tmp_path


def test_hours_memory_disk_and_what_could_be_spared(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plan", "--study", str(study), "--machine", "h100", "--share", "0.5"]) == 0
    said = capsys.readouterr().out
    assert "Study tiny on one H100 SXM of 80 GB: 12 pictures" in said
    assert "Assumed: 50% of the peak in products (for another: `--share 0.3`, of `make` `ARGS='--share 0.3'`)" in said
    assert "unknown is left out: checkpoint 'owner/name' is not here" in said
    for part in ("vision tower", "text tower", "selection", "prefill", "decode", "answering"):
        assert f"\n {part} " in said
    assert "80.0 GB there: it fits." in said
    # 12 pictures under two conditions of an hour each, on 16 cores
    assert "and 1.5 h of corrupting pictures on 16 cores" in said
    assert "different questions, and nothing is asked twice" in said
    assert said.count("3 copies") == 2
    assert "with `stored: false` in perturbations.image no disk, and 3.0 h for 2 backbones" in said
    assert "A difference of 1 point over the mean of the image conditions shows on" in said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--machine", "abacus"], "--machine is 'abacus': use this (which is measured), h100, a100, l40s"),
        (["--machine", "h100", "--share", "1.5"], "--share is 1.5: give a share of the machine's peak in (0, 1]"),
        (["--machine", "this", "--share", "0.5"], "--share is for a machine by its data sheet"),
        (["--share", "0.5"], "--share is of a machine's peak: name the machine with --machine"),
    ],
)
def test_a_wrong_option_is_one_line(
    study: Path, options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["plan", "--study", str(study), *options]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"pruneproof plan: {said}")
    assert error.count("\n") == 1


@pytest.mark.slow
def test_this_machine_is_measured(
    study: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    assert cli.main(["plan", "--study", str(study), "--machine", "this"]) == 0
    said = capsys.readouterr().out
    assert "Measured: products" in said
    assert caplog.messages[0].startswith("measuring this machine: ")
    assert "GFLOP/s in float32" in said
    assert "b reaches" in said
