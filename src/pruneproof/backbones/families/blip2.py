"""The BLIP-2 family: an EVA vision tower, a Q-Former that reads its patches, and OPT or Flan-T5 that answers.

Patches are pruned before the Q-Former, which gives the language model the same number of tokens whatever it reads: the
connector gets cheaper and the language model does not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import torch
from PIL.Image import Image
from torch import Tensor
from transformers import Blip2ForConditionalGeneration

from pruneproof import machine
from pruneproof.backbones import Components, History, Narrowing, Reduction, Reply, Shown
from pruneproof.backbones.checkpoints.loading import load_pretrained
from pruneproof.backbones.checkpoints.memory import held_bytes
from pruneproof.backbones.clip.pairing import check_pairing
from pruneproof.backbones.clip.patch_boxes import PatchBoxes, square_patches
from pruneproof.backbones.clip.text_towers import ClipSpace, load_clip_space
from pruneproof.backbones.clip.tower import Tower, read_reduced
from pruneproof.backbones.clip.vision import USUAL
from pruneproof.backbones.families._blip2_seq2seq import EncoderDecoder
from pruneproof.backbones.families._blip2_vision import Blip2Image, split_layer
from pruneproof.backbones.families._connecting import by_length, require_whole, with_cls
from pruneproof.backbones.language import sharing
from pruneproof.backbones.language.conversation import chat_text, prompt_ids, shortened, sound_template
from pruneproof.backbones.language.generation import CausalModel, Generated, cache_bytes
from pruneproof.backbones.language.replies import replies, verdicts
from pruneproof.backbones.language.room import require_room
from pruneproof.backbones.language.sharing import Reading, continued, readings
from pruneproof.errors import PruneProofError
from pruneproof.pruning.protocol import Kept, VisualTokens
from pruneproof.settings import BackboneSettings

MODEL_TYPE = "blip-2"
CLOSED_DOORS = {
    "language": "its language model reads the few queries of a Q-Former, which already sum up the picture",
}
MIXING = "a Q-Former mixes all patches into each of its queries"

PROMPT = "Question: {} Answer:"
"""Prompt of a checkpoint without a chat template. Source: transformers `Blip2ForConditionalGeneration.forward`."""

TURN = f"{PROMPT} {{}}. "
"""An earlier turn before it. Source: salesforce/LAVIS `examples/blip2_instructed_generation.ipynb`."""


class Language(sharing.Language, Protocol):
    """What both kinds of language model have in common; the cache of each is its own."""

    def embed(self, ids: Tensor, /) -> Tensor:
        """Token embeddings, [..., D]."""
        ...

    def prefill(self, embeddings: Tensor, /) -> Any:
        """Read one prompt [1, L, D] up to the logits of the first answered token; returns the cache."""
        ...

    def step(self, embedding: Tensor, cache: Any, /) -> Tensor:
        """Logits after one further token [1, 1, D]; the cache grows by it."""
        ...


class Blip2:
    """A loaded BLIP-2; implements `Backbone`."""

    mixing = MIXING
    lacking: Mapping[str, str] = MappingProxyType({})
    usual = USUAL
    set_aside = 0

    def __init__(self, model: Any, processor: Any, clip: ClipSpace, device: str) -> None:
        self.model, self.processor, self.clip, self.device = model, processor, clip, device
        self.language = _language(model.language_model)
        self._layers = [split_layer(layer) for layer in model.vision_model.encoder.layers]
        self._rows = machine.batch_size()
        self._template = sound_template(processor, model.config.name_or_path, None)
        separate = isinstance(self.language, EncoderDecoder)
        self._verdicts = verdicts(processor.tokenizer, "" if separate else self.prompt_text("?"))

    def pixels(self, images: Sequence[Image]) -> Tensor:
        """[B, 3, P, P] pixels as the checkpoint's processor makes them."""
        pixels: Tensor = self.processor.image_processor(images=list(images), return_tensors="pt").pixel_values
        return pixels

    @torch.inference_mode()
    def encode(
        self,
        images: Sequence[Image],
        side: Callable[[int], int] | None = None,
        reduction: Reduction | None = None,
    ) -> list[VisualTokens]:
        """Run the vision tower on a batch of images; see `Backbone.encode`."""
        tower = self.model.vision_model
        pixels, sizes = self.pixels(images).to(self.device, tower.dtype), [image.size for image in images]
        if side is not None or reduction is not None:
            return read_reduced(self.tower, pixels, sizes, side, reduction)
        output = tower(pixels, output_hidden_states=True)
        read = output.last_hidden_state
        return [
            Blip2Image(
                tuple(state[i] for state in output.hidden_states),
                read[i, 1:],
                read[i, :1],
                size,
                self._layers,
                self.clip,
            )
            for i, size in enumerate(sizes)
        ]

    @property
    def tower(self) -> Tower:
        """The vision tower and its final norm."""
        tower = self.model.vision_model
        return Tower(
            lambda pixels: tower.embeddings(pixels, interpolate_pos_encoding=True),
            self._layers,
            tower.post_layernorm,
            self.model.config.vision_config.patch_size,
        )

    @property
    def weight_bytes(self) -> int:
        """Bytes of the weights in memory."""
        return held_bytes(self.model)

    @property
    def layers(self) -> int:
        """Layers of the decoder, or of the encoder that reads prompts."""
        config = self.model.config.text_config
        return int(config.num_layers if config.is_encoder_decoder else config.num_hidden_layers)

    def words(self, question: str) -> Tensor:
        """[W, D] a question's tokens as the language model embeds them."""
        ids = self.processor.tokenizer(question, add_special_tokens=False).input_ids
        return self.language.embed(torch.tensor(ids, device=self.device))

    @torch.inference_mode()
    def q_former(self, read: Tensor) -> Tensor:
        """The Q-Former and the projection that follows.

        Source: transformers `Blip2ForConditionalGeneration.get_image_features`.

        Args:
            read: [B, M + K, D] tokens of the vision tower, CLS first.

        Returns:
            [B, queries, width of the language model].
        """
        queries = self.model.query_tokens.expand(len(read), -1, -1)
        # The Q-Former may be kept in float32 beside half-precision towers.
        found = self.model.qformer(query_embeds=queries, encoder_hidden_states=read).last_hidden_state
        projected: Tensor = self.model.language_projection(found.to(read.dtype))
        return projected

    def connect(self, read: Sequence[tuple[VisualTokens, Kept]]) -> list[Tensor]:
        """[queries, width of the language model] what the Q-Former makes of CLS and some patches."""
        return by_length([with_cls(*one) for one in read], self.q_former, self._rows)

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
        for question, prompt, one in zip(questions, prompts, shown, strict=True):
            require_room(self.model.config, question, len(prompt), len(one.rows), max_new_tokens)
        alike: dict[int, list[Reading]] = {}
        for reading in readings(shown):
            alike.setdefault(len(reading.shown.rows), []).append(reading)
        generated: dict[int, Generated] = {}
        for group in alike.values():
            generated |= continued(
                group,
                lambda part: (self.language, torch.stack([one.shown.rows for one in part])),
                prompts,
                max_new_tokens,
                self._rows,
            )
        found = [generated[i] for i in range(len(questions))]
        visual = [tuple(n - len(prompt) for n in row.lengths) for row, prompt in zip(found, prompts, strict=True)]
        return replies(self.processor.tokenizer, found, self._verdicts, visual)

    @torch.inference_mode()
    def components(
        self,
        read: tuple[VisualTokens, Kept],
        shown: Shown,
        question: str,
        narrowing: Narrowing | None = None,
    ) -> Components:
        """Connector, prefill and decode of one question; see `Backbone.components`."""
        require_whole(narrowing, CLOSED_DOORS)
        language, patches = self.language, with_cls(*read)[None]
        ids = torch.tensor(self.prompt(question), device=self.device)
        inputs = torch.cat([shown.rows, language.embed(ids)])[None]
        cache = language.prefill(inputs)
        held = cache_bytes(cache)
        token = language.embed(ids[-1:])[None]
        work: dict[str, Callable[[], object]] = {
            "connector": lambda: self.q_former(patches),
            "prefill": lambda: language.prefill(inputs),
            "decode": lambda: language.step(token, cache),
        }
        return Components(work, held)

    def prompt_text(self, question: str, history: History = ()) -> str:
        """The question in the tokenizer's own chat template if it has one, else in BLIP-2's convention.

        transformers' `Blip2Processor` has no chat template, and puts the image before any text.
        """
        if self._template is None:
            return "".join(TURN.format(*turn) for turn in history) + PROMPT.format(question)
        return chat_text(self.processor, self._template, question, history, image=False)

    def prompt(self, question: str, history: History = ()) -> list[int]:
        """Ids of the prompt without the image, whose queries come before them, even before the first token.

        Source: transformers `Blip2Processor.__call__`.
        """
        tokenizer = self.processor.tokenizer
        ids = prompt_ids(tokenizer, self.prompt_text(question, history))
        if tokenizer.convert_tokens_to_ids(str(self.processor.image_token)) in ids:
            raise PruneProofError(
                f"the prompt of {shortened(question)} holds the image token: no question or earlier turn may contain it"
            )
        return ids


def _language(model: Any) -> Language:
    end = model.generation_config.eos_token_id
    eos = frozenset(end if isinstance(end, list) else [end])
    if model.config.is_encoder_decoder:
        return EncoderDecoder(model, model.generation_config.decoder_start_token_id, eos)
    return CausalModel(model.get_decoder(), model.get_output_embeddings(), eos)


def load(settings: BackboneSettings, root: Path, device: str) -> Blip2:
    """Load a BLIP-2 checkpoint from a local folder or the hub; see `backbones.load`."""
    model, processor = load_pretrained(
        settings, root, device, MODEL_TYPE, Blip2ForConditionalGeneration, lambda model: [model.language_model]
    )
    if model.config.is_encoder_decoder and settings.dtype == "float16":
        raise PruneProofError(
            f"checkpoint {settings.checkpoint!r} has a T5, which overflows in float16: set `dtype: bfloat16`"
        )
    tower = model.vision_model
    clip = load_clip_space(settings, root, device, depth=len(tower.encoder.layers))
    backbone = Blip2(model, processor, clip, device)
    check_pairing(
        settings, clip, backbone.pixels, lambda pixels: tower(pixels, output_hidden_states=True).hidden_states[-1]
    )
    return backbone


def patch_boxes(settings: BackboneSettings, root: Path) -> PatchBoxes:
    """Where patches lie; see `backbones.patch_boxes`."""
    return square_patches(settings, root, MODEL_TYPE)
