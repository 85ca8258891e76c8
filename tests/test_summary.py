from __future__ import annotations

from pathlib import Path

import pytest

from pruneproof import summary
from pruneproof.errors import PruneProofError

HEAD = "backbone,method,label,language_model_flops_ratio,accuracy_clean,accuracy_image,accuracy_text,retention_image,"
HEAD += "effective_image,effective_image_low,effective_image_high,effective_text,d_prime_image,"
HEAD += "hallucination_matched_image\n"
FULL = "builtin_llava,full,full model,1,91.234,80.5,,81.6,,,,,2.345,7.1"
ATP = "builtin_llava,atp_25,ATP 25% (mismatched),0.31,88.0,74.0,80.0,70.4,-12.96,-14.51,-10.42,nan,1.5,9.0"


def study(folder: Path, *rows: str) -> Path:
    (folder / "reports").mkdir()
    (folder / "reports/summary.csv").write_text(HEAD + "".join(f"{row}\n" for row in rows))
    return folder


def test_the_table_shows_values_intervals_and_dashes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    summary.report(study(tmp_path, FULL, ATP))
    lines = capsys.readouterr().out.splitlines()
    row = next(line for line in lines if "ATP 25% (mismatched)" in line)
    interval = ["-13.0", "[-14.5,", "-10.4]"]
    assert row.split()[3:] == ["31%", "88.0", "74.0", "80.0", "70", *interval, "-", "1.50", "9.0"]
    row = next(line for line in lines if "full model" in line and "%" in line)
    assert row.split()[2:] == ["100%", "91.2", "80.5", "-", "82", "-", "-", "2.35", "7.1"]
    assert str(tmp_path / "reports/report.html") in "\n".join(lines)


def test_a_score_that_is_no_accuracy_is_called_by_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = study(tmp_path, FULL)
    summary.report(folder)
    said = capsys.readouterr().out
    assert "Clean, corrupted, reworded: accuracy. " in said
    assert "Effective: points of accuracy above random pruning to the same clean accuracy" in said
    content = HEAD.replace("\n", ",score\n") + f"{FULL},CIDEr-D times 100\n"
    (folder / "reports/summary.csv").write_text(content)
    summary.report(folder)
    said = capsys.readouterr().out
    assert "Clean, corrupted, reworded: CIDEr-D times 100. " in said
    assert "accuracy" not in said
    assert all(len(line) <= 120 for line in said.splitlines() if str(tmp_path) not in line)


def test_the_finding_stands_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = study(tmp_path, FULL, ATP)
    sentence = "On `builtin_llava`, " + "no method is more robust than [another], " * 8
    (folder / "reports/finding.md").write_text(f"{sentence}\n\n# Methods\n\n- One.\n")
    summary.report(folder)
    said, _, _ = capsys.readouterr().out.partition("full model")
    assert " ".join(said.split()).startswith(" ".join(sentence.replace("`", "").split()) + " # Methods - One.")
    assert all(len(line) <= 120 for line in said.splitlines())


def test_it_fits_into_120_characters_with_the_longest_intervals(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each row is one line, and no number is cut."""
    head = HEAD.replace("effective_text,", "effective_text,effective_text_low,effective_text_high,")
    row = "builtin_flamingo,atp_25,ATP 25% (mismatched),0.31,88.0,74.0,80.0,70.4,-12.96,-14.51,-10.42,"
    row += "-5.96,-8.51,-3.42,1.53,19.0"
    folder = study(tmp_path, row, row.replace("flamingo", "blip2"))
    (folder / "reports/summary.csv").write_text(head + f"{row}\n" + row.replace("flamingo", "blip2") + "\n")
    summary.report(folder)
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= 120 for line in lines if str(tmp_path) not in line)
    found = [line for line in lines if "mismatched" in line]
    assert len(found) == 2
    expected = ["-13.0", "[-14.5,", "-10.4]", "-6.0", "[-8.5,", "-3.4]", "1.53", "19.0"]
    assert all(line.split()[-8:] == expected for line in found)


def test_backbones_are_named_when_there_are_several(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    summary.report(study(tmp_path, FULL, FULL.replace("builtin_llava", "other")))
    lines = capsys.readouterr().out.splitlines()
    named = [line.strip() for line in lines if line.strip() in ("builtin_llava:", "other:")]
    assert named == ["builtin_llava:", "other:"]
    assert sum(line.startswith("full model") for line in lines) == 2


@pytest.mark.parametrize(("place", "command"), [("studies/mine", "make ui STUDY=mine"), ("project", "make ui")])
def test_the_command_for_the_runs_names_the_study(
    tmp_path: Path, place: str, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / place).mkdir(parents=True)
    summary.report(study(tmp_path / place, FULL))
    assert capsys.readouterr().out.splitlines()[-1].split(maxsplit=1)[1] == command


def test_a_study_without_results_says_so(tmp_path: Path) -> None:
    with pytest.raises(PruneProofError, match="no results yet, run `make repro`"):
        summary.report(tmp_path)
    with pytest.raises(PruneProofError, match="holds no results"):
        summary.report(study(tmp_path))
