from __future__ import annotations

from pathlib import Path

import pytest

from pruneproof import summary
from pruneproof.errors import PruneProofError

HEAD = "backbone,method,label,visual_tokens,language_model_flops_ratio,accuracy_clean,accuracy_image,accuracy_text,"
HEAD += "hallucination_image,extra_drop_image,extra_drop_image_low,extra_drop_image_high,extra_drop_text\n"


def study(folder: Path, *rows: str) -> Path:
    (folder / "reports").mkdir()
    (folder / "reports/summary.csv").write_text(HEAD + "".join(f"{row}\n" for row in rows))
    return folder


def test_the_table_shows_values_intervals_and_dashes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    full = "builtin_llava,full,full model,256,1,91.234,80.5,,7.1,,,,"
    atp = "builtin_llava,atp_25,ATP 25%,64,0.31,88.0,74.0,80.0,9.0,2.96,0.51,5.42,nan"
    summary.report(study(tmp_path, full, atp))
    lines = capsys.readouterr().out.splitlines()
    row = next(line for line in lines if "ATP 25%" in line)
    assert row.split() == ["ATP", "25%", "64", "31%", "88.0", "74.0", "80.0", "9.0", "+3.0", "[+0.5,", "+5.4]", "-"]
    assert next(line for line in lines if "full model" in line).split()[-2:] == ["-", "-"]
    assert str(tmp_path / "reports/report.html") in "\n".join(lines)
    assert all(len(line) <= 160 or "/" in line for line in lines)


def test_backbones_are_named_when_there_are_several(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    summary.report(study(tmp_path, "a,full,full model,256,1,9,8,7,6,,,,", "b,full,full model,256,1,9,8,7,6,,,,"))
    out = capsys.readouterr().out
    assert "a, full model" in out
    assert "b, full model" in out


@pytest.mark.parametrize(("place", "command"), [("studies/mine", "make ui STUDY=mine"), ("project", "make ui")])
def test_the_command_for_the_runs_names_the_study(
    tmp_path: Path, place: str, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / place).mkdir(parents=True)
    summary.report(study(tmp_path / place, "a,full,full model,256,1,9,8,7,6,,,,"))
    assert capsys.readouterr().out.splitlines()[-1].split(maxsplit=1)[1] == command


def test_a_study_without_results_says_so(tmp_path: Path) -> None:
    with pytest.raises(PruneProofError, match="no results yet, run `make repro`"):
        summary.report(tmp_path)
    with pytest.raises(PruneProofError, match="holds no results"):
        summary.report(study(tmp_path))
