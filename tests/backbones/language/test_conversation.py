"""Chat templates of all families: what stock transformers makes of them, and the errors for those that cannot work."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from tests.backbones._asking import ask
from tests.backbones._blip2_checkpoint import blip2_settings, save_blip2
from tests.backbones._flamingo_checkpoint import save_flamingo
from tests.backbones._llava_next_checkpoint import save_llava_next
from tests.conftest import BOS, save_llava

from pruneproof import backbones
from pruneproof.backbones.checkpoints.loading import read_processor
from pruneproof.backbones.language.conversation import sound_template
from pruneproof.errors import PruneProofError
from pruneproof.settings import BackboneSettings

LONGEST = 6
QUESTIONS = ("is there a dog?", "what colour is the dog?", "how many boats are there in the image, and where?")
PARTS = (
    "{% for message in messages %}USER: {% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>\n{% else %}{{ part['text'] }}{% endif %}{% endfor %}"
    "{% endfor %} ASSISTANT:"
)
WORDS_ONLY = "{{ bos_token }}{% for message in messages %}{{ message['content'] }}{% endfor %}"
CHECKPOINTS: dict[str, Callable[[Path], None]] = {
    "llava": save_llava,
    "llava_next": save_llava_next,
    "opt": lambda folder: save_blip2(folder, "opt"),
    "t5": lambda folder: save_blip2(folder, "t5"),
    "flamingo": lambda folder: save_flamingo(folder, seed=10),
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("checkpoints")
    for name, save in CHECKPOINTS.items():
        save(root / name)
    return root


def settings_of(name: str) -> BackboneSettings:
    if name in ("opt", "t5"):
        return blip2_settings(name)
    return BackboneSettings(family=name, checkpoint=name, text_tower=f"{name}/clip")


def with_template(saved: Path, root: Path, name: str, template: str | None) -> Path:
    """A copy of a checkpoint with another chat template, or with none."""
    folder = root / name
    if not folder.exists():
        shutil.copytree(saved / name, folder)
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    if template is not None:
        (folder / "chat_template.jinja").write_text(template)
    return folder


def written_for(name: str, template: str) -> str:
    """BLIP-2's image stands before the prompt, so its template writes no placeholder."""
    return template.replace("<image>\n", "") if name in ("opt", "t5") else template


def refused(root: Path, name: str) -> str:
    with pytest.raises(PruneProofError) as caught:
        backbones.load(settings_of(name), root, "cpu")
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("beginning", ["", "{{ bos_token }}"], ids=["without_bos", "with_bos"])
@pytest.mark.parametrize("name", ["llava", "llava_next", "opt"])
def test_answers_are_those_of_the_stock_call_that_renders_tokenises_and_generates(
    saved: Path, tmp_path: Path, pictures: list[Image.Image], name: str, beginning: str
) -> None:
    with_template(saved, tmp_path, name, beginning + written_for(name, PARTS))
    backbone: Any = backbones.load(settings_of(name), tmp_path, "cpu")
    processor, image = backbone.processor, backbone.encode(pictures[:1])[0]
    template = processor.chat_template or processor.tokenizer.chat_template
    expected = []
    for question in QUESTIONS:
        content = [{"type": "image", "image": pictures[0]}, {"type": "text", "text": question}]
        inputs = processor.apply_chat_template(
            [{"role": "user", "content": content}],
            chat_template=template,
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        )
        ids = inputs["input_ids"][0].tolist()
        assert ids.count(BOS) == 1, "stock writes it once"
        prompt = backbone.prompt(question)
        ours = prompt if isinstance(prompt, list) else [*prompt.before, *prompt.after]
        placeholder = backbone.model.config.image_token_id
        assert ours == [token for token in ids if token != placeholder]
        with torch.inference_mode():
            output = backbone.model.generate(**inputs, max_new_tokens=LONGEST, do_sample=False)
        expected.append(processor.decode(output[0, len(ids) :], skip_special_tokens=True).strip())
    assert len(set(expected)) > 1
    found = ask(backbone, [image], QUESTIONS, torch.arange(image.count)[None], LONGEST)
    assert [reply.text for reply in found] == expected


def test_idefics_begins_once_too(saved: Path, tmp_path: Path) -> None:
    prompts = []
    for beginning in ("", "{{ bos_token }}"):
        with_template(saved, tmp_path, "flamingo", beginning + PARTS)
        backbone: Any = backbones.load(settings_of("flamingo"), tmp_path, "cpu")
        prompt = backbone.prompt(QUESTIONS[0])
        assert [*prompt.before, *prompt.after].count(backbone.processor.tokenizer.bos_token_id) == 1
        prompts.append(prompt)
    assert prompts[0] == prompts[1]


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_a_template_in_the_tokenizers_config_alone_is_read(saved: Path, tmp_path: Path, name: str) -> None:
    folder = with_template(saved, tmp_path, name, None)
    path = folder / "tokenizer_config.json"
    template = written_for(name, "{{ messages[0]['content'][-1]['text'] }} <image>\n so")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"chat_template": template}))
    backbone: Any = backbones.load(settings_of(name), tmp_path, "cpu")
    prompt = backbone.prompt("is there a dog?")
    ids = prompt if isinstance(prompt, list) else [*prompt.before, *prompt.after]
    assert "is there a dog?" in backbone.processor.tokenizer.decode(ids)
    assert "assistant" not in backbone.processor.tokenizer.decode(ids)


def test_without_a_template_llava_is_refused_and_the_others_have_a_convention(saved: Path, tmp_path: Path) -> None:
    for name in ("llava", "llava_next"):
        with_template(saved, tmp_path, name, None)
        assert "has no chat template" in refused(tmp_path, name)
    with_template(saved, tmp_path, "opt", None)
    opt: Any = backbones.load(settings_of("opt"), tmp_path, "cpu")
    assert opt.prompt_text("a?") == "Question: a? Answer:"


def test_a_template_that_raises_is_refused_at_load(saved: Path, tmp_path: Path) -> None:
    with_template(saved, tmp_path, "llava", "{{ raise_exception('only tools') }}")
    assert "cannot be rendered for the question 'is there a cat?' (TemplateError: only tools)" in refused(
        tmp_path, "llava"
    )


@pytest.mark.parametrize("name", ["llava", "opt", "flamingo"])
def test_templates_that_cannot_write_a_question_are_refused(
    saved: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    processor = read_processor(settings_of(name), str(saved / name))
    faults = {
        "{% for message in messages %}": "TemplateSyntaxError: ",
        "{{ 'USER: ' + messages[0]['content'] }}": "TypeError: ",
        "{{ messages[0].content[9].text.upper() }}": "UndefinedError: ",
        WORDS_ONLY: "as one text, but it is a list of parts",
        written_for(name, "<image>\n answer:"): "does not write the question",
    }
    if name != "opt":
        faults[PARTS.replace("<image>", "<image><image>")] = "writes the image's placeholder <image> 2 times"
        faults[PARTS.replace("<image>", "")] = "writes the image's placeholder <image> 0 times"
    for template, expected in faults.items():
        monkeypatch.setattr(processor, "chat_template", template)
        with pytest.raises(PruneProofError, match=re.escape(expected)) as caught:
            sound_template(processor, name, None if name == "opt" else "<image>")
        assert "chat_template.jinja" in str(caught.value)


def test_a_template_that_raises_for_a_dialogue_says_so(saved: Path, tmp_path: Path) -> None:
    strict = "{% if messages | length > 1 %}{{ raise_exception('one turn\nonly') }}{% endif %}" + PARTS
    with_template(saved, tmp_path, "llava", strict)
    llava: Any = backbones.load(settings_of("llava"), tmp_path, "cpu")
    llava.prompt("a?")
    with pytest.raises(PruneProofError, match=r"'a\?' after 1 earlier turns \(TemplateError: one turn only\)"):
        llava.prompt("a?", (("b?", "yes"),))
