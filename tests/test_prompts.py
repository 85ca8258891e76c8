"""Each record against what its authors' code writes, in strings put together by hand from that code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.backbones._blip2_checkpoint import blip2_settings, save_blip2
from tests.backbones._flamingo_checkpoint import save_flamingo, settings_of
from tests.backbones._qwen_vl_published import save_published
from tests.test_settings import changed, complaint

from pruneproof import backbones, prompts
from pruneproof.answering.batch import Question, prompt_history, prompt_text
from pruneproof.backbones.families import _flamingo_prompts
from pruneproof.prompts import RECORDS
from pruneproof.scoring.conversions import CONVERSIONS
from pruneproof.settings import BackboneSettings

QWEN = ("qwen2_5_vl", "qwen3_vl")
VICUNA = (
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, "
    "and polite answers to the user's questions. USER: <image>\n"
)
SHORT = "\nAnswer the question using a single word or phrase."
AROUND = "<fake_token_around_image><image><fake_token_around_image>"
IDEFICS = f"<s>Instruction: provide an answer to the question. Use the image to answer.\nImage:{AROUND}"
ASKED = 'Is the man\'s "hat" red?'

SEEN = "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>"
SYSTEM = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
BEGUN = "<|im_end|>\n<|im_start|>assistant\n"

QUESTIONS = {
    "qwen25vl_pope": f"{SYSTEM}{SEEN}{ASKED}{SHORT}{BEGUN}",
    "qwen3vl_pope": f"{SEEN}{ASKED}{SHORT}{BEGUN}",
    "llava15_pope": f"{VICUNA}{ASKED}{SHORT} ASSISTANT:",
    "llava15_vqav2": f"{VICUNA}{ASKED}{SHORT} ASSISTANT:",
    "llava15_gqa": f"{VICUNA}{ASKED}{SHORT} ASSISTANT:",
    "blip2_t5_vqav2": "Question: is the man's hat red? Short answer:",
    "blip2_opt_vqav2": "Question: is the man's hat red? Short answer:",
    "blip2_t5_gqa": "Question: is the man's hat red? Short answer:",
    "idefics_vqav2": f"{IDEFICS}Question: {ASKED} Answer:",
    "idefics_gqa": f"{IDEFICS}Question: {ASKED} Answer:",
}
CAPTIONS = {
    "llava15_caption": f"{VICUNA}Provide a one-sentence caption for the provided image. ASSISTANT:",
    "llava15_description": f"{VICUNA}Please describe this image in detail. ASSISTANT:",
    "blip2_caption": "a photo of",
    "idefics_caption": f"<s>Image:{AROUND}Caption:",
}
LAST_TURN = {
    "qwen3vl_pope": f"{SEEN}A?{SHORT}{BEGUN}no<|im_end|>\n<|im_start|>user\nB?{SHORT}{BEGUN}",
    "llava15_pope": f"{VICUNA}A?{SHORT} ASSISTANT: no</s>USER: B?{SHORT} ASSISTANT:",
    "blip2_t5_vqav2": "Question: a? Short answer: no. Question: b? Short answer:",
    "idefics_gqa": f"{IDEFICS}Question: A? Answer: no\nQuestion: B? Answer:",
}


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory, llava_root: Path) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("prompts")
    save_blip2(root / "t5", "t5")
    save_flamingo(root / "data/backbones/base", instruct=False)
    for kind in QWEN:
        save_published(root / kind, kind)
    return {"llava": llava_root, "blip2": root, "flamingo": root} | dict.fromkeys(QWEN, root)


@pytest.fixture(scope="module")
def text(roots: dict[str, Path], llava_settings: BackboneSettings) -> object:
    """The text that a family's tokenizer reads, by record and question."""
    plain = {"llava": llava_settings, "blip2": blip2_settings("t5"), "flamingo": settings_of("base")}
    plain |= {kind: BackboneSettings(family=kind, checkpoint=kind) for kind in QWEN}

    def written(name: str, question: Question) -> str:
        family = RECORDS[name].family
        settings = prompts.applied(plain[family].model_copy(update={"prompt": name}))
        backbone = backbones.load(settings, roots[family], "cpu")
        put, history = prompt_text(question, settings), prompt_history(question, settings)
        if family == "flamingo":
            return _flamingo_prompts.prompt_text(backbone.processor, put, history)  # type: ignore[attr-defined]
        return str(backbone.prompt_text(put, history))  # type: ignore[attr-defined]

    return written


def test_every_record_is_held_against_its_authors() -> None:
    assert set(RECORDS) == set(QUESTIONS) | set(CAPTIONS)


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_reads_as_the_authors_write_it(name: str, text) -> None:  # type: ignore[no-untyped-def]
    assert text(name, Question(ASKED, caption=False)) == QUESTIONS[name]


@pytest.mark.parametrize("name", CAPTIONS)
def test_a_caption_is_asked_for_as_the_authors_do(name: str, text) -> None:  # type: ignore[no-untyped-def]
    assert text(name, Question("Describe the image.", caption=True)) == CAPTIONS[name]


@pytest.mark.parametrize("name", LAST_TURN)
def test_earlier_turns_are_kept(name: str, text) -> None:  # type: ignore[no-untyped-def]
    assert text(name, Question("B?", caption=False, history=(("A?", "no"),))) == LAST_TURN[name]


def test_a_question_is_cut_to_fifty_words_as_lavis_does() -> None:
    settings = prompts.applied(blip2_settings("t5").model_copy(update={"prompt": "blip2_t5_gqa"}))
    long = " ".join(f"W{number}" for number in range(60)) + " ?  "
    assert prompt_text(Question(long, caption=False), settings) == " ".join(f"w{number}" for number in range(50))


def test_decoding_is_the_authors_and_what_is_not_is_said() -> None:
    said = {name: (record.beams, record.length_penalty) for name, record in RECORDS.items()}
    assert said["llava15_vqav2"] == (1, 1.0)
    assert said["blip2_t5_vqav2"] == (5, -1.0)  # the default of Blip2T5.predict_answers, not that of generate
    assert said["blip2_opt_vqav2"] == (5, 0.0)
    assert RECORDS["blip2_t5_vqav2"].departures == ("decoded greedily, not with 5 beams (length penalty -1)",)
    assert RECORDS["llava15_pope"].departures == ()
    assert prompts.applied(blip2_settings("t5").model_copy(update={"prompt": "blip2_t5_gqa"})).max_new_tokens == 10


def test_what_is_stored_with_scores() -> None:
    plain = prompts.decoding(blip2_settings("t5", max_new_tokens=6))
    assert (plain["search"], plain["max_new_tokens"], plain["chat_template"]) == ("greedy", 6, None)
    assert "authors" not in plain
    said = prompts.decoding(
        prompts.applied(blip2_settings("t5", max_new_tokens=6).model_copy(update={"prompt": "blip2_t5_gqa"}))
    )
    assert (said["prompt"], said["max_new_tokens"], said["answer_conversion"]) == ("blip2_t5_gqa", 10, "vqa")
    assert (said["authors"]["beams"], said["authors"]["length_penalty"]) == (5, -1.0)


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_sets_fields_and_names_its_sources(name: str) -> None:
    record = RECORDS[name]
    assert set(record.values) <= set(prompts.FIELDS)
    assert record.values.get("answer_conversion", "none") in CONVERSIONS
    assert all(re.match(r"[\w-]+/[\w-]+ [0-9a-f]{7}\b", source) for source in record.sources if "passes" not in source)
    BackboneSettings.model_validate({"family": record.family, "checkpoint": "c", "text_tower": "t", **record.values})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prompt": "llava15_pop"}, "unknown prompt 'llava15_pop' (did you mean 'llava15_pope'?)"),
        ({"prompt": "blip2_t5_gqa"}, "'blip2_t5_gqa' is for the family blip2, not 'llava'"),
        ({"prompt": "llava15_pope", "max_new_tokens": 4}, "max_new_tokens"),
        ({"answer_conversion": "llava_vq"}, "unknown conversion of answers 'llava_vq'"),
    ],
)
def test_a_prompt_that_cannot_be_used_is_refused(change: dict[str, object], message: str, tmp_path: Path) -> None:
    changes = {f"backbones__builtin_llava__{key}": value for key, value in change.items()}
    assert message in complaint(changed(tmp_path, **changes))
