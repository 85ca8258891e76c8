"""What LLaVA and LLaVA-NeXT share: a CLIP vision tower, a projector and a causal language model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from PIL.Image import Image
from torch import Tensor

from pruneproof import machine
from pruneproof.backbones import Components, EncodedImage, History, Reply
from pruneproof.backbones._clip_space_pairing import check_pairing
from pruneproof.backbones._conversation import chat_text, prompt_ids, shortened, sound_template
from pruneproof.backbones._generation import CausalModel, Generated, cache_bytes
from pruneproof.backbones._loading import load_pretrained
from pruneproof.backbones._replies import replies, verdicts
from pruneproof.backbones._room import require_room
from pruneproof.backbones._sharing import Reading, continued, readings
from pruneproof.backbones._vision import ClipImage
from pruneproof.backbones.text_towers import ClipSpace, load_clip_space
from pruneproof.errors import PruneProofError
from pruneproof.settings import BackboneSettings


@dataclass(frozen=True, slots=True)
class Prompt:
    """A tokenised prompt, cut at the image."""

    before: tuple[int, ...]
    after: tuple[int, ...]

    def __len__(self) -> int:
        """Tokens without the image's."""
        return len(self.before) + len(self.after)


class LlavaBase(ABC):
    """A loaded model; implements `Backbone`.

    A family says how a picture becomes `ClipImage`s (`encode`), and may put its own rows between the projected
    patches (`visual`, `reading`).
    """

    def __init__(self, model: Any, processor: Any, clip: ClipSpace, device: str) -> None:
        self.model, self.processor, self.clip, self.device = model, processor, clip, device
        end = model.generation_config.eos_token_id
        self.language = CausalModel(
            model.model.language_model, model.lm_head, frozenset(end if isinstance(end, list) else [end])
        )
        self._rows = machine.batch_size()
        self._prompts: dict[tuple[str, History], Prompt] = {}
        self._template = _template(model.config, processor)
        self._verdicts = verdicts(processor.tokenizer, self.prompt_text("?"))

    @abstractmethod
    def encode(self, images: Sequence[Image]) -> list[EncodedImage]:
        """Run the vision tower once on each image; see `Backbone.encode`."""

    def pixels(self, images: Sequence[Image]) -> Tensor:
        """[..., 3, P, P] as the vision tower receives pictures."""
        pixels: Tensor = self.processor.image_processor(images=list(images), return_tensors="pt").pixel_values
        return pixels

    def states(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Hidden states [B, 1 + N, D]: the input of the tower's first layer, then the output of every layer.

        Args:
            pixels: [B, 3, P, P] in the model's type.
        """
        found: tuple[Tensor, ...] = self.model.model.vision_tower(pixels, output_hidden_states=True).hidden_states
        return found

    def look(self, pixels: Tensor, sizes: Sequence[tuple[int, int]]) -> list[ClipImage]:
        """Run the vision tower on a batch of squares.

        Args:
            pixels: [B, 3, P, P].
            sizes: width and height of the picture that each is made of.
        """
        states = self.states(pixels.to(self.device, self.model.dtype))
        read = states[self.model.config.vision_feature_layer]
        layers = self.model.model.vision_tower.encoder.layers
        return [
            ClipImage(tuple(state[i] for state in states), read[i, 1:], read[i, :0], size, layers, self.clip)
            for i, size in enumerate(sizes)
        ]

    def visual(self, image: EncodedImage) -> Tensor:
        """[N or more, W] embeddings that the language model can be given of an image: its projected patches first."""
        projected: Tensor = self.model.model.multi_modal_projector(image.features)
        return projected

    def reading(self, image: EncodedImage, kept: Tensor) -> Tensor:
        """int64 [L] which rows of `visual` the language model reads, in order, when [K] patches are kept."""
        del image
        return kept

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

        The projector works patch by patch, so projecting all patches once and then taking the kept ones equals pruning
        before it; what pruning before it saves is counted in `answering.costs`.
        """
        prompts = [self.prompt(*asked) for asked in zip(questions, histories or ((),) * len(questions), strict=True)]
        visual = {key: self.visual(image) for key, image in {id(image): image for image in images}.items()}
        groups: dict[tuple[tuple[int, ...], int], list[tuple[Reading, Tensor]]] = {}
        for reading in readings(images, kept.to(self.device), len(questions), [prompt.before for prompt in prompts]):
            rows = self.reading(reading.image, reading.kept)
            for i in reading.asked:
                require_room(self.model.config, questions[i], len(prompts[i]), len(rows), max_new_tokens)
            groups.setdefault((prompts[reading.asked[0]].before, len(rows)), []).append((reading, rows))
        generated: dict[int, Generated] = {}
        for (before, _), group in groups.items():
            read = {id(reading): rows for reading, rows in group}
            begin = self.language.embed(torch.tensor(before, device=self.device))

            def start(
                part: Sequence[Reading], begin: Tensor = begin, read: Mapping[int, Tensor] = read
            ) -> tuple[CausalModel, Tensor]:
                patches = [visual[id(one.image)][read[id(one)]] for one in part]
                return self.language, torch.stack([torch.cat([begin, rows]) for rows in patches])

            after = [prompt.after for prompt in prompts]
            generated |= continued([one for one, _ in group], start, after, max_new_tokens, self._rows)
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
        patches = kept[0].to(self.device)
        chosen = image.features[patches]
        ids = torch.tensor([*prompt.before, *prompt.after], device=self.device)
        embedded = language.embed(ids)
        at = len(prompt.before)
        read = self.visual(image)[self.reading(image, patches)]
        inputs = torch.cat([embedded[:at], read, embedded[at:]])[None]
        cache = language.prefill(inputs)
        token = language.embed(ids[-1:])[None]
        work: dict[str, Callable[[], object]] = {
            "connector": lambda: projector(chosen),
            "prefill": lambda: language.prefill(inputs),
            "decode": lambda: language.step(token, cache),
        }
        return Components(work, cache_bytes(language.prefill(inputs)))

    def prompt_text(self, question: str, history: History = ()) -> str:
        """The question in the checkpoint's own chat template, with its image placeholder in the first turn."""
        return chat_text(self.processor, self._template, question, history, image=True)

    def prompt(self, question: str, history: History = ()) -> Prompt:
        """Tokenise a prompt and cut it at the image placeholder."""
        if (question, history) not in self._prompts:
            ids = prompt_ids(self.processor.tokenizer, self.prompt_text(question, history))
            image = self.model.config.image_token_id
            if ids.count(image) != 1:
                raise PruneProofError(
                    f"the prompt of {shortened(question)} holds {ids.count(image)} image placeholders, not 1: "
                    "no question or earlier turn may contain the image token"
                )
            at = ids.index(image)
            self._prompts[question, history] = Prompt(tuple(ids[:at]), tuple(ids[at + 1 :]))
        return self._prompts[question, history]


def _template(config: Any, processor: Any) -> str:
    image = processor.tokenizer.convert_ids_to_tokens(config.image_token_id)
    template = sound_template(processor, config.name_or_path, image)
    if template is None:
        raise PruneProofError(
            f"checkpoint {config.name_or_path!r} has no chat template, so the form of its prompts is unknown: "
            "add the chat_template.jinja of the checkpoint that it comes from"
        )
    return template


Family = TypeVar("Family", bound=LlavaBase)


def load_llava(
    settings: BackboneSettings,
    root: Path,
    device: str,
    model_type: str,
    model_class: Any,
    family: Callable[[Any, Any, ClipSpace, str], Family],
) -> Family:
    """Load a checkpoint and its CLIP pair; arguments as of `load_pretrained` and `backbones.load`.

    Raises:
        PruneProofError: as they do, for a CLIP that is not the vision tower's, and for features that are not the
            patches of one layer.
    """
    model, processor = load_pretrained(settings, root, device, model_type, model_class)
    layer, strategy = model.config.vision_feature_layer, model.config.vision_feature_select_strategy
    if not isinstance(layer, int) or strategy != "default":
        raise PruneProofError(
            f"checkpoint {settings.checkpoint!r} has vision_feature_layer {layer} and vision_feature_select_strategy "
            f"{strategy!r}: only patches of one layer can be pruned, so it must have a number and 'default'"
        )
    clip = load_clip_space(settings, root, device)
    backbone = family(model, processor, clip, device)
    check_pairing(settings, clip, backbone.pixels, lambda pixels: backbone.states(pixels)[-1])
    return backbone
