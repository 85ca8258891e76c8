"""Students: what they train on is what the saved model answers with."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from transformers import Blip2VisionModel

from pruneproof.backbones.clip.layout import vision_tower_state
from pruneproof.backbones.language.conversation import messages
from pruneproof.training.clip_model import build_clip, hidden_states, open_clip_config, patchify
from pruneproof.training.corpus import Lesson
from pruneproof.training.dialogues import alone
from pruneproof.training.settings import ConnectorSettings, LanguageSettings, TowerSettings, TrainingSettings
from pruneproof.training.students import Glimpse, blip2, flamingo, llava
from pruneproof.training.students._blip2_tower import blip2_tower_state
from pruneproof.training.tokenizer import language_tokenizer, train_tokenizer

WORDS = train_tokenizer(seed=3, vocabulary=400, scenes=20)
SETTINGS = TrainingSettings(
    tower=TowerSettings(width=48, layers=3, head_width=16, embedding=24, text_width=32, text_layers=1),
    language=LanguageSettings(width=48, layers=2, heads=3, feed_forward=64, matched_heads=1),
    connector=ConnectorSettings(outputs=24, layers=2, heads=3),
)
LESSONS = [
    Lesson("count", "How many cars are there?", "2"),
    Lesson("existence/singular", "Is there a tree in the image?", "yes"),
    Lesson("short/colour", "colour kite", "red"),
]
DIALOGUES = [*alone(LESSONS), tuple(LESSONS[:2])]


def clip() -> Any:
    torch.manual_seed(1)
    model = build_clip(open_clip_config(SETTINGS.tower, vocabulary=50, pad_id=0, eos_id=2))
    torch.nn.init.normal_(model.visual.ln_pre.weight, 1.0, 0.2)
    torch.nn.init.normal_(model.visual.ln_pre.bias, 0.0, 0.2)
    return model.eval()


@torch.inference_mode()
def test_the_blip2_tower_is_the_clip_tower_after_a_layer_that_normalises() -> None:
    model, pixels = clip(), torch.randn(2, 3, 224, 224)
    torch_config = blip2._build(SETTINGS, 50, {"pad": 0, "bos": 1, "eos": 2, "image": 3}).config.vision_config
    tower = Blip2VisionModel(torch_config).eval()
    tower.load_state_dict(blip2_tower_state(model.state_dict(), patchify(pixels).flatten(0, 1)))
    before, last = hidden_states(model.visual, patchify(pixels))
    states = tower(pixels, output_hidden_states=True)
    for ours, theirs in ((states.hidden_states[-2], before), (states.last_hidden_state, model.visual.ln_post(last))):
        assert torch.nn.functional.cosine_similarity(ours, theirs, dim=-1).min() > 0.9998
        torch.testing.assert_close(ours, theirs, atol=0.05, rtol=0.05)


@pytest.mark.parametrize("family", [llava, blip2, flamingo], ids=lambda module: module.__name__.rpartition(".")[2])
@torch.inference_mode()
def test_packed_training_predicts_what_the_whole_model_does(family: ModuleType) -> None:
    model, tokenizer = clip(), language_tokenizer(WORDS)
    image = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    state = model.state_dict()
    torch.manual_seed(2)
    glimpse = Glimpse(torch.randn(3, 257, 48), torch.randn(40, 588))
    student = family.student(SETTINGS, state, tokenizer, glimpse)
    whole = student.model.eval()
    processor = family.processor(SETTINGS, tokenizer)
    pixels = processor.image_processor([image], return_tensors="pt")
    pixels = pixels if isinstance(pixels, torch.Tensor) else pixels["pixel_values"]
    before, last = hidden_states(model.visual, patchify(pixels.reshape(1, 3, 224, 224)))
    features = last if family.ABOUT.feature_layer == -1 else before
    found = student.predict(student.read(features), [DIALOGUES])
    # The last is the second turn of the dialogue, after two single questions, a short form and the first turn.
    asked = [(0, LESSONS[0], ()), (1, LESSONS[1], ()), (4, LESSONS[1], ((LESSONS[0].question, LESSONS[0].answer),))]
    for number, lesson, history in asked:
        template = getattr(processor, "chat_template", None) or tokenizer.chat_template
        text = tokenizer.apply_chat_template(
            messages(lesson.question, history, image=family is not blip2),
            chat_template=template,
            tokenize=False,
            add_generation_prompt=True,
        )
        # Flamingo's processor puts the image in by itself.
        shown = text.replace("<image>", "") if family is flamingo else text
        inputs = processor(images=[image], text=[shown], return_tensors="pt")
        logits = whole(**inputs).logits[0, -1]
        first = (found.lesson == number).nonzero()[0, 0]
        torch.testing.assert_close(found.logits[first], logits, atol=0.03, rtol=0.03)
        assert found.targets[first] == tokenizer(lesson.answer, add_special_tokens=False).input_ids[0]


def test_the_llava_tower_is_the_clip_tower() -> None:
    model, tokenizer = clip(), language_tokenizer(WORDS)
    student = llava.student(SETTINGS, model.state_dict(), tokenizer, Glimpse(torch.randn(3, 257, 48), torch.empty(0)))
    expected = vision_tower_state(model.state_dict())
    for name, tensor in student.model.model.vision_tower.state_dict().items():
        torch.testing.assert_close(tensor, expected[name])
