"""What the families share whose causal language model reads a picture in the place of one token of its prompt."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import torch
from PIL.Image import Image
from torch import Tensor
from transformers import DynamicCache

from pruneproof import machine
from pruneproof.backbones import Components, History, Narrowing, Reduction, Reply, Shown
from pruneproof.backbones.checkpoints.memory import held_bytes
from pruneproof.backbones.language.beginnings import WholePrompt
from pruneproof.backbones.language.conversation import chat_text, prompt_ids, shortened, sound_template
from pruneproof.backbones.language.generation import CausalModel, Generated, cache_bytes, even_parts
from pruneproof.backbones.language.narrowing import continue_narrowed, prefill_narrowed, step_narrowed
from pruneproof.backbones.language.replies import replies, verdicts
from pruneproof.backbones.language.room import require_room
from pruneproof.backbones.language.sharing import Reading, continued, readings
from pruneproof.errors import PruneProofError
from pruneproof.pruning.protocol import Kept, VisualTokens


@dataclass(frozen=True, slots=True)
class Prompt:
    """A tokenised prompt, cut at the image."""

    before: tuple[int, ...]
    after: tuple[int, ...]

    def __len__(self) -> int:
        """Tokens without the image's."""
        return len(self.before) + len(self.after)


class CausalBase(ABC):
    """A loaded model; implements `Backbone` but for `clip` and `usual`.

    A family says how a picture becomes tokens (`encode`) and what its connector makes of some of them (`projected`),
    and may put rows of its own between these (`laid_out`).
    """

    mixing = ""
    lacking: Mapping[str, str] = MappingProxyType({})
    set_aside = 0

    def __init__(self, model: Any, processor: Any, decoder: Any, device: str) -> None:
        self.model, self.processor, self.device = model, processor, device
        end = model.generation_config.eos_token_id
        self.language = CausalModel(decoder, model.lm_head, frozenset(end if isinstance(end, list) else [end]))
        self._rows = machine.batch_size()
        self._prompts: dict[tuple[str, History], Prompt] = {}
        self._template = _template(model.config, processor)
        self._verdicts = verdicts(processor.tokenizer, self.prompt_text("?"))

    @abstractmethod
    def encode(
        self,
        images: Sequence[Image],
        side: Callable[[int], int] | None = None,
        reduction: Reduction | None = None,
    ) -> list[VisualTokens]:
        """Run the vision tower once on each image; see `Backbone.encode`."""

    @abstractmethod
    def project(self, rows: Tensor) -> Tensor:
        """[K, W] what the projector makes of what it receives, [K, D], row by row."""

    def projected(self, tokens: VisualTokens, kept: Kept) -> Tensor:
        """[K, W] what the connector makes of some tokens, CLS left out, without touching the others."""
        return self.project(kept.apply(tokens.features))

    @property
    def weight_bytes(self) -> int:
        """Bytes of the weights in memory."""
        return held_bytes(self.model)

    @property
    def layers(self) -> int:
        """Layers of the language model."""
        return len(self.language.decoder.layers)

    def words(self, question: str) -> Tensor:
        """[W, D] a question's tokens as the language model embeds them."""
        ids = self.processor.tokenizer(question, add_special_tokens=False).input_ids
        return self.language.embed(torch.tensor(ids, device=self.device))

    @torch.inference_mode()
    def connect(self, read: Sequence[tuple[VisualTokens, Kept]]) -> list[Tensor]:
        """[K, W] projected tokens; see `Backbone.connect`.

        The projector works token by token, so projecting all once and then taking the kept ones equals pruning before
        it; what pruning before it saves is counted in `answering.costs`. Merged tokens are projected each.
        """
        whole: dict[int, Tensor] = {}
        found: list[Tensor] = []
        for tokens, kept in read:
            if kept.weights is None and id(tokens) not in whole:
                everything = torch.arange(tokens.count, device=tokens.features.device)
                whole[id(tokens)] = self.projected(tokens, Kept(everything))
            rows = self.projected(tokens, kept) if kept.weights is not None else kept.apply(whole[id(tokens)])
            found.append(self._after_cls(tokens, kept, rows))
        return found

    def _after_cls(self, tokens: VisualTokens, kept: Kept, rows: Tensor) -> Tensor:
        """Projected tokens, after CLS if it goes on too."""
        return torch.cat([self.project(tokens.cls), rows]) if kept.cls and len(tokens.cls) else rows

    def laid_out(self, shown: Shown) -> tuple[Tensor, Tensor]:
        """What the language model reads of a picture.

        Returns:
            [L, W] rows, and int64 [K] the places among them of the shown tokens.
        """
        return shown.rows, torch.arange(len(shown.rows), device=shown.rows.device)

    def reading(self, before: Sequence[int], shown: Sequence[Shown]) -> CausalModel:
        """The language model as it reads some pictures, one a row; all prompts begin with the same words.

        Args:
            before: token ids that come before the pictures.
            shown: of each row.
        """
        del before, shown
        return self.language

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
        prompts = [self.prompt(*asked) for asked in zip(questions, histories or ((),) * len(questions), strict=True)]
        read = {id(one): self.laid_out(one) for one in shown}
        for question, prompt, one in zip(questions, prompts, shown, strict=True):
            require_room(self.model.config, question, len(prompt), len(read[id(one)][0]), max_new_tokens)
        if narrowing is not None:
            generated = self._narrowed(shown, prompts, max_new_tokens, narrowing)
        else:
            generated = self._continued(shown, prompts, max_new_tokens)
        found = [generated[i] for i in range(len(questions))]
        # Newlines between patches are the model's own and count as text.
        others = [
            len(prompt) + len(read[id(one)][0]) - len(one.rows) for prompt, one in zip(prompts, shown, strict=True)
        ]
        visual = [tuple(n - other for n in row.lengths) for row, other in zip(found, others, strict=True)]
        return replies(self.processor.tokenizer, found, self._verdicts, visual)

    def _continued(self, shown: Sequence[Shown], prompts: Sequence[Prompt], longest: int) -> Mapping[int, Generated]:
        """Answers by number of question, what several see being read once."""
        groups: dict[tuple[tuple[int, ...], int], list[Reading]] = {}
        read = {id(one): self.laid_out(one)[0] for one in shown}
        for reading in readings(shown, [prompt.before for prompt in prompts]):
            before = prompts[reading.asked[0]].before
            groups.setdefault((before, len(read[id(reading.shown)])), []).append(reading)
        generated: dict[int, Generated] = {}
        for (before, _), group in groups.items():

            def start(part: Sequence[Reading], before: tuple[int, ...] = before) -> tuple[CausalModel, Tensor]:
                begin = self.language.embed(torch.tensor(before, device=self.device))
                rows = torch.stack([torch.cat([begin, read[id(one.shown)]]) for one in part])
                return self.reading(before, [one.shown for one in part]), rows

            after = [prompt.after for prompt in prompts]
            generated |= continued(group, start, after, longest, self._rows)
        return generated

    def _narrowed(
        self, shown: Sequence[Shown], prompts: Sequence[Prompt], longest: int, narrowing: Narrowing
    ) -> Mapping[int, Generated]:
        """Answers by number of question, each read alone from where what is dropped depends on it."""
        first = {id(one): i for i, one in reversed(list(enumerate(shown)))}
        order = sorted(range(len(prompts)), key=lambda i: (len(shown[i].rows), first[id(shown[i])], len(prompts[i])))
        generated: dict[int, Generated] = {}
        for part in even_parts(len(order), self._rows):
            asked = order[part]
            whole = [self._whole(i, shown[i], prompts[i]) for i in asked]
            found = continue_narrowed(self.language, whole, narrowing, longest)
            generated |= zip(asked, found, strict=True)
        return generated

    def _whole(self, number: int, shown: Shown, prompt: Prompt) -> WholePrompt:
        rows, places = self.laid_out(shown)
        before, after = (
            self.language.embed(torch.tensor(ids, dtype=torch.long, device=self.device))
            for ids in (prompt.before, prompt.after)
        )
        embedded = torch.cat([before, rows, after])
        return WholePrompt(number, embedded, len(before) + places, len(after), (id(shown), prompt.before))

    @torch.inference_mode()
    def components(
        self,
        read: tuple[VisualTokens, Kept],
        shown: Shown,
        question: str,
        narrowing: Narrowing | None = None,
    ) -> Components:
        """Connector, prefill and decode of one question; see `Backbone.components`."""
        prompt, language = self.prompt(question), self.language
        tokens, kept = read
        whole = self._whole(0, shown, prompt)
        token = language.embed(torch.tensor(prompt.after[-1:], device=self.device))[None]
        if narrowing is None:
            language = self.reading(prompt.before, [shown])
            prefill: Callable[[], DynamicCache] = partial(language.prefill, whole.embedded[None])
            cache = prefill()
            step: Callable[[], object] = partial(language.step, token, cache)
        else:
            prefill = partial(prefill_narrowed, language, whole, narrowing)
            cache = prefill()
            step = partial(step_narrowed, language, token, cache, len(whole.embedded), narrowing)
        held = cache_bytes(cache)
        work: dict[str, Callable[[], object]] = {
            "connector": lambda: self._after_cls(tokens, kept, self.projected(tokens, kept)),
            "prefill": prefill,
            "decode": step,
        }
        return Components(work, held)

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
