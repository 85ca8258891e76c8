from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pruneproof.errors import PruneProofError
from pruneproof.files import read_rows, write_json, write_rows
from pruneproof.folders import Folders
from pruneproof.records import SAMPLES, Sample, sample_from_row, sample_to_row
from pruneproof.scoring.questions import load_questions


def rewrite(folders: Folders, samples: list[Sample]) -> None:
    write_rows(folders.benchmark / "samples.parquet", [sample_to_row(sample) for sample in samples], SAMPLES)


def read(folders: Folders) -> list[Sample]:
    return [sample_from_row(row) for row in read_rows(folders.benchmark / "samples.parquet")]


def test_units_are_the_different_questions(folders: Folders) -> None:
    questions = load_questions(folders)
    samples = read(folders)
    # 6 existence rows of an image hold three different questions: dog, kite and bus.
    assert len(samples) == 6 * 12
    assert len(questions.first) == 6 * 9
    for one, a in zip(questions.unit, samples, strict=True):
        same = [b.sample_id for other, b in zip(questions.unit, samples, strict=True) if other == one]
        expected = [
            b.sample_id
            for b in samples
            if b.sample_id == a.sample_id
            or (a.kind == b.kind == "existence" and (a.image_id, a.question) == (b.image_id, b.question))
        ]
        assert same == expected


def test_by_unit_is_the_mean_of_known_values(folders: Folders) -> None:
    questions = load_questions(folders)
    values = np.full((1, 72), np.nan)
    dog = np.flatnonzero(questions.unit == 0)
    values[0, dog[:2]] = (1.0, 0.5)
    found = questions.by_unit(values)
    assert found[0, 0] == 0.75
    assert np.isnan(found[0, 1:]).all()


def test_the_most_frequent_answer_is_what_a_model_that_sees_nothing_scores(folders: Folders) -> None:
    questions = load_questions(folders)
    kind = questions.kind[questions.first]
    assert questions.frequent["count"] == "3"
    assert questions.sightless[kind == "count"].tolist() == [1] * 6
    assert questions.sightless[kind == "existence"].tolist() == [0, 1, 1] * 6
    assert questions.sightless[kind == "caption"].tolist() == [0] * 6


def test_the_most_frequent_answer_is_read_in_its_authors_writing(folders: Folders) -> None:
    changed = {"kind": "existence", "scorers": ("amber",), "facts": {"dimension": "existence"}, "split": ""}
    rewrite(folders, [replace(one, **changed, answer="no", answers=("No",)) for one in read(folders)[:3]])
    questions = load_questions(folders)
    assert questions.frequent == {"existence": "No"}
    assert questions.sightless.tolist() == [1, 1, 1]


def test_answers_that_are_not_published_cannot_be_scored(folders: Folders) -> None:
    samples = read(folders)
    rewrite(folders, [*samples[:-1], replace(samples[-1], scorers=(), answer="")])
    with pytest.raises(PruneProofError, match=f"the true answer to {samples[-1].sample_id} is not published"):
        load_questions(folders)


def test_truths_hold_all_answers_and_the_shared_facts(folders: Folders) -> None:
    changed = {"answers": ("dog", "cat"), "facts": {"question_type": "what"}, "scorers": ("vqa", "values")}
    rewrite(folders, [replace(s, **changed) if s.kind == "count" else s for s in read(folders)])
    write_json(folders.benchmark / "shared.json", {"vocabulary": {}, "tokens": "plain"})
    questions = load_questions(folders)
    assert [one.name for one in questions.judged] == ["pope", "values", "vqa", "chair"]
    (vqa,) = (one for one in questions.judged if one.name == "vqa")
    assert set(questions.kind[vqa.samples]) == {"count"}
    assert {truth.answers for truth in vqa.truths} == {("dog", "cat")}
    assert vqa.truths[0].facts == {"question_type": "what", "vocabulary": {}, "tokens": "plain"}
    assert {questions.judged[rule].name for rule in questions.first_rule[vqa.samples]} == {"vqa"}


def test_questions_for_the_sake_of_others_do_not_count(folders: Folders) -> None:
    def asked(sample: Sample) -> Sample:
        facts = {"balanced": sample.image_id != "scene_0", "structural": "query"}
        facts |= {"question_id": sample.sample_id, "entailed": []}
        return replace(sample, facts=facts, scorers=("gqa",)) if sample.kind == "count" else sample

    rewrite(folders, [asked(sample) for sample in read(folders)])
    questions = load_questions(folders)
    apart = (questions.kind == "count") & (np.array(questions.table["image_id"].to_pylist()) == "scene_0")
    assert apart.sum() == 1
    assert questions.scored.tolist() == (~apart).tolist()
    assert not questions.counted[questions.unit[apart]].any()
    assert questions.counted.sum() == 6 * 8 - 1


def test_scorers_that_do_not_exist_and_kinds_that_are_not_asked_are_named(folders: Folders) -> None:
    with pytest.raises(PruneProofError, match=r"scoring.kinds: sound is not asked; .*kinds: existence, "):
        load_questions(folders, ("sound",))
    rewrite(folders, [replace(read(folders)[0], scorers=("pop",))])
    with pytest.raises(PruneProofError, match=r"scorer 'pop'.*pope"):
        load_questions(folders)


def test_existence_truth_must_be_yes_or_no(folders: Folders) -> None:
    rewrite(folders, [replace(read(folders)[0], answer="maybe")])
    with pytest.raises(PruneProofError, match=r"scene_0/existence/random/0 is 'maybe'; use yes or no"):
        load_questions(folders)


def test_empty_benchmark_is_named(folders: Folders) -> None:
    rewrite(folders, [])
    with pytest.raises(PruneProofError, match=r"samples\.parquet is empty"):
        load_questions(folders)


def test_captions_count_where_nothing_else_is_asked(folders: Folders) -> None:
    rewrite(folders, [sample for sample in read(folders) if sample.asks == "caption"])
    questions = load_questions(folders)
    assert questions.kinds == ()
    assert questions.counted.tolist() == [True] * 6


def test_kinds_that_a_backbone_cannot_do_are_left_out_of_the_mean(folders: Folders) -> None:
    every, some = load_questions(folders), load_questions(folders, ("existence",))
    kinds = every.kind[every.first]
    assert every.counted.tolist() == [kind != "caption" for kind in kinds]
    assert some.counted.tolist() == [kind == "existence" for kind in kinds]
