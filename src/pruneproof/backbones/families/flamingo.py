"""The Flamingo family: a CLIP vision tower, a perceiver resampler, and a language model with gated cross-attention.

The open Flamingo is Idefics. Pruning acts before the resampler, which then reads CLS and the kept patches; the number
of its latents is fixed, so only the resampler gets cheaper. In a checkpoint without resampler it acts before the
cross-attention, which then has fewer keys. The language model's own sequence holds no patches and never gets shorter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from PIL.Image import Image
from torch import Tensor
from transformers import IdeficsForVisionText2Text

from pruneproof import machine
from pruneproof.backbones import Components, History, Narrowing, Reduction, Reply, Shown
from pruneproof.backbones.checkpoints.loading import load_pretrained
from pruneproof.backbones.checkpoints.memory import held_bytes
from pruneproof.backbones.clip.pairing import check_pairing
from pruneproof.backbones.clip.patch_boxes import PatchBoxes, square_patches
from pruneproof.backbones.clip.text_towers import ClipSpace, load_clip_space
from pruneproof.backbones.clip.tower import Tower, read_reduced
from pruneproof.backbones.clip.vision import USUAL, ClipImage
from pruneproof.backbones.families._connecting import by_length, require_whole, with_cls
from pruneproof.backbones.families._flamingo_decoder import LookingCache, LookingDecoder
from pruneproof.backbones.families._flamingo_prompts import END, FAKE, IMAGE, Prompt, build_prompt, prompt_text
from pruneproof.backbones.language.conversation import sound_template
from pruneproof.backbones.language.generation import CausalModel, Generated, cache_bytes
from pruneproof.backbones.language.replies import replies, verdicts
from pruneproof.backbones.language.room import require_room
from pruneproof.backbones.language.sharing import Reading, continued, readings
from pruneproof.errors import PruneProofError
from pruneproof.pruning.protocol import Kept, VisualTokens
from pruneproof.settings import BackboneSettings

MODEL_TYPE = "idefics"
CLOSED_DOORS = {
    "language": "its language model's own sequence holds no visual tokens: they come in by cross-attention",
}
MIXING = "a resampler mixes all patches into each of its latents"


class Flamingo:
    """A loaded Idefics; implements `Backbone`.

    Of the checkpoint's generation settings only the end tokens are read; `<end_of_utterance>` is one of them where the
    tokenizer knows it, as in transformers' guide `tasks/idefics.md`. That guide also forbids the image tokens in
    answers (`bad_words_ids`); here they may occur, as in plain `generate`, and are left out of the text.
    """

    mixing = MIXING
    lacking: Mapping[str, str] = MappingProxyType({})
    usual = USUAL
    set_aside = 0

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
    def encode(
        self,
        images: Sequence[Image],
        side: Callable[[int], int] | None = None,
        reduction: Reduction | None = None,
    ) -> list[VisualTokens]:
        """Run the vision tower on a batch of images; see `Backbone.encode`.

        The last state is passed on without the tower's final norm, as in `IdeficsModel.forward`.
        """
        pixels, sizes = self.pixels(images).to(self.device, self.model.dtype), [image.size for image in images]
        if side is not None or reduction is not None:
            return read_reduced(self.tower, pixels, sizes, side, reduction)
        states = self.states(pixels)
        layers = self.model.model.vision_model.encoder.layers
        return [
            ClipImage(
                tuple(state[i] for state in states), states[-1][i, 1:], states[-1][i, :1], size, layers, self.clip
            )
            for i, size in enumerate(sizes)
        ]

    @property
    def tower(self) -> Tower:
        """The vision tower."""
        tower = self.model.model.vision_model
        return Tower(
            lambda pixels: tower.pre_layrnorm(tower.embeddings(pixels, interpolate_pos_encoding=True)),
            tower.encoder.layers,
            lambda state: state,
            self.model.config.vision_config.patch_size,
        )

    @property
    def weight_bytes(self) -> int:
        """Bytes of the weights in memory."""
        return held_bytes(self.model)

    @property
    def layers(self) -> int:
        """Layers of the language model."""
        return len(self.model.model.layers)

    def words(self, question: str) -> Tensor:
        """[W, D] a question's tokens as the language model embeds them."""
        ids = self.processor.tokenizer(question, add_special_tokens=False).input_ids
        embedded: Tensor = self.model.get_input_embeddings()(torch.tensor(ids, device=self.device))
        return embedded

    @torch.inference_mode()
    def answer(
        self,
        shown: Sequence[Shown],
        questions: Sequence[str],
        max_new_tokens: int,
        histories: Sequence[History] = (),
        narrowing: Narrowing | None = None,
    ) -> list[Reply]:
        """Answer questions greedily; see `Backbone.answer`."""
        require_whole(narrowing, CLOSED_DOORS)
        prompts = [self.prompt(*asked) for asked in zip(questions, histories or ((),) * len(questions), strict=True)]
        for question, prompt in zip(questions, prompts, strict=True):
            require_room(self.model.config, question, len(prompt), 0, max_new_tokens)

        def start(part: Sequence[Reading]) -> tuple[CausalModel, Tensor]:
            before = prompts[part[0].asked[0]].before
            language = self._language(before, torch.stack([reading.shown.rows for reading in part]))
            return language, language.embed(torch.tensor(before, device=self.device)).expand(len(part), -1, -1)

        alike: dict[tuple[tuple[int, ...], int], list[Reading]] = {}
        for reading in readings(shown, [prompt.before for prompt in prompts]):
            before = prompts[reading.asked[0]].before
            alike.setdefault((before, len(reading.shown.rows)), []).append(reading)
        generated: dict[int, Generated] = {}
        after = [prompt.after for prompt in prompts]
        for group in alike.values():
            generated |= continued(group, start, after, max_new_tokens, self._rows)
        found = [generated[i] for i in range(len(questions))]
        visual = [(len(one.rows),) * self.layers for one in shown]
        return replies(self.processor.tokenizer, found, self._verdicts, visual)

    def resample(self, contexts: Tensor) -> Tensor:
        """What the cross-attention reads of each image.

        Args:
            contexts: [V, M + K, D] CLS and kept tokens.

        Returns:
            [V, L, D] the resampler's latents, or the tokens themselves if the checkpoint has no resampler.
        """
        if not self.model.config.use_resampler:
            return contexts
        latents: Tensor = self.model.model.perceiver_resampler(contexts)
        return latents

    @torch.inference_mode()
    def connect(self, read: Sequence[tuple[VisualTokens, Kept]]) -> list[Tensor]:
        """[L, D] what the cross-attention reads of CLS and some patches."""
        return by_length([with_cls(*one) for one in read], self.resample, self._rows)

    @torch.inference_mode()
    def components(
        self,
        read: tuple[VisualTokens, Kept],
        shown: Shown,
        question: str,
        narrowing: Narrowing | None = None,
    ) -> Components:
        """Connector, prefill and decode of one question; see `Backbone.components`.

        Prefill and decode hold the cross-attention, and both compute its keys and values, as transformers does; the
        cache is the self-attention's. Without resampler the connector does nothing.
        """
        require_whole(narrowing, CLOSED_DOORS)
        prompt = self.prompt(question)
        contexts = with_cls(*read)[None]
        language = self._language(prompt.before, shown.rows[None])
        ids = torch.tensor([*prompt.before, *prompt.after], device=self.device)
        inputs = language.embed(ids)[None]
        cache = language.prefill(inputs)
        work: dict[str, Callable[[], object]] = {
            "connector": lambda: self.resample(contexts),
            "prefill": lambda: language.prefill(inputs),
            "decode": lambda: language.step(inputs[:, -1:], cache),
        }
        return Components(work, cache_bytes(cache))

    def prompt(self, question: str, history: History = ()) -> Prompt:
        """The tokenised prompt of a question, remembered."""
        if (question, history) not in self._prompts:
            self._prompts[question, history] = build_prompt(self.processor, question, history)
        return self._prompts[question, history]

    def _language(self, before: Sequence[int], visual: Tensor) -> CausalModel:
        """The language model, whose rows each look at their own image [B, L, D] after what comes `before` it."""
        decoder = LookingDecoder(self.model.model, len(before))
        return CausalModel(decoder, self.model.lm_head, self.ends, partial(LookingCache, visual))


def load(settings: BackboneSettings, root: Path, device: str) -> Flamingo:
    """Load an Idefics checkpoint from a local folder or the hub; see `backbones.load`."""
    model, processor = load_pretrained(
        settings,
        root,
        device,
        MODEL_TYPE,
        IdeficsForVisionText2Text,
        lambda model: [model.model.layers, model.model.gated_cross_attn_layers],
    )
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
    return square_patches(settings, root, MODEL_TYPE)
