"""Questions after earlier turns: with everything kept, every family answers as stock `generate` on the whole text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from tests.backbones._asking import ask
from tests.backbones._blip2_checkpoint import blip2_settings, save_blip2
from tests.backbones._flamingo_checkpoint import END, save_flamingo
from tests.backbones._llava_next_checkpoint import save_llava_next
from tests.backbones._llava_onevision_checkpoint import save_llava_onevision
from tests.backbones._qwen_vl_checkpoint import save_qwen_vl
from tests.backbones._smolvlm_checkpoint import save_smolvlm, stock_processor

from pruneproof import backbones
from pruneproof.backbones import Backbone, History
from pruneproof.backbones.families.llava import Llava
from pruneproof.errors import PruneProofError
from pruneproof.method_checks import declared
from pruneproof.settings import BackboneSettings

LONGEST = 8
HISTORIES: tuple[History, ...] = (
    (),
    (("is there a dog?", "yes"),),
    (("what colour is the dog?", "red"), ("how many boats are there?", "3")),
)
QUESTION = "is there a car in the image?"


def messages(history: History) -> list[dict[str, Any]]:
    """As a user writes them for a processor's chat template."""
    said = [(role, text) for asked, answer in history for role, text in (("user", asked), ("assistant", answer))]
    found: list[dict[str, Any]] = [
        {"role": role, "content": [{"type": "text", "text": text}]} for role, text in [*said, ("user", QUESTION)]
    ]
    found[0]["content"] = [{"type": "image"}, *found[0]["content"]]
    return found


def chat(backbone: Any, picture: Image.Image, history: History) -> Any:
    """LLaVA."""
    text = backbone.processor.apply_chat_template(messages(history), add_generation_prompt=True, tokenize=False)
    return backbone.processor(images=[picture], text=[text], return_tensors="pt")


def marked(backbone: Any, picture: Image.Image, history: History) -> Any:
    """SmolVLM: the same, by the processor that transformers would load."""
    processor = stock_processor(backbone)
    text = processor.apply_chat_template(messages(history), add_generation_prompt=True, tokenize=False)
    inputs = processor(images=[[picture]], text=[text], add_special_tokens=False, return_tensors="pt")
    return {key: inputs[key] for key in ("input_ids", "attention_mask", "pixel_values", "pixel_attention_mask")}


def lavis(backbone: Any, picture: Image.Image, history: History) -> Any:
    """BLIP-2: `context` and `template` of LAVIS' example."""
    template = "Question: {} Answer: {}."
    prompt = " ".join([template.format(*turn) for turn in history] + [f"Question: {QUESTION} Answer:"])
    return backbone.processor(images=[picture], text=[prompt], return_tensors="pt")


def instructed(backbone: Any, picture: Image.Image, history: History) -> Any:
    """Idefics as in the model card of idefics-9b-instruct."""
    questions = [*(asked for asked, _ in history), QUESTION]
    parts: list[Any] = ["User:", picture, f"{questions[0]}{END}\nAssistant:"]
    for (_, answer), asked in zip(history, questions[1:], strict=True):
        parts[-1] += f" {answer}{END}\nUser: {asked}{END}\nAssistant:"
    return backbone.processor(text=[parts], return_tensors="pt")


def base(backbone: Any, picture: Image.Image, history: History) -> Any:
    """Idefics before instruction."""
    said = "".join(f"Question: {asked} Answer: {answer} " for asked, answer in history)
    return backbone.processor(text=[[picture, f"{said}Question: {QUESTION} Answer:"]], return_tensors="pt")


CASES: dict[str, tuple[str, Callable[[Path], None], Callable[..., Any]]] = {
    "llava_next": ("llava_next", save_llava_next, chat),
    "llava_next_mistral": ("llava_next", lambda folder: save_llava_next(folder, mistral=True), chat),
    "llava_onevision": ("llava_onevision", save_llava_onevision, chat),
    "smolvlm": ("smolvlm", save_smolvlm, marked),
    "qwen2_5_vl": ("qwen2_5_vl", save_qwen_vl, chat),
    "qwen3_vl": ("qwen3_vl", lambda folder: save_qwen_vl(folder, "qwen3_vl"), chat),
    "opt": ("blip2", lambda folder: save_blip2(folder, "opt"), lavis),
    "t5": ("blip2", lambda folder: save_blip2(folder, "t5"), lavis),
    "instructed": ("flamingo", lambda folder: save_flamingo(folder, seed=10), instructed),
    "base": ("flamingo", lambda folder: save_flamingo(folder, instruct=False, seed=2), base),
}


def settings_of(case: str) -> BackboneSettings:
    """Of a case's checkpoint, saved under the case's name."""
    family = CASES[case][0]
    if family == "blip2":
        return blip2_settings(case)
    clip = None if declared(family).clipless else f"{case}/clip"
    return BackboneSettings(family=family, checkpoint=case, text_tower=clip)


def check(backbone: Any, picture: Image.Image, inputs_of: Callable[..., Any]) -> None:
    image = backbone.encode([picture])[0]
    everything = torch.arange(image.count)
    tokenizer = backbone.processor.tokenizer
    ends = list(getattr(backbone, "ends", ())) or [backbone.model.generation_config.eos_token_id]
    expected = []
    for history in HISTORIES:
        inputs = inputs_of(backbone, picture, history)
        with torch.inference_mode():
            output = backbone.model.generate(**inputs, max_new_tokens=LONGEST, do_sample=False, eos_token_id=ends)
        encodes = getattr(backbone.model.config, "is_encoder_decoder", False)
        new = output[0, 1 if encodes else inputs["input_ids"].shape[1] :].tolist()
        end = next((i for i, token in enumerate(new) if token in ends), len(new))
        expected.append(tokenizer.decode(new[:end], skip_special_tokens=True).strip())
    assert len(set(expected)) == len(HISTORIES), "histories that change nothing would not be tried"
    asked = [QUESTION] * len(HISTORIES)
    shared = ask(backbone, [image], asked, everything[None], LONGEST, HISTORIES)
    assert [reply.text for reply in shared] == expected
    each = ask(backbone, [image] * len(asked), asked, everything.expand(len(asked), -1), LONGEST, HISTORIES)
    assert [reply.text for reply in each] == expected


@pytest.mark.parametrize("case", CASES)
def test_a_question_after_others_is_stock_generate(case: str, tmp_path: Path, pictures: list[Image.Image]) -> None:
    _, save, inputs_of = CASES[case]
    save(tmp_path / case)
    check(backbones.load(settings_of(case), tmp_path, "cpu"), pictures[0], inputs_of)


def test_llava_too(llava: Llava, pictures: list[Image.Image]) -> None:
    check(llava, pictures[0], chat)


def test_the_image_token_in_an_earlier_turn(llava: Backbone, pictures: list[Image.Image]) -> None:
    image = llava.encode(pictures[:1])[0]
    with pytest.raises(PruneProofError, match="2 image placeholders"):
        ask(llava, [image], ["a?"], torch.arange(16)[None], 1, [(("a <image>?", "yes"),)])


def test_one_history_for_each_question(llava: Backbone, pictures: list[Image.Image]) -> None:
    image = llava.encode(pictures[:1])[0]
    with pytest.raises(ValueError, match="shorter"):
        ask(llava, [image], ["a?", "b?"], torch.arange(16)[None], 1, [()])
