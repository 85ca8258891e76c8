from __future__ import annotations

from pruneproof.answering.grid import Question, batches, conditions, prompt_history, prompt_text
from pruneproof.folders import Folders
from pruneproof.records import CLEAN, Condition
from pruneproof.settings import BackboneSettings, DialogueSettings, Study


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
    boat = asked(study, folders)["clean"]["one"][3]
    assert boat == Question("is there a boat here?", False, ("one/boat/random", "one/boat/popular"))


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
    assert [batch.condition for batch in batches(study, folders, [CLEAN])] == [CLEAN]


def test_suffix_and_caption_prompt(llava_settings: BackboneSettings) -> None:
    question, caption = Question("is it red?", False, ("a",)), Question("describe it.", True, ("b",))
    assert prompt_text(question, llava_settings) == "is it red?"
    other = llava_settings.model_copy(update={"question_suffix": "Say yes or no.", "caption_prompt": "Caption:"})
    assert prompt_text(question, other) == "is it red?\nSay yes or no."
    assert prompt_text(caption, other) == "Caption:"
    assert prompt_text(caption, llava_settings) == "describe it."


def test_earlier_turns_have_the_suffix_too(llava_settings: BackboneSettings) -> None:
    question = Question("is it red?", False, ("a",), (("is it big?", "yes"),))
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
    found = asked(talking, folders)
    clean = {name: [q for q in questions if not q.caption] for name, questions in found["clean"].items()}
    for condition in extra:
        for name, questions in found[condition.condition_id].items():
            assert [(q.text, q.sample_ids) for q in questions] == [(q.text, q.sample_ids) for q in clean[name]]
            assert {len(q.history) for q in questions} == {condition.severity - 1}
    pictures = {batch.condition.condition_id: [i.png for i in batch.images] for batch in batches(talking, folders)}
    assert pictures["dialogue_first_2"] == pictures["clean"]
