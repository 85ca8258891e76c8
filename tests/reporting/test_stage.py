from __future__ import annotations

import base64
import dataclasses
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from pruneproof import files
from pruneproof.folders import Folders
from pruneproof.reporting import headline, stage
from pruneproof.reporting.latex import cell, escape, latex_table
from pruneproof.reporting.report import Report, load
from pruneproof.reporting.setup import setup
from pruneproof.reporting.tables import tables
from pruneproof.settings import MethodSettings


@pytest.fixture(scope="module")
def small(synthetic: Any) -> Any:
    methods = {name: synthetic.METHODS[name] for name in ("full", "random_60", "atp_60")}
    return synthetic.Grid(corruptions=("fog", "snow"), rewordings=("typo_ocr",), methods=methods, images=2)


@pytest.fixture(scope="module")
def reports(synthetic: Any, small: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    study, folders = synthetic.write(tmp_path_factory.mktemp("written"), small)
    (folders.reports / "figures").mkdir(parents=True)
    (folders.reports / "figures" / "stale.png").write_bytes(b"old")
    decoding = {"search": "greedy", "max_new_tokens": 8, "max_caption_tokens": 64, "answer_conversion": "none"}
    files.write_json(folders.scores / "decoding.json", {"builtin_llava": decoding})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pruneproof.reporting.style.DPI", 40)
        stage.run(study, folders)
    return folders.reports


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_everything_is_written_and_nothing_stale_stays(reports: Path) -> None:
    names = set(contents(reports))
    assert {"summary.csv", "claims.md", "report.html", "figures/scenes.png"} <= names
    assert {"metrics/builtin_llava/atp_60.json", "plots/accuracy_severity.csv"} <= names
    assert {"figures/builtin_llava/accuracy_severity.pdf", "tables/builtin_llava_main.tex"} <= names
    assert "figures/stale.png" not in names


@pytest.mark.slow
def test_a_second_run_gives_the_same_bytes(reports: Path, synthetic: Any, small: Any) -> None:
    before = contents(reports)
    stage.run(synthetic.study(small), Folders(reports.parent))
    assert contents(reports) == before


def test_the_page_shows_code_as_code_and_at_what_size_pictures_were_corrupted(reports: Path) -> None:
    page = re.sub(r"<style>.*?</style>|data:image[^\"]*", "", (reports / "report.html").read_text(), flags=re.DOTALL)
    assert [line for line in page.splitlines() if "`" in line] == []
    assert "answers converted by <code>none</code>" in page
    assert "<dt>Resolution of corruptions</dt><dd>native</dd>" in page


def test_the_size_at_which_pictures_were_corrupted_is_told(report: Report) -> None:
    image = report.study.perturbations.image.model_copy(update={"resolution": "model", "model_pixels": 336})
    parts = report.study.perturbations.model_copy(update={"image": image})
    resized = dataclasses.replace(report, study=report.study.model_copy(update={"perturbations": parts}))
    assert setup(resized)["Resolution of corruptions"] == "model, shorter side 336 pixels"


def test_metrics_are_one_short_row_a_method(reports: Path) -> None:
    found = {path.stem: files.read_json(path) for path in (reports / "metrics" / "builtin_llava").iterdir()}
    assert set(found) == {"full", "atp_60", "random_60"}
    assert list(found["atp_60"]) == sorted(headline.METRICS)
    assert set(headline.METRICS) - set(found["full"]) == {"effective_corrupted", "effective_reworded"}
    table = pd.read_csv(reports / "summary.csv").set_index("method")
    assert found["atp_60"]["corrupted"] == pytest.approx(table.loc["atp_60", "accuracy_image"], abs=5e-4)


def test_plots_of_dvc_hold_every_backbone(reports: Path) -> None:
    for name in stage.PLOTTED:
        drawn = pd.concat(
            pd.read_csv(path).assign(backbone=path.parent.name) for path in (reports / "figures").glob(f"*/{name}.csv")
        )
        plotted = pd.read_csv(reports / "plots" / f"{name}.csv")
        assert {"measure", "backbone", "method", "severity", "value"} <= set(plotted.columns)
        pd.testing.assert_frame_equal(plotted, drawn.reset_index(drop=True))


def test_summary_holds_what_was_scored(reports: Path, synthetic: Any, small: Any) -> None:
    table = pd.read_csv(reports / "summary.csv").set_index("method")
    expected = load(synthetic.study(small), Folders(reports.parent)).estimate(
        "builtin_llava", "atp_60", "accuracy/all", "image"
    )
    assert table.loc["atp_60", "accuracy_image"] == pytest.approx(expected.value, rel=1e-5)
    assert table.loc["atp_60", "accuracy_image_low"] == pytest.approx(expected.low, rel=1e-5)
    assert table.loc["full", "flops_ratio"] == 1.0
    for column in ("retention_image", "effective_image", "effective_text", "d_prime_image"):
        own = table.loc["atp_60"]
        assert own[f"{column}_low"] < own[column] < own[f"{column}_high"]
    assert np.isnan(table.loc["full", "effective_image"])
    assert table.loc["atp_60", "label"] == "ATP 60%"


def test_page_needs_no_other_file_and_no_network(reports: Path) -> None:
    page = (reports / "report.html").read_text()
    assert not re.findall(r"""src\s*=\s*["'](?!data:image/(?:svg\+xml,|webp;base64,))""", page)
    assert not re.findall(r"https?://|url\(|@import|<script|<link", re.sub(r'src="data:[^"]+"', "", page))
    shown = [path for path in (reports / "figures").rglob("*") if path.suffix in (".svg", ".webp")]
    assert page.count("<img ") == page.count('loading="lazy"') == len(shown)
    assert len(page) < 5_000_000


def test_links_of_the_page_lead_somewhere(reports: Path) -> None:
    page = (reports / "report.html").read_text()
    inside = set(re.findall(r'id="([^"]+)"', page))
    for address in set(re.findall(r'href="([^"]+)"', page)):
        assert address[1:] in inside if address.startswith("#") else (reports / address).is_file(), address


def test_the_page_opens_with_the_finding(reports: Path) -> None:
    page = (reports / "report.html").read_text()
    opening = page[page.index('id="finding"') : page.index('id="on-builtin_llava"')]
    assert "On <code>builtin_llava</code>, " in opening
    assert opening.count("<img ") == 1
    assert "Effective robustness" in opening
    assert "All backbones and methods" in opening
    for heading in ("Scored on", "Seed", "Processor", "Digest of the scores"):
        assert f"<dt>{heading}</dt>" in page


def test_pictures_in_the_page_are_the_files(reports: Path) -> None:
    page = (reports / "report.html").read_text()
    texts = [unquote(text) for text in re.findall(r'src="data:image/svg\+xml,([^"]+)"', page)]
    for text in texts:
        assert ElementTree.fromstring(text).tag.endswith("svg")
    names = re.findall(r'src="data:image/webp;base64,([^"]+)"', page)
    files_ = {base64.b64encode(path.read_bytes()).decode() for path in (reports / "figures").rglob("*.webp")}
    assert set(names) == files_


def test_page_and_claims_say_that_the_model_is_small(reports: Path) -> None:
    for name in ("report.html", "claims.md"):
        text = (reports / name).read_text()
        assert "small built-in model" in text
        assert "Known confounds" in text


def test_claims_hold_one_row_for_each_claim(reports: Path) -> None:
    text = (reports / "claims.md").read_text()
    rows = re.findall(r"^\| .+\| \*\*(supported|not supported|inconclusive)\*\* \|", text, re.MULTILINE)
    assert len(rows) == 8  # of the one primary method
    widths = {line.count("|") for line in text.splitlines() if line.startswith("|") and "**" in line}
    assert widths == {7}


def test_tables_are_whole(report: Report) -> None:
    made = tables(report)
    assert [t.name.removeprefix("builtin_llava_") for t in made] == [
        "overview", "main", "stability", "contrasts", "sensitivity",
        "components", "pope", "kinds", "captions", "perturbations", "dialogues",
    ]  # fmt: skip
    for table in made:
        assert {len(row) for row in table.rows} == {len(table.header)}
        assert not table.spans or sum(columns for _, columns in table.spans) == len(table.header)
        text = latex_table(table)
        body = text.split(r"\toprule")[1].split(r"\bottomrule")[0]
        for line in body.splitlines():
            if line.endswith(r"\\") and "multicolumn" not in line:
                assert len(re.findall(r"(?<!\\)&", line)) == len(table.header) - 1
        assert text.count("{") == text.count("}")
        assert not re.search(r"(?<!\\)%(?! Needs|\n)", text)


def test_tables_with_accuracies_say_what_chance_is(report: Report) -> None:
    captions = {table.name.removeprefix("builtin_llava_"): table.caption for table in tables(report)}
    assert not any("an adaptation" in caption for caption in captions.values())
    assert "Accuracy by chance: random 50.0%, popular 50.0%, adversarial 49.0%." in captions["pope"]
    assert all("n = 3 pictures, 320 questions a condition." in caption for caption in captions.values())
    for name in ("main", "stability", "perturbations", "dialogues"):
        assert "Chance: 55.0%." in captions[name]
    assert "Chance: existence 66.0%" in captions["kinds"]


def test_every_table_that_names_an_adaptation_says_what_it_adapts(report: Report) -> None:
    entry = MethodSettings.model_validate({"method": "atp_received", "keep": 0.25})
    study = report.study.model_copy(update={"methods": {**report.study.methods, "atp_25": entry}})
    made = tables(dataclasses.replace(report, study=study))
    assert {"builtin_llava_kinds", "builtin_llava_captions", "overview"} <= {table.name for table in made}
    for table in made:
        assert table.caption.count("ATP adapted: an adaptation of this project, not the paper's method") == 1


def test_latex_escapes() -> None:
    assert escape("a_b 5% & \u22121 <0.001") == r"a\_b 5\% \& $-$1 \textless{}0.001"
    assert escape("CHAIR_i") == "CHAIR$_i$"
    assert escape("of `a_b`") == r"of \texttt{a\_b}"
    assert cell("94.4 [92.1, 96.0]") == r"94.4 {\scriptsize [92.1, 96.0]}"


def test_headline_leaves_out_what_was_not_measured(report: Report) -> None:
    table = headline.headline(report)
    table.loc[:, "accuracy_text"] = float("nan")
    found = headline.metrics(table)
    assert "reworded" not in found["builtin_llava", "full"]
    assert "clean" in found["builtin_llava", "full"]
