from __future__ import annotations

from collections.abc import Iterator

import pytest

from pruneproof.answering.batch import Batch, Question, prompt_history, prompt_text
from pruneproof.answering.grid import conditions, read_asking, sheets
from pruneproof.files import read_rows, write_rows
from pruneproof.folders import Folders
from pruneproof.records import CLEAN, REWORDED, Condition
from pruneproof.settings import BackboneSettings, DialogueSettings, Study


def batches(study: Study, folders: Folders, by_question: bool = True) -> Iterator[Batch]:
    for sheet in sheets(study, folders, by_question):
        yield from sheet.batches


def answered(study: Study, folders: Folders, by_question: bool) -> dict[str, dict[str, tuple[str, Question]]]:
    """By condition and sample, what is done to the picture and the question whose answer the sample gets."""
    asked: list[tuple[str, Question]] = []
    found: dict[str, dict[str, tuple[str, Question]]] = {}
    for sheet in sheets(study, folders, by_question):
        asked += [(batch.shown, q) for batch in sheet.batches for image in batch.images for q in image.questions]
        own = {sample: asked[number] for sample, number in zip(sheet.samples, sheet.answers, strict=True)}
        found[sheet.condition.condition_id] = own
    return found


def asked(study: Study, folders: Folders) -> dict[str, dict[str, tuple[Question, ...]]]:
    found: dict[str, dict[str, tuple[Question, ...]]] = {}
    for batch in batches(study, folders):
        for image in batch.images:
            found.setdefault(batch.condition.condition_id, {})[image.image_id] = image.questions
    return found


def test_conditions_in_order(study: Study) -> None:
    expected = (CLEAN, *(Condition("image", "gaussian_noise", n) for n in (1, 3)), Condition("text", "typo_swap", 2))
    assert conditions(study) == expected


def test_a_text_is_asked_once_for_all_splits(study: Study, folders: Folders) -> None:
    assert [q.text for q in asked(study, folders)["clean"]["one"]].count("is there a boat here?") == 1
    own = answered(study, folders, True)["clean"]
    assert own["one/boat/random"] == own["one/boat/popular"] == ("clean", Question("is there a boat here?", False))


def test_captions_only_where_the_settings_say(study: Study, folders: Folders) -> None:
    captions = {name: sum(q.caption for q in images["one"]) for name, images in asked(study, folders).items()}
    assert captions == {"clean": 1, "gaussian_noise_1": 0, "gaussian_noise_3": 0, "typo_swap_2": 0}


def test_an_image_that_could_not_be_corrupted_is_left_out_there_alone(study: Study, folders: Folders) -> None:
    present = {name: tuple(images) for name, images in asked(study, folders).items()}
    everyone = ("one", "two", "three")
    assert present["gaussian_noise_3"] == ("one", "three")
    assert present["clean"] == present["gaussian_noise_1"] == present["typo_swap_2"] == everyone


def test_what_the_gate_rejected_is_not_asked(study: Study, folders: Folders) -> None:
    texts = [question.text for question in asked(study, folders)["typo_swap_2"]["two"]]
    assert texts == [f"is htere a {noun} here?" for noun in ("dog", "bus", "boat")]


def test_text_conditions_show_the_clean_image(study: Study, folders: Folders) -> None:
    pictures = {
        batch.condition.condition_id: [image.png for image in batch.images] for batch in batches(study, folders)
    }
    assert pictures["typo_swap_2"] == pictures["clean"]
    assert pictures["gaussian_noise_1"] != pictures["clean"]


def test_only_the_conditions_asked_for_are_read(study: Study, folders: Folders) -> None:
    (folders.reworded / "questions.parquet").unlink()
    (folders.corrupted / "gaussian_noise_1.parquet").unlink()
    assert [sheet.condition for sheet in sheets(study, folders, True, [CLEAN])] == [CLEAN]


def test_suffix_and_caption_prompt(llava_settings: BackboneSettings) -> None:
    question, caption = Question("is it red?", False), Question("describe it.", True)
    assert prompt_text(question, llava_settings) == "is it red?"
    other = llava_settings.model_copy(update={"question_suffix": "Say yes or no.", "caption_prompt": "Caption:"})
    assert prompt_text(question, other) == "is it red?\nSay yes or no."
    assert prompt_text(caption, other) == "Caption:"
    assert prompt_text(caption, llava_settings) == "describe it."


def test_earlier_turns_have_the_suffix_too(llava_settings: BackboneSettings) -> None:
    question = Question("is it red?", False, (("is it big?", "yes"),))
    assert prompt_history(question, llava_settings) == (("is it big?", "yes"),)
    other = llava_settings.model_copy(update={"question_suffix": "Say yes or no."})
    assert prompt_history(question, other) == (("is it big?\nSay yes or no.", "yes"),)


def test_dialogues_ask_clean_questions_on_clean_images(study: Study, folders: Folders) -> None:
    answering = study.answering.model_copy(update={"dialogues": DialogueSettings(turns=3, select_by=("first", "each"))})
    talking = study.model_copy(update={"answering": answering})
    extra = conditions(talking)[len(conditions(study)) :]
    assert [one.condition_id for one in extra] == [
        f"dialogue_{chosen}_{turn}" for chosen in ("first", "each") for turn in (1, 2, 3)
    ]
    for by_question in (True, False):
        found = answered(talking, folders, by_question)
        for condition in extra:
            for name, (shown, question) in found[condition.condition_id].items():
                assert (shown, question.text) == (found["clean"][name][0], found["clean"][name][1].text)
                assert len(question.history) == condition.severity - 1


@pytest.mark.parametrize("by_question", [True, False])
def test_nothing_is_asked_twice_and_every_sample_gets_what_it_asks(
    study: Study, folders: Folders, by_question: bool
) -> None:
    answering = study.answering.model_copy(
        update={"dialogues": DialogueSettings(turns=3, select_by=("first", "last", "each"))}
    )
    talking = study.model_copy(update={"answering": answering})
    reworded = read_rows(folders.reworded / "questions.parquet")
    as_it_was = next(row for row in reworded if row["accepted"])
    as_it_was["text"] = as_it_was["original"]
    write_rows(folders.reworded / "questions.parquet", reworded, REWORDED)
    everything = [
        (batch.shown, image.image_id, question)
        for batch in batches(talking, folders, by_question)
        for image in batch.images
        for question in image.questions
    ]
    assert len(everything) == len(set(everything))
    found = answered(talking, folders, by_question)
    texts = {row["sample_id"]: row["text"] for row in reworded if row["accepted"]}
    assert {name: question.text for name, (_, question) in found["typo_swap_2"].items()} == texts
    assert found["typo_swap_2"][as_it_was["sample_id"]] == found["clean"][as_it_was["sample_id"]]
    assert found["dialogue_each_1"].items() <= found["clean"].items()
    same = found["dialogue_first_2"] == found["dialogue_last_2"] == found["dialogue_each_2"]
    assert same != by_question, "what tokens are selected by matters to some methods alone"
    asking = read_asking(talking, folders, by_question)
    assert len(asking.contents) == len(set(asking.contents))
    assert max(max(rows.answers) for rows in asking.rows) == sum(asking.sizes) - 1 == len(everything) - 1
