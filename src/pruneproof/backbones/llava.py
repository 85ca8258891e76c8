"""The LLaVA family: a CLIP vision tower, a projector, and a causal language model that reads projected patches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from PIL.Image import Image
from torch import Tensor
from transformers import LlavaForConditionalGeneration

from pruneproof import machine
from pruneproof.backbones import Components, EncodedImage, Reply
from pruneproof.backbones._checkpoints import checkpoint_digest
from pruneproof.backbones._clip_space_pairing import check_pairing
from pruneproof.backbones._generation import CausalModel, Generated, cache_bytes, even_parts
from pruneproof.backbones._loading import load_pretrained
from pruneproof.backbones._replies import replies, verdicts
from pruneproof.backbones._vision import ClipImage
from pruneproof.backbones.text_towers import ClipSpace, load_clip_space
from pruneproof.errors import PruneProofError
from pruneproof.settings import BackboneSettings


@dataclass(frozen=True, slots=True)
class Prompt:
    """A tokenised prompt, cut at the image."""

    before: tuple[int, ...]
    behind: tuple[int, ...]


class Llava:
    """A loaded LLaVA; implements `Backbone`."""

    def __init__(self, model: Any, processor: Any, clip: ClipSpace, digest: str, device: str) -> None:
        self.model, self.processor, self.clip, self.digest, self.device = model, processor, clip, digest, device
        end = model.generation_config.eos_token_id
        self.language = CausalModel(
            model.model.language_model, model.lm_head, frozenset(end if isinstance(end, list) else [end])
        )
        self._rows = machine.batch_size()
        self._prompts: dict[str, Prompt] = {}
        self._verdicts = verdicts(processor.tokenizer, self.prompt_text("?"))

    def pixels(self, images: Sequence[Image]) -> Tensor:
        """[B, 3, P, P] as the vision tower receives pictures."""
        pixels: Tensor = self.processor.image_processor(images=list(images), return_tensors="pt").pixel_values
        return pixels

    @torch.inference_mode()
    def encode(self, images: Sequence[Image]) -> list[EncodedImage]:
        """Run the vision tower on a batch of images."""
        pixels = self.pixels(images)
        tower = self.model.model.vision_tower
        output = tower(pixels.to(self.device, self.model.dtype), output_hidden_states=True)
        read = output.hidden_states[self.model.config.vision_feature_layer]
        return [
            ClipImage(
                tuple(state[i] for state in output.hidden_states),
                read[i, 1:],
                read[i, :0],
                image.size,
                tower.encoder.layers,
                self.clip,
            )
            for i, image in enumerate(images)
        ]

    @torch.inference_mode()
    def answer(
        self, images: Sequence[EncodedImage], questions: Sequence[str], kept: Tensor, max_new_tokens: int
    ) -> list[Reply]:
        """Answer questions greedily; see `Backbone.answer`.

        The projector works patch by patch, so projecting all patches once and then taking the kept ones equals pruning
        before it; what pruning before it saves is counted in `answering.costs`.
        """
        each = {id(image): image for image in images}
        visual = {key: self.model.model.multi_modal_projector(image.features) for key, image in each.items()}
        kept = kept.to(self.device)
        shared = len(images) == len(kept) == 1
        prompts = [self.prompt(question) for question in questions]
        order = sorted(range(len(questions)), key=lambda i: (prompts[i].before, len(prompts[i].behind)))
        generated: dict[int, Generated] = {}
        for before, group in groupby(order, key=lambda i: prompts[i].before):
            rows = list(group)
            behind = [prompts[i].behind for i in rows]
            start = self.language.embed(torch.tensor(before, device=self.device))
            if shared:
                prefix = torch.cat([start, visual[id(images[0])][kept[0]]])[None]
                # Packed questions cost no image each, so twice as many fit.
                found = self.language.continue_shared(prefix, behind, max_new_tokens, 2 * self._rows)
            else:
                found = []
                for part in even_parts(len(rows), self._rows):
                    chosen = [
                        visual[id(images[i if len(images) > 1 else 0])][kept[i if len(kept) > 1 else 0]]
                        for i in rows[part]
                    ]
                    prefixes = torch.stack([torch.cat([start, patches]) for patches in chosen])
                    found += self.language.continue_each(prefixes, behind[part], max_new_tokens)
            generated |= zip(rows, found, strict=True)
        return replies(self.processor.tokenizer, [generated[i] for i in range(len(questions))], self._verdicts)

    def embed_text(self, questions: Sequence[str], matched: bool = True) -> Tensor:
        """[Q, E] questions in CLIP space."""
        return self.clip.embed(questions, matched)

    def forget(self) -> None:
        """Drop remembered text embeddings."""
        self.clip.forget()

    @torch.inference_mode()
    def components(self, image: EncodedImage, question: str, kept: Tensor) -> Components:
        """Connector, prefill and decode of one question; see `Backbone.components`."""
        prompt = self.prompt(question)
        projector, language = self.model.model.multi_modal_projector, self.language
        chosen = image.features[kept[0].to(self.device)]
        ids = torch.tensor([*prompt.before, *prompt.behind], device=self.device)
        embedded = language.embed(ids)
        at = len(prompt.before)
        inputs = torch.cat([embedded[:at], projector(chosen), embedded[at:]])[None]
        cache = language.prefill(inputs)
        token = language.embed(ids[-1:])[None]
        work: dict[str, Callable[[], object]] = {
            "connector": lambda: projector(chosen),
            "prefill": lambda: language.prefill(inputs),
            "decode": lambda: language.step(token, cache),
        }
        return Components(work, cache_bytes(language.prefill(inputs)))

    def prompt_text(self, question: str) -> str:
        """The question in the checkpoint's own chat template, with its image placeholder."""
        content = [{"type": "image"}, {"type": "text", "text": question}]
        text: str = self.processor.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
        )
        return text

    def prompt(self, question: str) -> Prompt:
        """Tokenise a prompt and cut it at the image placeholder."""
        if question not in self._prompts:
            ids = self.processor.tokenizer(self.prompt_text(question)).input_ids
            image = self.model.config.image_token_id
            if ids.count(image) != 1:
                raise PruneProofError(
                    f"the prompt of {question!r} holds {ids.count(image)} image placeholders, not 1: "
                    "a question must not contain the image token"
                )
            at = ids.index(image)
            self._prompts[question] = Prompt(tuple(ids[:at]), tuple(ids[at + 1 :]))
        return self._prompts[question]


def load(settings: BackboneSettings, root: Path, device: str) -> Llava:
    """Load a LLaVA checkpoint from a local folder or the hub; see `backbones.load`."""
    model, processor = load_pretrained(settings, root, device, "llava", LlavaForConditionalGeneration)
    clip = load_clip_space(settings, root, device)
    backbone = Llava(model, processor, clip, checkpoint_digest(settings, root), device)
    tower = model.model.vision_tower
    check_pairing(
        settings, clip, backbone.pixels, lambda pixels: tower(pixels, output_hidden_states=True).hidden_states[-1]
    )
    return backbone
