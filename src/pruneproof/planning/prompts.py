"""How long prompts and answers are, in tokens: by the checkpoint's own tokenizer where it is here, else about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from pruneproof.answering.batch import Question, prompt_text
from pruneproof.backbones.checkpoints.loading import read_processor
from pruneproof.backbones.language.conversation import chat_template, chat_text, prompt_ids
from pruneproof.planning.asked import Asking
from pruneproof.settings import BackboneSettings

TOKENS_PER_WORD = 1.35
"""Of English in a vocabulary of 32,000; every question mark is a token of its own."""
BEFORE, AROUND = 5, 6
"""Tokens before the image, and after it without the question, in LLaVA's template."""
SYSTEM = 35
"""Tokens of LLaVA's system prompt, which its authors' evaluation puts first."""
CAPTION_TOKENS = 60
"""Of a description where more are allowed and the benchmark gives none."""
BEFORE_QWEN = {"qwen2_5_vl": 15, "qwen3_vl": 4}
"""Tokens before the image in Qwen's templates, of which Qwen2.5-VL's has a system prompt."""
_DESCRIBE = "Describe the image."


@dataclass(frozen=True, slots=True)
class Prompts:
    """Lengths in tokens."""

    before: int
    """Before the image."""
    question: float
    """After it, the mean."""
    caption: float
    """After it, where a description is asked for."""
    turn: float
    """That one earlier turn of a dialogue adds."""
    steps: float
    """Decoded after the first token of an answer, the end among them."""
    caption_steps: float


def prompts_of(backbone: BackboneSettings, root: Path, asking: Asking) -> Prompts:
    """The lengths of a backbone's prompts.

    Args:
        backbone: its settings.
        root: the project's root, to which local folders are relative.
        asking: gives examples of questions and answers.
    """
    folder = root / backbone.checkpoint
    texts = [prompt_text(Question(text, False), backbone) for text in asking.examples] or ["?"]
    describe = prompt_text(Question(_DESCRIBE, True), backbone)
    answer = max(1.0, fmean(_words(text) for text in asking.answers) if asking.answers else 1.0)
    steps = min(float(round(answer)), backbone.max_new_tokens - 1.0)
    # Descriptions that are written together take as many steps as the longest.
    words = max(len(text.split()) + 1 for text in asking.captions) if asking.captions else CAPTION_TOKENS
    told = min(float(words), backbone.max_caption_tokens - 1.0)
    if folder.is_dir() and (folder / "tokenizer_config.json").is_file():
        processor = _processor(backbone, str(folder))
        lengths = [_cut(processor, text) for text in (*texts, describe)]
        before = lengths[0][0]
        after = fmean(after for _, after in lengths[:-1])
        return Prompts(before, after, float(lengths[-1][1]), after + steps + 1, steps, told)
    before = BEFORE_QWEN.get(backbone.family, BEFORE + (SYSTEM if backbone.chat_template else 0))
    after = fmean(_words(text) for text in texts) + AROUND
    return Prompts(before, after, _words(describe) + AROUND, after + steps + 1, steps, told)


def _processor(backbone: BackboneSettings, folder: str) -> Any:
    if backbone.family != "smolvlm":
        return read_processor(backbone, folder)
    from pruneproof.backbones.families.smolvlm import processor_of

    return processor_of(backbone, folder)


def _cut(processor: Any, text: str) -> tuple[int, int]:
    """Tokens before the image and after it; a template that does not write the image has all after it."""
    template, tokenizer = chat_template(processor), processor.tokenizer
    if template is None:
        return 0, len(tokenizer(text).input_ids) + AROUND
    image = tokenizer.convert_tokens_to_ids(str(getattr(processor, "image_token", None) or "<image>"))
    ids = prompt_ids(tokenizer, chat_text(processor, template, text, (), image=True))
    places: Sequence[int] = [at for at, token in enumerate(ids) if token == image]
    if not places:
        return 0, len(ids)
    return places[0], len(ids) - places[-1] - 1


def _words(text: str) -> float:
    """About how many tokens a text has."""
    return TOKENS_PER_WORD * len(text.split())
