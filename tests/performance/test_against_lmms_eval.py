"""What the comparison with lmms-eval does by itself: rows, ratios, agreement, moments, and ATP on one question."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from performance._lmms_pruning import pruned_prompt
from performance._lmms_ratios import OURS, THEIRS, Case, Run, agreement, ratios, table
from performance._lmms_result import Result
from performance._lmms_rows import TASK, Row, study, without_repeats, write_scenes, write_task
from performance._lmms_sides import Marks, _progress
from performance.against_lmms_eval import expected_minutes

from pruneproof import pruning
from pruneproof.answering.doors import Picture, show
from pruneproof.backbones import load
from pruneproof.benchmarks import build
from pruneproof.errors import PruneProofError
from pruneproof.pictures import read_picture
from pruneproof.settings import BackboneSettings, MethodSettings, Study

FULL, BOTH = Case("rows", ("full",), 2), Case("rows", ("full", "atp_60"), 2)


def taken(number: int, side: str, whole_s: float, inside_s: float, case: Case = FULL) -> Run:
    return Run(number, side, case, 100, whole_s, whole_s - inside_s, inside_s, 80)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Row]]:
    folder = tmp_path_factory.mktemp("rows")
    return folder, write_scenes(folder, 20, 5)


def test_whole_pictures_are_drawn_and_repeats_are_counted_once(scenes: tuple[Path, list[Row]]) -> None:
    _, rows = scenes
    alone = without_repeats(rows)
    assert len(rows) == 36
    assert {row.asked for row in alone} == {row.asked for row in rows}
    assert len(alone) == len({row.asked for row in rows}) < len(rows)


def test_pictures_with_few_objects_are_made_up_for(tmp_path: Path) -> None:
    rows = write_scenes(tmp_path, 360, 2026)  # one of the first twenty pictures has none
    assert 360 <= len(rows) < 360 + 18
    assert len(list((tmp_path / "val2014").iterdir())) > 20


@pytest.mark.parametrize("questions", ["coco", "unique"])
def test_a_study_reads_the_same_rows_from_the_official_files(scenes: tuple[Path, list[Row]], questions: str) -> None:
    folder, rows = scenes
    wanted = rows if questions == "coco" else without_repeats(rows)
    backbone = {"family": "llava", "checkpoint": "a", "text_tower": "b"}
    params = study(folder, questions, wanted, backbone, {"full": {"method": "full"}})
    read = build(Study.model_validate(params).benchmark, 0, folder)
    assert sorted((s.image_id, s.question, s.answer) for s in read.samples) == sorted(
        (row.image, row.question, row.answer) for row in wanted
    )


def test_the_task_has_every_row_and_names_the_same_files(scenes: tuple[Path, list[Row]], tmp_path: Path) -> None:
    folder, rows = scenes
    official = tmp_path / "pope.yaml"
    official.write_text(
        "process_results: !function utils.f\ngeneration_kwargs: {max_new_tokens: 128, do_sample: false}\n"
    )
    write_task(tmp_path / "task", rows, folder / "val2014", official, "\nShort.", 8)
    task = yaml.safe_load((tmp_path / "task" / f"{TASK}.yaml").read_text())
    assert task["generation_kwargs"] == {"max_new_tokens": 8, "do_sample": False}
    assert task["lmms_eval_specific_kwargs"]["default"]["post_prompt"] == "\nShort."
    stored = pq.read_table(task["dataset_kwargs"]["data_files"]["test"])
    features = json.loads(stored.schema.metadata[b"huggingface"])["info"]["features"]
    assert features["image"] == {"_type": "Image"}
    assert [(Path(r["image"]["path"]).name, r["question"], r["answer"]) for r in stored.to_pylist()] == [
        (row.image, row.question, row.answer) for row in rows
    ]
    assert all(Path(r["image"]["path"]).is_file() for r in stored.to_pylist())


def test_ratios_are_taken_inside_a_round() -> None:
    runs = [
        taken(1, OURS, 10, 5), taken(1, THEIRS, 100, 80), taken(2, OURS, 20, 5), taken(2, THEIRS, 100, 60),
        taken(3, OURS, 10, 5),
    ]  # fmt: skip
    whole, inside = ratios(runs)
    assert (whole.counted, whole.values, whole.median, whole.goal) == ("whole", (10, 5), 7.5, 20)
    assert (inside.counted, inside.values, inside.goal) == ("inside", (16, 12), None)
    assert "| rows | full | 2 | whole | 7.5 (5.0 to 10.0) | 20 | 10.0 s | 100.0 s |" in table([whole, inside], runs)


def test_too_few_answers_have_no_speed() -> None:
    [only] = ratios([Run(1, OURS, FULL, 9, 4, 4, 0, 0), taken(1, THEIRS, 8, 4)])
    assert (only.counted, only.values) == ("whole", (2,))


def test_the_time_is_that_of_every_row_at_the_best_speed() -> None:
    tried = {"full/2": {"rows_per_s": {"sdpa": 10.0, "eager": 5.0}}, "atp_60/2": {"rows_per_s": {"sdpa": 20.0}}}
    wanted = [FULL, Case("unique", ("atp_60",), 2), BOTH]
    assert expected_minutes(wanted, 3, {"rows": 1200, "unique": 600}, tried) == 3 * (120 + 30) / 60
    assert expected_minutes(wanted, 3, {"rows": 1200, "unique": 600}, tried | {"full/2": {"rows_per_s": {}}}) is None


def test_agreement_counts_rows_and_names_questions() -> None:
    ours = {("a.png", "A?"): "yes", ("a.png", "B?"): "no "}
    theirs = [(("a.png", "A?"), "yes"), (("a.png", "B?"), "no"), (("a.png", "A?"), "no"), (("a.png", "A?"), "no")]
    found = agreement("rows", "full", ours, theirs)
    assert (found.rows, found.equal) == (4, 2)
    assert found.different == ("a.png: A? pruneproof 'yes', lmms-eval 'no'",)
    with pytest.raises(KeyError):
        agreement("rows", "full", ours, [(("b.png", "A?"), "yes")])


def test_moments_of_answers_are_read_from_the_progress_bar(tmp_path: Path) -> None:
    read, write = os.pipe()
    log = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)
    bar = b"Model Responding:   0%|  | 0/9 [00:00<?]\rModel Responding:  11%|# | 1/9 [00:01]\n"
    said = b"Loading 3/9 [\r" + bar
    os.write(write, said)
    os.close(write)
    assert [count for _, count in _progress(read, log)] == [1]
    assert (tmp_path / "log").read_bytes() == said


def test_a_run_begins_with_the_first_answers() -> None:
    found = Marks(100.0, ((104.0, 2.0), (105.0, 6.0), (109.0, 12.0)), 110.0).run(1, OURS, FULL, 12)
    assert (found.whole_s, found.start_s, found.inside_s, found.rows_inside, found.speed) == (10, 4, 5, 10, 2)
    assert Marks(100.0, (), 110.0).run(1, OURS, FULL, 12).rows_inside == 0


def test_rounds_are_added_only_under_the_same_conditions(tmp_path: Path) -> None:
    first = Result({"device": "a", "rows": {"rows": 36}}, {"full/2": {"chosen": "sdpa"}}, [taken(1, OURS, 10, 5, BOTH)])
    first.agree(agreement("rows", "full", {("a", "b"): "yes"}, [(("a", "b"), "no")]))
    first.agree(agreement("rows", "full", {("a", "b"): "yes"}, [(("a", "b"), "yes")]))
    path = tmp_path / "results.json"
    path.write_text(json.dumps(first.as_json()))
    again = Result.read(path, first.conditions)
    assert again == first
    assert again.agreements["rows/full"].equal == 0
    with pytest.raises(PruneProofError, match="device was 'a' and is 'b'"):
        Result.read(path, {"device": "b", "rows": {"rows": 36}})
    with pytest.raises(PruneProofError, match="there is no"):
        Result.read(tmp_path / "other.json", {})


@pytest.mark.parametrize("method", [{"method": "atp", "keep": 0.6}, {"method": "full"}])
def test_the_harness_prompt_gives_our_answers(
    llava_root: Path, llava_settings: BackboneSettings, scenes: tuple[Path, list[Row]], method: dict[str, Any]
) -> None:
    folder, rows = scenes
    backbone: Any = load(llava_settings, llava_root, "cpu")
    chosen = pruning.load(MethodSettings.model_validate(method))
    for row in without_repeats(rows)[:6]:
        picture = read_picture((folder / "val2014" / row.image).read_bytes())
        asked = Picture(backbone.encode([picture])[0], (row.question,), lambda: np.random.default_rng(0))
        [[seen]] = show(backbone, chosen, [asked])
        [ours] = backbone.answer([seen.shown], [row.question], 6)
        text = backbone.prompt_text(row.question)
        inputs = backbone.processor(images=[picture], text=text, return_tensors="pt")
        embedded = pruned_prompt(backbone, chosen, inputs, picture.size, row.question)
        assert embedded.shape[1] == inputs["input_ids"].shape[1] - 16 + seen.count
        found = backbone.model.generate(
            inputs_embeds=embedded,
            attention_mask=embedded.new_ones(embedded.shape[:2]),
            do_sample=False,
            max_new_tokens=6,
        )
        assert backbone.processor.tokenizer.decode(found[0], skip_special_tokens=True).strip() == ours.text.strip()
