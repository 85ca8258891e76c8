"""VQAv2's files as their authors publish them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pruneproof.benchmarks import Benchmark, Request, vqav2
from pruneproof.errors import PruneProofError
from pruneproof.scoring.scorers import Truth, vqa

QUESTIONS = "v2_OpenEnded_mscoco_val2014_questions.json"
ANNOTATIONS = "v2_mscoco_val2014_annotations.json"
WHERE, HOW_MANY, IS_IT = 262148000, 262148001, 393225000


def question(question_id: int, text: str) -> dict[str, Any]:
    return {"question_id": question_id, "image_id": question_id // 1000, "question": text}


def annotation(question_id: int, kind: str, start: str, said: str, others: str) -> dict[str, Any]:
    """Seven say one thing and three another."""
    answers = [said] * 7 + [others] * 3
    return {
        "question_id": question_id,
        "image_id": question_id // 1000,
        "question_type": start,
        "answer_type": kind,
        "multiple_choice_answer": said,
        "answers": [
            {"answer": text, "answer_confidence": "yes", "answer_id": number}
            for number, text in enumerate(answers, start=1)
        ],
    }


def entries() -> tuple[list[Any], list[Any]]:
    return (
        [
            question(WHERE, "Where is he looking?"),
            question(HOW_MANY, "How many dogs are there?"),
            question(IS_IT, "Is this a creamy soup?"),
        ],
        [  # in another order than the questions, as in the official files
            annotation(IS_IT, "yes/no", "is this a", "no", "yes"),
            annotation(WHERE, "other", "none of the above", "down", "at table"),
            annotation(HOW_MANY, "number", "how many", "2", "3"),
        ],
    )


def written(folder: Path, questions: Any, annotations: Any, split: str = "val2014") -> Path:
    name, subset = (QUESTIONS, "val2014") if split == "val2014" else (QUESTIONS.replace("val2014", split), "test2015")
    head = {"info": {"year": 2017}, "task_type": "Open-Ended", "data_type": "mscoco", "data_subtype": split}
    (folder / name).write_text(json.dumps(head | {"questions": questions}))
    (folder / ANNOTATIONS).write_text(json.dumps(head | {"annotations": annotations}))
    (folder / subset).mkdir()
    for image in (262148, 393225):
        (folder / subset / f"COCO_{subset}_{image:012d}.jpg").touch()
    return folder


def built(folder: Path, images: Any = "all", **options: Any) -> tuple[Benchmark, list[str]]:
    request = Request(images, 0, folder)
    return vqav2.build(request, vqav2.Options(**options)), request.faults.lines


def test_questions_and_answers(tmp_path: Path) -> None:
    found, faults = built(written(tmp_path, *entries()))
    assert faults == []
    first, second = "COCO_val2014_000000262148.jpg", "COCO_val2014_000000393225.jpg"
    assert found.images == (
        {"image_id": first, "group": "", "file": f"val2014/{first}"},
        {"image_id": second, "group": "", "file": f"val2014/{second}"},
    )
    where, how_many, is_it = found.samples
    assert (where.sample_id, where.image_id, where.question) == (f"{first}/{WHERE}", first, "Where is he looking?")
    assert [(sample.kind, sample.detail, sample.answer) for sample in found.samples] == [
        ("other", "none of the above", "down"),
        ("number", "how many", "2"),
        ("yes_no", "is this a", "no"),
    ]
    assert where.answers == ("down",) * 7 + ("at table",) * 3
    assert is_it.image_id == second
    assert {sample.scorers for sample in found.samples} == {("vqa",)}
    assert how_many.facts == {"question_type": "how many", "answer_type": "number"}
    assert how_many.protected == ()


def rephrased(question_id: int, number: int, text: str) -> dict[str, Any]:
    return question(question_id * 10 + number, text) | {"image_id": question_id // 1000, "rephrasing_of": question_id}


def test_questions_as_people_rephrased_them(tmp_path: Path) -> None:
    written(tmp_path, *entries())
    lines = [
        entries()[0][1],
        rephrased(HOW_MANY, 1, "Number of dogs?"),
        rephrased(HOW_MANY, 2, "What's the dog count?"),
    ]
    (tmp_path / "humans.json").write_text(json.dumps({"questions": lines}))
    found, faults = built(tmp_path, rephrasings="humans.json")
    assert faults == []
    assert [sample.rephrasings for sample in found.samples] == [(), ("Number of dogs?", "What's the dog count?"), ()]
    assert len(found.samples) == 3
    assert vqav2.needs(vqav2.Options(rephrasings="humans.json"))[1].path == "humans.json"


def test_rephrasings_of_other_questions_are_named(tmp_path: Path) -> None:
    written(tmp_path, *entries())
    (tmp_path / "humans.json").write_text(json.dumps({"questions": [rephrased(7000, 1, "Who?")]}))
    _, faults = built(tmp_path, rephrasings="humans.json")
    assert faults == [f"{tmp_path}/humans.json: rephrases no question of val2014: give the file that fits, or none"]


def test_its_scorer_finds_what_it_needs(tmp_path: Path) -> None:
    found, _ = built(written(tmp_path, *entries()))
    truths = [Truth(sample.answers, sample.facts) for sample in found.samples]
    said = [vqa.read(text, truth).prediction for text, truth in zip(("Down", "3", "yes"), truths, strict=True)]
    assert said == ["down", "3", "yes"]
    marks = [vqa.mark(text, truth) for text, truth in zip(said, truths, strict=True)]
    # Three of ten agree: the three leave 2 others (2/3), the seven leave 3 (1): (3 * 2/3 + 7) / 10.
    assert marks == pytest.approx([1.0, 0.9, 0.9])


def test_a_subset_has_all_questions_of_its_pictures(tmp_path: Path) -> None:
    written(tmp_path, *entries())
    taken = {}
    for seed in range(12):
        request = Request(1, seed, tmp_path)
        found = vqav2.build(request, vqav2.Options())
        assert request.faults.lines == []
        taken[found.images[0]["image_id"]] = len(found.samples)
    assert taken == {"COCO_val2014_000000262148.jpg": 2, "COCO_val2014_000000393225.jpg": 1}


@pytest.mark.parametrize("split", ["test-dev2015", "test2015"])
def test_a_split_without_answers_is_asked_and_not_scored(tmp_path: Path, split: Any) -> None:
    found, faults = built(written(tmp_path, entries()[0], [], split), split=split)
    assert faults == []
    assert found.images[0]["file"] == "test2015/COCO_test2015_000000262148.jpg"
    assert {(sample.answer, sample.answers, sample.scorers) for sample in found.samples} == {("", (), ())}
    assert [sample.kind for sample in found.samples] == ["unanswered"] * 3
    name, rows = vqav2.results([(found.samples[0], "down")], vqav2.Options(split=split), "llava15")
    assert name == f"v2_OpenEnded_mscoco_{split}_llava15_results.json"
    assert rows == [{"question_id": WHERE, "answer": "down"}]


def test_what_it_reads() -> None:
    needs = vqav2.needs(vqav2.Options(questions="vqa"))
    assert [need.path for need in needs] == [f"vqa/{QUESTIONS}", f"vqa/{ANNOTATIONS}", "val2014"]
    assert needs[1].url.endswith("/v2_Annotations_Val_mscoco.zip")
    needs = vqav2.needs(vqav2.Options(split="test-dev2015"))
    assert [need.path for need in needs] == ["v2_OpenEnded_mscoco_test-dev2015_questions.json", "test2015"]


def test_a_type_that_no_metric_can_be_named_after(tmp_path: Path) -> None:
    questions, annotations = entries()
    annotations[0]["question_type"] = "is this/that a"
    annotations[1]["question_type"] = "x" * 61
    found, faults = built(written(tmp_path, questions, annotations))
    assert faults == []
    assert [sample.detail for sample in found.samples] == ["", "how many", ""]
    assert found.samples[0].facts["question_type"] == "x" * 61


Q, A = "questions entry", "annotations entry"


@pytest.mark.parametrize(
    ("which", "change", "message"),
    [
        (0, {"question": None}, f"{QUESTIONS}: {Q} 1: question is None"),
        (0, {"question": "  "}, f"{QUESTIONS}: {Q} 1: question is '  ': must not be empty"),
        (0, {"image_id": "262148"}, f"{QUESTIONS}: {Q} 1: image_id is '262148'"),
        (0, {"question_id": HOW_MANY}, f"{QUESTIONS}: {Q} 2: question_id {HOW_MANY} is that of {Q} 1"),
        (1, {"answer_type": "colour"}, f"{ANNOTATIONS}: {A} 1: answer_type is 'colour'; allowed: 'yes/no', 'number'"),
        (1, {"answers": []}, f"{ANNOTATIONS}: {A} 1: answers is []: "),
        (1, {"answers": [{"answer": 2}] * 10}, f"{ANNOTATIONS}: {A} 1: answers[0] is 2: "),
        (1, {"multiple_choice_answer": ""}, f"{ANNOTATIONS}: {A} 1: multiple_choice_answer is '': "),
        (1, {"question_id": 7}, f"{ANNOTATIONS}: {A} 1: question_id 7 is not among the usable questions"),
        (1, {"question_id": WHERE}, f"{ANNOTATIONS}: {A} 2: question_id {WHERE} is that of {A} 1"),
        (1, {"image_id": 1}, f"{ANNOTATIONS}: {A} 1: image_id of question {IS_IT} is 1, but 393225 in "),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, which: int, change: dict[str, Any], message: str) -> None:
    lists = entries()
    lists[which][0] |= change
    found, faults = built(written(tmp_path, *lists))
    assert faults[0].startswith(f"{tmp_path}/{message}")
    assert 1 <= len(found.samples) <= 2


def test_a_missing_field(tmp_path: Path) -> None:
    questions, annotations = entries()
    del annotations[2]["answers"]
    _, faults = built(written(tmp_path, questions, annotations))
    assert faults == [
        f"{tmp_path}/{ANNOTATIONS}: {A} 3: answers is missing",
        f"{tmp_path}/{QUESTIONS}: {Q} 2: question_id {HOW_MANY} has no annotation that can be used in "
        f"{tmp_path}/{ANNOTATIONS}",
    ]


def test_a_missing_picture_is_named_by_the_question(tmp_path: Path) -> None:
    written(tmp_path, *entries())
    gone = tmp_path / "val2014" / "COCO_val2014_000000393225.jpg"
    gone.unlink()
    found, faults = built(tmp_path)
    assert faults == [f"{tmp_path}/{QUESTIONS}: {Q} 3: picture {gone} is missing: add it"]
    assert len(found.images) == 1
    assert len(found.samples) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "line 1: is not JSON"),
        ('{"annotations": []}', "has no 'questions': is it the right file"),
        ("[]", "has no"),
    ],
)
def test_another_file(tmp_path: Path, text: str, message: str) -> None:
    written(tmp_path, *entries())
    (tmp_path / QUESTIONS).write_text(text)
    with pytest.raises(PruneProofError) as caught:
        built(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path}/{QUESTIONS}")
    assert message in str(caught.value)
