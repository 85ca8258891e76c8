"""The Flamingo family: a CLIP vision tower, a perceiver resampler, and a language model with gated cross-attention.

The open Flamingo is Idefics. Pruning acts before the resampler, which then reads CLS and the kept patches; the number
of its latents is fixed, so only the resampler gets cheaper. In a checkpoint without resampler it acts before the
cross-attention, which then has fewer keys. The language model's own sequence holds no patches and never gets shorter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
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
from pruneproof.backbones._flamingo_decoder import LookingDecoder
from pruneproof.backbones._flamingo_prompts import END, FAKE, IMAGE, Prompt, build_prompt, prompt_text
from pruneproof.backbones._generation import CausalModel, Generated, cache_bytes, even_parts
from pruneproof.backbones._loading import load_pretrained
from pruneproof.backbones._patch_boxes import PatchBoxes, square_patches
from pruneproof.backbones._replies import replies, verdicts
from pruneproof.backbones._room import require_room
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

        The resampler runs once for each distinct pair of image and kept tokens. Questions are packed into one row, in
        which every token looks at its own question's image (see `LookingDecoder`).
        """
        prompts = [self.prompt(*asked) for asked in zip(questions, histories or ((),) * len(questions), strict=True)]
        for question, prompt in zip(questions, prompts, strict=True):
            require_room(self.model.config, question, len(prompt), 0, max_new_tokens)
        visual, shown = self._visual(images, kept, len(questions))
        order = sorted(range(len(questions)), key=lambda i: (prompts[i].before, shown[i]))
        generated: dict[int, Generated] = {}
        for before, group in groupby(order, key=lambda i: prompts[i].before):
            rows = list(group)
            for part in even_parts(len(rows), self._rows):
                asked = rows[part]
                after = [prompts[i].after for i in asked]
                # Sorted by what they are shown, so a part needs one run of it.
                first, last = shown[asked[0]], shown[asked[-1]]
                image_of = [shown[i] - first for i in asked]
                language = self._language(before, after, visual[first : last + 1], image_of)
                prefix = language.embed(torch.tensor(before, device=self.device))[None]
                found = language.continue_shared(prefix, after, max_new_tokens, len(after))
                generated |= zip(asked, found, strict=True)
        return replies(self.processor.tokenizer, [generated[i] for i in range(len(questions))], self._verdicts)

    def _visual(self, images: Sequence[EncodedImage], kept: Tensor, count: int) -> tuple[Tensor, list[int]]:
        """[V, L, D] what the cross-attention reads of the distinct pairs, and which of them each question is shown."""
        tokens = kept.tolist()
        numbers: dict[tuple[int, tuple[int, ...]], int] = {}
        contexts: list[Tensor] = []
        shown: list[int] = []
        for i in range(count):
            image, row = images[i if len(images) > 1 else 0], i if len(kept) > 1 else 0
            pair = (id(image), tuple(tokens[row]))
            if pair not in numbers:
                numbers[pair] = len(contexts)
                contexts.append(self._context(image, kept[row]))
            shown.append(numbers[pair])
        parts = even_parts(len(contexts), self._rows)
        return torch.cat([self.connect(torch.stack(contexts[part])) for part in parts]), shown

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
        language = self._language(prompt.before, [prompt.after], self.connect(contexts), [0])
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

    def _language(
        self, before: Sequence[int], after: Sequence[Sequence[int]], visual: Tensor, image_of: Sequence[int]
    ) -> CausalModel:
        """The language model in front of some images; question i looks at `visual[image_of[i]]`."""
        keys = [image for image, tokens in zip(image_of, after, strict=True) for _ in tokens]
        image_of_key = torch.tensor(keys, device=self.device)
        decoder = LookingDecoder(self.model.model, visual, len(before), image_of_key)
        return CausalModel(decoder, self.model.lm_head, self.ends)


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
