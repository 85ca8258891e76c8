"""Training of LVPruning's decision modules for a built-in LLaVA, which stays as it is, on the training scenes.

As published summaries of the paper have it: decisions are Gumbel-softmax samples that hide visual tokens from all
others; the loss is that of the answers' tokens plus the squared distance of each stage's share kept from its target. A
token that one stage hides stays hidden. Rates, steps and the weight of the second loss are ours.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedTokenizerFast

from pruneproof.files import replacing
from pruneproof.pruning._stages import at_depth
from pruneproof.pruning.lvpruning import Settings, decide, shapes
from pruneproof.seeds import generator
from pruneproof.settings import Frozen
from pruneproof.training.clip_model import IMAGE_MEAN, IMAGE_STD
from pruneproof.training.corpus import Lesson, lessons
from pruneproof.training.masked_llama import masked_layer
from pruneproof.training.packing import segment
from pruneproof.training.phases import Phase, run_phase
from pruneproof.training.scene_cache import SceneCache

log = logging.getLogger(__name__)

_PLAN = {"existence": 3, "colour": 1, "count": 1, "relation": 2, "compositional": 1}
"""Questions of each kind on one scene."""

_IGNORED = -100


class DecisionSettings(Frozen):
    """How decision modules are shaped and trained."""

    seed: int = 11
    heads: Annotated[int, Field(ge=1)] = 6
    hidden: Annotated[int, Field(ge=1)] = 192
    scenes_batch: Annotated[int, Field(ge=1)] = 3
    steps: Annotated[int, Field(ge=1)] = 600
    rate: Annotated[float, Field(gt=0)] = 1e-3
    temperature: Annotated[float, Field(gt=0)] = 1.0
    """Of the Gumbel-softmax."""
    share_weight: Annotated[float, Field(gt=0)] = 4.0
    """Of the loss that holds the share kept to its target."""


class DecisionModule(nn.Module):
    """The tensors of one stage, which at first keeps about 88% of the tokens and hears no question."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        made = {name: torch.zeros(shape) for name, shape in shapes(width, heads, hidden).items()}
        made["visual_norm"] += 1.0
        made["text_norm"] += 1.0
        for name in ("query", "key", "value", "hidden"):
            made[name].normal_(0.0, width**-0.5)
        made["decision"].normal_(0.0, 0.02)
        made["decision_bias"][1] = 2.0
        self.tensors = nn.ParameterDict({name: nn.Parameter(tensor) for name, tensor in made.items()})


@dataclass(frozen=True, slots=True)
class Prompts:
    """Questions with their answers, one a row, padded at the end."""

    ids: Tensor
    """int64 [B, S] padded with 0."""
    question: Tensor
    """bool [B, S] the tokens before the answer, which decisions may look at."""
    targets: Tensor
    """int64 [B, S] the token to predict from each position; -100 where none is."""


def prompts(tokenizer: PreTrainedTokenizerFast, asked: Sequence[Lesson]) -> Prompts:
    """One row a lesson."""
    rows = [segment(tokenizer, (lesson,)) for lesson in asked]
    ids = pad_sequence([torch.tensor([step.token for step in row]) for row in rows], batch_first=True)
    targets = pad_sequence(
        [torch.tensor([step.target for step in row]) for row in rows], batch_first=True, padding_value=_IGNORED
    )
    first = (targets != _IGNORED).int().argmax(dim=1)
    return Prompts(ids, torch.arange(ids.shape[1]) <= first[:, None], targets)


def gumbel(logits: Tensor, temperature: float, rng: np.random.Generator) -> Tensor:
    """[B, N] 1 for a token that is kept, 0 for another: sampled, with the gradient of the softmax.

    Args:
        logits: [B, N, 2] of dropping and of keeping.
        temperature: of the softmax.
        rng: of the sample.
    """
    noise = torch.from_numpy(rng.gumbel(size=tuple(logits.shape)).astype(np.float32)).to(logits.device)
    soft = ((logits + noise) / temperature).softmax(dim=-1)[..., 1]
    return (soft > 0.5).float() + (soft - soft.detach())


def masked_answers(
    language: Any,
    modules: Mapping[int, Mapping[str, Tensor]],
    visual: Tensor,
    asked: Prompts,
    bos: int,
    choose: Callable[[Tensor], Tensor],
) -> tuple[Tensor, list[Tensor]]:
    """States [B, S, D] of the rows' tokens after the last layer's norm, and what each stage kept, [B, N].

    Args:
        language: transformers' `LlamaModel`.
        modules: the module that decides before each of some layers.
        visual: [B, N, D] projected patches.
        asked: the rows.
        bos: the token before the picture.
        choose: from logits [B, N, 2] to 0 or 1, [B, N].
    """
    rows, count = visual.shape[:2]
    after = 1 + count
    start = language.embed_tokens.weight[bos].expand(rows, 1, -1)
    state = torch.cat([start, visual, language.embed_tokens(asked.ids)], dim=1)
    kept, decisions = visual.new_ones(rows, count), []
    others = (visual.new_ones(rows, 1), visual.new_ones(rows, asked.ids.shape[1]))
    for number, layer in enumerate(language.layers):
        if number in modules:
            kept = kept * choose(decide(modules[number], state[:, 1:after], state[:, after:], asked.question))
            decisions.append(kept)
        state = masked_layer(layer, language.rotary_emb, state, torch.cat([others[0], kept, others[1]], dim=1))
    return language.norm(state[:, after:]), decisions


def train_decisions(
    model: Any,
    tokenizer: PreTrainedTokenizerFast,
    cache: SceneCache,
    settings: DecisionSettings,
    method: Settings,
    folder: Path,
) -> tuple[dict[str, Tensor], float]:
    """Decision modules under their names in a file, trained from the newest checkpoint in `folder` if there is one.

    The seconds that it took, over all starts, come second.

    Args:
        model: transformers' `LlavaForConditionalGeneration`; no weight of it changes.
        tokenizer: of its language model.
        cache: the training scenes.
        settings: of the training.
        method: its stages and the shares they keep.
        folder: where the checkpoint lies.
    """
    model.requires_grad_(False).eval()
    language = model.model.language_model
    width = language.config.hidden_size
    torch.manual_seed(settings.seed)
    stages = [DecisionModule(width, settings.heads, settings.hidden).to(model.device) for _ in method.layers]
    before = at_depth(method.layers, method.of, len(language.layers))

    def loss_of(step: int) -> tuple[Tensor, dict[str, float]]:
        rng = generator(settings.seed, "decisions", step)
        chosen = rng.integers(len(cache.scenes), size=settings.scenes_batch).tolist()
        drawn = [lessons(cache.scenes[i], _PLAN, 0.0, rng) for i in chosen]
        flat = [lesson for of_scene in drawn for lesson in of_scene]
        asked = prompts(tokenizer, flat)
        asked = Prompts(*(tensor.to(model.device) for tensor in (asked.ids, asked.question, asked.targets)))
        repeats = torch.tensor([len(of_scene) for of_scene in drawn], device=model.device)
        visual = _projected(model, np.stack([cache.pixels[i] for i in chosen])).repeat_interleave(repeats, dim=0)
        modules = {layer: dict(stage.tensors.items()) for layer, stage in zip(before, stages, strict=True)}
        states, kept = masked_answers(
            language, modules, visual, asked, tokenizer.bos_token_id, lambda x: gumbel(x, settings.temperature, rng)
        )
        there = asked.targets != _IGNORED
        logits, targets = model.lm_head(states[there]).float(), asked.targets[there]
        shares = torch.stack([of_stage.mean() for of_stage in kept])
        far = torch.stack([of_stage.mean(dim=1) for of_stage in kept]) - shares.new_tensor(method.keep)[:, None]
        loss = nn.functional.cross_entropy(logits, targets) + settings.share_weight * far.square().mean()
        values = {f"share {number}": float(share.detach()) for number, share in enumerate(shares)}
        return loss, values | {"token": float((logits.argmax(-1) == targets).float().mean())}

    def report(step: int, values: dict[str, float]) -> None:
        log.info("decisions %d %s", step, {name: round(value, 3) for name, value in values.items()})

    groups = tuple((stage, settings.rate) for stage in stages)
    phase = Phase("decisions", settings.steps, groups, warmup=min(50, settings.steps))
    seconds = run_phase(phase, {str(number): stage for number, stage in enumerate(stages)}, loss_of, folder, 50, report)
    trained = {
        f"{number}.{name}": tensor.detach().cpu().contiguous()
        for number, stage in enumerate(stages)
        for name, tensor in stage.tensors.items()
    }
    return trained, seconds


def save(decisions: Mapping[str, Tensor], target: Path) -> None:
    """Write trained modules where `pruning.lvpruning.Settings.weights` finds them."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target) as temporary:
        save_file(dict(decisions), temporary)


@torch.no_grad()
def _projected(model: Any, pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> Tensor:
    """[B, N, D] what the language model reads of pictures, uint8 [B, 224, 224, 3]."""
    mean, std = (torch.tensor(values)[:, None, None] for values in (IMAGE_MEAN, IMAGE_STD))
    scaled = (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255 - mean) / std
    inner = model.model
    features = inner.vision_tower(scaled.to(model.device), output_hidden_states=True).hidden_states[-2]
    projected: Tensor = inner.multi_modal_projector(features[:, 1:])
    return projected
