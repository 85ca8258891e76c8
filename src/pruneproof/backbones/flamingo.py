"""The Flamingo family: a CLIP vision tower, a perceiver resampler, and a language model with gated cross-attention.

The open Flamingo is Idefics. Pruning acts before the resampler, which then reads CLS and the kept patches; the number
of its latents is fixed, so only the resampler gets cheaper. In a checkpoint without resampler it acts before the
cross-attention, which then has fewer keys. The language model's own sequence holds no patches and never gets shorter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL.Image import Image
from torch import Tensor
from transformers import IdeficsForVisionText2Text

from pruneproof import machine
from pruneproof.backbones import Components, EncodedImage, History, Reply
from pruneproof.backbones._clip_space_pairing import check_pairing
from pruneproof.backbones._conversation import sound_template
from pruneproof.backbones._flamingo_decoder import LookingCache, LookingDecoder
from pruneproof.backbones._flamingo_prompts import END, FAKE, IMAGE, Prompt, build_prompt, prompt_text
from pruneproof.backbones._generation import CausalModel, Generated, cache_bytes, even_parts
from pruneproof.backbones._loading import load_pretrained
from pruneproof.backbones._patch_boxes import PatchBoxes, square_patches
from pruneproof.backbones._replies import replies, verdicts
from pruneproof.backbones._room import require_room
from pruneproof.backbones._sharing import Reading, continued, readings
from pruneproof.backbones._vision import ClipImage
from pruneproof.backbones.text_towers import ClipSpace, load_clip_space
from pruneproof.errors import PruneProofError
from pruneproof.settings import BackboneSettings


class Flamingo:
    """A loaded Idefics; implements `Backbone`.

    Of the checkpoint's generation settings only the end tokens are read; `<end_of_utterance>` is one of them where the
    tokenizer knows it, as in transformers' guide `tasks/idefics.md`. That guide also forbids the image tokens in
    answers (`bad_words_ids`); here they may occur, as in plain `generate`, and are left out of the text.
    """

    def __init__(self, model: Any, processor: Any, clip: ClipSpace, device: str) -> None:
        self.model, self.processor, self.clip, self.device = model, processor, clip, device
        tokenizer = processor.tokenizer
        end = model.generation_config.eos_token_id
        spoken = {tokenizer.convert_tokens_to_ids(END)} if END in tokenizer.get_vocab() else set()
        self.ends: frozenset[int] = frozenset(end if isinstance(end, list) else [end]) | spoken
        self._rows = machine.batch_size()
        self._prompts: dict[tuple[str, History], Prompt] = {}
        sound_template(processor, model.config.name_or_path, IMAGE)
        self._verdicts = verdicts(tokenizer, prompt_text(processor, "?"))

    def pixels(self, images: Sequence[Image]) -> Tensor:
        """[B, 3, P, P] pixels as the checkpoint's processor makes them."""
        pixels: Tensor = self.processor.image_processor(list(images), return_tensors="pt")
        return pixels

    def states(self, pixels: Tensor) -> list[Tensor]:
        """Hidden states of the vision tower: the input of its first layer, then the output of every layer.

        Layer by layer, because `IdeficsVisionTransformer` gives back the last one only.

        Args:
            pixels: [B, 3, P, P] in the model's type.

        Returns:
            Tensors [B, 1 + N, D], CLS first.
        """
        tower = self.model.model.vision_model
        states = [tower.pre_layrnorm(tower.embeddings(pixels))]
        for layer in tower.encoder.layers:
            states.append(layer(states[-1], None))
        return states

    @torch.inference_mode()
    def encode(self, images: Sequence[Image]) -> list[EncodedImage]:
        """Run the vision tower on a batch of images.

        The last state is passed on without the tower's final norm, as in `IdeficsModel.forward`.
        """
        states = self.states(self.pixels(images).to(self.device, self.model.dtype))
        return [
            ClipImage(
                tuple(state[i] for state in states),
                states[-1][i, 1:],
                states[-1][i, :1],
                image.size,
                self.model.model.vision_model.encoder.layers,
                self.clip,
            )
            for i, image in enumerate(images)
        ]

    @torch.inference_mode()
    def answer(
        self,
        images: Sequence[EncodedImage],
        questions: Sequence[str],
        kept: Tensor,
        max_new_tokens: int,
        histories: Sequence[History] = (),
    ) -> list[Reply]:
        """Answer questions greedily; see `Backbone.answer`.

        The resampler runs once for each distinct pair of image and kept tokens.
        """
        prompts = [self.prompt(*asked) for asked in zip(questions, histories or ((),) * len(questions), strict=True)]
        for question, prompt in zip(questions, prompts, strict=True):
            require_room(self.model.config, question, len(prompt), 0, max_new_tokens)
        shown = readings(images, kept.to(self.device), len(questions), [prompt.before for prompt in prompts])
        contexts = [self._context(reading.image, reading.kept) for reading in shown]
        parts = even_parts(len(contexts), self._rows)
        latents = torch.cat([self.connect(torch.stack(contexts[part])) for part in parts])
        visual = {reading.asked: row for reading, row in zip(shown, latents, strict=True)}

        def start(part: Sequence[Reading]) -> tuple[CausalModel, Tensor]:
            before = prompts[part[0].asked[0]].before
            language = self._language(before, torch.stack([visual[reading.asked] for reading in part]))
            return language, language.embed(torch.tensor(before, device=self.device)).expand(len(part), -1, -1)

        generated: dict[int, Generated] = {}
        after = [prompt.after for prompt in prompts]
        for before in dict.fromkeys(prompt.before for prompt in prompts):
            alike = [reading for reading in shown if prompts[reading.asked[0]].before == before]
            generated |= continued(alike, start, after, max_new_tokens, self._rows)
        return replies(self.processor.tokenizer, [generated[i] for i in range(len(questions))], self._verdicts)

    def connect(self, contexts: Tensor) -> Tensor:
        """What the cross-attention reads of each image.

        Args:
            contexts: [V, M + K, D] unprunable and kept tokens.

        Returns:
            [V, L, D] the resampler's latents, or the tokens themselves if the checkpoint has no resampler.
        """
        if not self.model.config.use_resampler:
            return contexts
        latents: Tensor = self.model.model.perceiver_resampler(contexts)
        return latents

    def embed_text(self, questions: Sequence[str], matched: bool = True) -> Tensor:
        """[Q, E] questions in CLIP space."""
        return self.clip.embed(questions, matched)

    def forget(self) -> None:
        """Drop remembered text embeddings."""
        self.clip.forget()

    @torch.inference_mode()
    def components(self, image: EncodedImage, question: str, kept: Tensor) -> Components:
        """Connector, prefill and decode of one question; see `Backbone.components`.

        Prefill and decode hold the cross-attention, and both compute its keys and values, as transformers does; the
        cache is the self-attention's. Without resampler the connector does nothing.
        """
        prompt = self.prompt(question)
        contexts = self._context(image, kept[0])[None]
        language = self._language(prompt.before, self.connect(contexts))
        ids = torch.tensor([*prompt.before, *prompt.after], device=self.device)
        inputs = language.embed(ids)[None]
        cache = language.prefill(inputs)
        work: dict[str, Callable[[], object]] = {
            "connector": lambda: self.connect(contexts),
            "prefill": lambda: language.prefill(inputs),
            "decode": lambda: language.step(inputs[:, -1:], cache),
        }
        return Components(work, cache_bytes(cache))

    def prompt(self, question: str, history: History = ()) -> Prompt:
        """The tokenised prompt of a question, remembered."""
        if (question, history) not in self._prompts:
            self._prompts[question, history] = build_prompt(self.processor, question, history)
        return self._prompts[question, history]

    def _context(self, image: EncodedImage, kept: Tensor) -> Tensor:
        return torch.cat([image.unprunable, image.features[kept.to(self.device)]])

    def _language(self, before: Sequence[int], visual: Tensor) -> CausalModel:
        """The language model, whose rows each look at their own image [B, L, D] after what comes `before` it."""
        decoder = LookingDecoder(self.model.model, len(before))
        return CausalModel(decoder, self.model.lm_head, self.ends, partial(LookingCache, visual))


def load(settings: BackboneSettings, root: Path, device: str) -> Flamingo:
    """Load an Idefics checkpoint from a local folder or the hub; see `backbones.load`."""
    model, processor = load_pretrained(settings, root, device, "idefics", IdeficsForVisionText2Text)
    if lacking := sorted({IMAGE, FAKE} - set(processor.tokenizer.get_vocab())):
        raise PruneProofError(
            f"checkpoint {settings.checkpoint!r} has a tokenizer without {', '.join(lacking)}: restore its files"
        )
    clip = load_clip_space(settings, root, device)
    backbone = Flamingo(model, processor, clip, device)
    check_pairing(settings, clip, backbone.pixels, lambda pixels: backbone.states(pixels)[-1])
    return backbone


def patch_boxes(settings: BackboneSettings, root: Path) -> PatchBoxes:
    """Where patches lie; see `backbones.patch_boxes`."""
    return square_patches(settings, root, "idefics")
