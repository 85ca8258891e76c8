"""The built-in LLaVA: a CLIP vision tower converted from open_clip, a projector and a small Llama."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import (
    CLIPImageProcessorPil,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

from pruneproof.backbones.clip.layout import vision_tower_state
from pruneproof.training.clip_model import IMAGE_MEAN, IMAGE_STD, place_loss
from pruneproof.training.dialogues import Dialogue
from pruneproof.training.packing import pack, packed_states
from pruneproof.training.scene_cache import SceneCache
from pruneproof.training.settings import TrainingSettings
from pruneproof.training.students import About, Glimpse, Predictions
from pruneproof.training.students._initial import match_heads, scale_linear_layers, set_generation
from pruneproof.training.students._words import Words, cosines
from pruneproof.training.tokenizer import IMAGE, chat_template, token_ids

PREFIX = 257
"""`<s>` and 256 visual tokens."""


ABOUT = About(
    "A real, small `LlavaForConditionalGeneration`: CLIP vision tower (patch 14, 224 pixels, 256 visual tokens), "
    "projector and Llama.",
    feature_layer=-2,
    aids=(
        "The projector's first layer starts as a whitening of the tower's features in which place is made louder.",
        "Short forms such as `colour car`: alone for the first {short_only} steps of language training, faded out by "
        "step {short_until}.",
        "An alignment loss that draws a projected patch to the embeddings of class and colour, and one that keeps its "
        "place loud in 32 channels, off after {aligned} steps.",
        "`count cars`, answered at the noun, as a curriculum for counting, in all of the language phase.",
        "`Which side is the car on?` as a curriculum for relations, likewise; the benchmark never asks it.",
        "From step {later} fewer questions ask for existence and colour and more for number and place, `side car` "
        "among them, answered at the noun.",
        "The keys of {heads} heads of the first language layer start equal to their queries and large, so that a word "
        "attends to patches like it from the start; they are free afterwards.",
    ),
    demands={
        "existence/singular": 94.0,
        "existence/plural": 94.0,
        "colour": 95.0,
        "relation/holds/horizontal": 85.0,
        "relation/choice/horizontal": 85.0,
        "relation/holds/vertical": 85.0,
        "relation/choice/vertical": 85.0,
        "count": 60.0,
    },
)

_PLACE_AMPLITUDE = 1.2
"""Less than in the tower: what place takes, the names of objects lose."""


class LlavaStudent:
    """Projector and Llama; implements `Student`."""

    def __init__(self, model: LlavaForConditionalGeneration, tokenizer: PreTrainedTokenizerFast) -> None:
        self.model: Any = model
        self.tokenizer, self.words = tokenizer, Words(tokenizer)

    def trained(self) -> dict[str, nn.Module]:
        """Projector, language model and its head."""
        inner = self.model.model
        return {
            "projector": inner.multi_modal_projector,
            "language": inner.language_model,
            "head": self.model.lm_head,
        }

    def read(self, features: Tensor) -> Tensor:
        """Projected patches [B, 256, W]."""
        projected: Tensor = self.model.model.multi_modal_projector(features[:, 1:])
        return projected

    def predict(self, visual: Tensor, dialogues: Sequence[Sequence[Dialogue]]) -> Predictions:
        """Answers, an image's dialogues packed after one reading of it."""
        language = self.model.model.language_model
        start = language.embed_tokens.weight[self.tokenizer.bos_token_id].expand(len(visual), 1, -1)
        packed = pack(self.tokenizer, dialogues, PREFIX).to(str(visual.device))
        states = packed_states(language, torch.cat([start, visual], dim=1), language.embed_tokens, packed)
        return packed.predictions(self.model.lm_head, states)

    def aid(self, visual: Tensor, cache: SceneCache, chosen: Sequence[int], rng: np.random.Generator) -> Tensor:
        """A projected patch keeps its place loud, and is near the embeddings of the class and the colour it shows.

        Patches that show more than one, or none, are left out; singular and plural take turns at random.
        """
        loss = place_loss(visual, _PLACE_AMPLITUDE)
        embed = self.model.model.language_model.embed_tokens
        for labels, words in (
            (cache.nouns, self.words.nouns[int(rng.integers(2))]),
            (cache.colours, self.words.colours),
        ):
            truth = torch.from_numpy(np.stack([labels[i] for i in chosen])).to(visual.device)
            one = truth.sum(-1) == 1
            loss = loss + nn.functional.cross_entropy(cosines(visual[one], words, embed), truth[one].argmax(-1))
        return loss


def student(
    settings: TrainingSettings,
    clip_state: Mapping[str, Tensor],
    tokenizer: PreTrainedTokenizerFast,
    glimpse: Glimpse,
) -> LlavaStudent:
    """A LLaVA with the trained tower and a fresh projector and language model.

    Args:
        settings: shapes.
        clip_state: state of the open_clip model whose image half becomes the tower.
        tokenizer: of the language model.
        glimpse: some scenes.
    """
    model = _build(settings, clip_state, len(tokenizer), token_ids(tokenizer))
    language = model.model.language_model
    for root in (language, nn.ModuleDict({"head": model.lm_head})):
        scale_linear_layers(root, len(language.layers))
    with torch.no_grad():
        language.embed_tokens.weight.normal_(0.0, 0.3)
    match_heads(language.layers[0].self_attn, settings.language.matched_heads)
    whiten_projector(model, glimpse.features[:, 1:])
    return LlavaStudent(model, tokenizer)


def processor(settings: TrainingSettings, tokenizer: PreTrainedTokenizerFast) -> Any:
    """What turns pictures and conversations into the model's inputs."""
    del settings
    make: Any = LlavaProcessor
    return make(
        image_processor=CLIPImageProcessorPil(
            size={"shortest_edge": 224},
            crop_size={"height": 224, "width": 224},
            image_mean=list(IMAGE_MEAN),
            image_std=list(IMAGE_STD),
        ),
        tokenizer=tokenizer,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        image_token=IMAGE,
        chat_template=chat_template(IMAGE),
    )


def _build(
    settings: TrainingSettings, clip_state: Mapping[str, Tensor], vocabulary: int, ids: Mapping[str, int]
) -> LlavaForConditionalGeneration:
    tower, language = settings.tower, settings.language
    vision = CLIPVisionConfig(
        hidden_size=tower.width,
        intermediate_size=4 * tower.width,
        num_hidden_layers=tower.layers,
        num_attention_heads=tower.width // tower.head_width,
        image_size=224,
        patch_size=14,
        hidden_act="gelu",
        projection_dim=tower.embedding,
    )
    text = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=language.width,
        intermediate_size=language.feed_forward,
        num_hidden_layers=language.layers,
        num_attention_heads=language.heads,
        num_key_value_heads=language.heads,
        max_position_embeddings=1024,
        pad_token_id=ids["pad"],
        bos_token_id=ids["bos"],
        eos_token_id=ids["eos"],
        tie_word_embeddings=False,
        # As in today's Llamas: with 10,000 most channels turn between a word and a patch 200 positions before it.
        rope_parameters={"rope_type": "default", "rope_theta": 1e6},
    )
    config = LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=ids["image"],
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
        tie_word_embeddings=False,
    )
    model = LlavaForConditionalGeneration(config)
    model.model.vision_tower.load_state_dict(vision_tower_state(clip_state))
    set_generation(model, ids)
    return model


def whiten_projector(model: LlavaForConditionalGeneration, features: Tensor) -> None:
    """Initialise the projector's first layer: the tower's features evened out, and place made loud in them.

    A few directions hold most of the variance of a trained tower, and through a random first layer the rest would reach
    the language model too faint to be found. Whitening alone would make place faint again, for it has few directions.

    Args:
        model: its projector is changed in place.
        features: [N, 256, width] patch features of some images.
    """
    projector = model.model.multi_modal_projector
    flat = features.flatten(0, 1)
    mean = flat.mean(0)
    values, vectors = torch.linalg.eigh(torch.cov((flat - mean).T))
    even = (values + 0.2 * values.mean()).rsqrt()[:, None] * vectors.T
    whitened = (features - mean) @ even.T
    louder = _louder_place(whitened)
    width = projector.linear_1.out_features
    largest = max(width, len(mean))
    rotation = torch.linalg.qr(torch.randn(largest, largest))[0][:width, : len(mean)]
    weight = rotation @ louder @ even
    scale = ((flat - mean) @ weight.T).std()
    with torch.no_grad():
        projector.linear_1.weight.copy_(weight / scale)
        projector.linear_1.bias.copy_(-weight @ mean / scale)
        projector.linear_2.weight.normal_(0.0, projector.linear_2.in_features**-0.5 * 0.6)
        projector.linear_2.bias.zero_()


_PLACE_SHARE = 0.24
"""Share of the projector's input variance that place explains at the start: x and y about half of it each."""


def _louder_place(features: Tensor) -> Tensor:
    """The map [width, width] after which place explains `_PLACE_SHARE` of the variance of [N, 256, width] features."""
    grid = features.reshape(len(features), 16, 16, -1)
    means = torch.cat([axis - axis.mean(0) for axis in (grid.mean((0, 1)), grid.mean((0, 2)))])
    basis = torch.linalg.svd(means, full_matrices=False)[2][:6]
    centred = features - features.mean((0, 1))
    total = centred.square().sum(-1).mean()
    inside = (centred @ basis.T).square().sum(-1).mean()
    explained = 2 * (means @ basis.T).square().sum(-1).mean()
    room = explained - _PLACE_SHARE * inside
    gain = (_PLACE_SHARE * (total - inside) / room).sqrt() if room > 0 else features.new_tensor(4.0)
    louder: Tensor = torch.eye(features.shape[-1]) + (gain.clamp(1.0, 4.0) - 1) * basis.T @ basis
    return louder
