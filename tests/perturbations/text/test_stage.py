from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pruneproof.errors import PruneProofError
from pruneproof.files import read_json, read_rows, read_table, write_rows
from pruneproof.folders import Folders
from pruneproof.perturbations.text import _gate, registered, stage
from pruneproof.records import REWORDED, SAMPLES, Condition, Sample, sample_to_row
from pruneproof.settings import Study
from pruneproof.wording import contains

NAMES = sorted(registered())
WORDS = ("is", "there", "in", "the", "image", "here", "can", "you", "see", "Which", "of", "a", "shown")
ALL = [Condition("text", name, severity) for name in NAMES for severity in registered()[name].severities]


def study(*names: str, seed: int = 7) -> Study:
    return Study.model_validate(
        {
            "study": {"name": "tiny", "seed": seed},
            "perturbations": {"text": {"names": names, "severities": [1, 5]}},
            "backbones": {},
            "methods": {},
        }
    )


def run(folder, samples, *names, seed=7):
    folders = Folders(folder)
    write_rows(folders.benchmark / "samples.parquet", [sample_to_row(sample) for sample in samples], SAMPLES)
    stage.run(study(*names, seed=seed), folders)
    return folders.reworded


@settings(max_examples=60, deadline=None)
@given(
    condition=st.sampled_from([c for c in ALL if c.perturbation != "paraphrase_human"]),
    noun=st.sampled_from(["car", "umbrella", "tree", "letter box", "fish", "bus"]),
    words=st.lists(st.sampled_from(WORDS), min_size=3),
    seed=st.integers(0, 1000),
)
def test_protected_words_survive_every_condition(condition, noun, words, seed):
    question = f"{' '.join(words)} {noun}, or two?"
    sample = Sample(
        "s", "i", "existence", question, "yes", target=noun, protected=(noun,), synonyms=(("image", "picture"),),
        rephrasings=(f"Does a {noun} appear, or two?", "Lost?"), absent=("a dog",),
        alternatives=(f"There is no {noun}.",),
    )  # fmt: skip
    reworded = stage.reword(sample, condition, seed)
    assert reworded == stage.reword(sample, condition, seed)
    if not reworded.reason:
        assert contains(reworded.text, noun)
        assert contains(reworded.text, "two")
        assert reworded.edit_distance > 0
        assert reworded.text != question


def test_texts_depend_neither_on_order_nor_on_who_drew_before(samples):
    forwards = {(s.sample_id, c): stage.reword(s, c, 1) for s in samples for c in ALL}
    np.random.random(5)
    backwards = {(s.sample_id, c): stage.reword(s, c, 1) for c in reversed(ALL) for s in reversed(samples)}
    assert forwards == backwards
    assert forwards != {(s.sample_id, c): stage.reword(s, c, 2) for s in samples for c in ALL}


def test_the_same_bytes_whatever_the_order_of_the_samples(tmp_path, samples):
    first = run(tmp_path / "a", samples, *NAMES)
    second = run(tmp_path / "b", samples[::-1], *NAMES)
    for name in ("questions.parquet", "manifest.json"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_a_question_of_several_pope_samplings_is_reworded_alike(tmp_path, existence):
    twins = [
        replace(existence, sample_id=f"{split}/0", split=split, absent=(f"a {noun}",))
        for split, noun in (("random", "dog"), ("popular", "cow"), ("adversarial", "bird"))
    ]
    rows = read_rows(run(tmp_path, twins, *NAMES) / "questions.parquet")
    by_condition = {}
    for row in rows:
        by_condition.setdefault((row["perturbation"], row["severity"]), set()).add(row["text"])
    assert len(rows) == 3 * len(by_condition) == 3 * (5 + 3 + 5 * 2)
    assert {len(texts) for texts in by_condition.values()} == {1}


def test_rows_are_sorted_and_typed_and_the_original_stands_beside(tmp_path, samples):
    path = run(tmp_path, samples, *NAMES) / "questions.parquet"
    assert read_table(path).schema.equals(REWORDED)
    rows = read_rows(path)
    keys = [(row["sample_id"], row["perturbation"], row["severity"]) for row in rows]
    assert keys == sorted(set(keys))
    assert {row["sample_id"]: row["original"] for row in rows} == {s.sample_id: s.question for s in samples}
    assert all(row["accepted"] == (row["reason"] == "") for row in rows)


def test_what_is_rejected_is_recorded_with_its_reason(tmp_path, existence, samples):
    bad = replace(existence, sample_id="bad", question="Any airplane here?", rephrasings=("Anything in the sky?",))
    bare = replace(samples[-1], rephrasings=())
    folder = run(tmp_path, [existence, bad, bare], "paraphrase_phrasing", "distractor_misleading")
    told = {(row["sample_id"], row["perturbation"]): row for row in read_rows(folder / "questions.parquet")}

    lost = told["bad", "paraphrase_phrasing"]
    assert (lost["accepted"], lost["reason"], lost["text"]) == (False, _gate.PROTECTED_LOST, "Anything in the sky?")
    missing = told[bare.sample_id, "paraphrase_phrasing"]
    assert (missing["accepted"], missing["text"], missing["edit_distance"]) == (False, bare.question, 0)
    assert missing["reason"] == "not applicable: the sample has no rephrasing"

    manifest = read_json(folder / "manifest.json")
    counts = manifest["conditions"]["paraphrase_phrasing_1"]
    assert counts["accepted"] == 1
    assert counts["rejected"] == {_gate.PROTECTED_LOST: 1, missing["reason"]: 1}
    assert counts["redrawn"] == {_gate.PROTECTED_LOST: stage.DRAWS - 1}
    kept = told[existence.sample_id, "paraphrase_phrasing"]
    assert counts["mean_edit_distance"] == kept["edit_distance"] > 0
    assert manifest["samples"] == manifest["distinct_questions"] == 3
    assert manifest["versions"]["nlpaug"]


def test_a_draw_that_fails_is_drawn_again(existence):
    mixed = replace(existence, rephrasings=("Lost?", *existence.rephrasings))
    results = [stage.reword(mixed, Condition("text", "paraphrase_phrasing", 1), seed) for seed in range(30)]
    assert not any(result.reason for result in results)
    assert any(result.redrawn for result in results)


def test_no_perturbation_asked_for_gives_an_empty_table(tmp_path, samples):
    folder = run(tmp_path, samples)
    assert read_rows(folder / "questions.parquet") == []
    assert read_json(folder / "manifest.json")["conditions"] == {}


def test_missing_samples_are_said_so(tmp_path):
    with pytest.raises(PruneProofError, match=r"samples\.parquet is missing"):
        stage.run(study("typo_swap"), Folders(tmp_path))
