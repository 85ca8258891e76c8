"""How a built-in model is trained: `data/backbones/<name>.yaml` as frozen, typed models."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pruneproof.settings import Frozen, Share

Count = Annotated[int, Field(ge=1)]


class TowerSettings(Frozen):
    """Shape and training of the CLIP pair."""

    width: Count = 192
    layers: Count = 6
    head_width: Count = 32
    embedding: Count = 128
    """Dimension of CLIP space."""
    text_width: Count = 128
    text_layers: Count = 2
    context_length: Count = 40
    window: Count = 6
    """Side in patches of the windows of the first phase."""
    window_batch: Count = 40
    window_steps: Count = 1800
    image_batch: Count = 16
    image_steps: Count = 500
    contrastive_batch: Count = 96
    contrastive_steps: Count = 250
    """Last phase of the pair: open_clip's loss alone, no training aid."""
    consistency_steps: Annotated[int, Field(ge=0)] = 0
    """Steps in which a copy of the tower learns to see in varied pictures what the tower sees in clean ones; 0 for a
    tower that knows one light, one lens and one sensor."""
    consistency_batch: Count = 16
    consistency_clean: Annotated[int, Field(ge=0)] = 4
    """Pictures of a batch that are left clean."""
    consistency_cut: Annotated[int, Field(ge=0)] = 2
    """Pictures of a batch that both towers see a part of."""
    consistency_rate: Annotated[float, Field(gt=0)] = 1e-3
    unmatched: bool = False
    """Whether a second pair is trained apart from another beginning, for the method that uses its text tower."""
    rate: Annotated[float, Field(gt=0)] = 1e-3
    image_rate: Annotated[float, Field(gt=0)] = 4e-4


class LanguageSettings(Frozen):
    """Shape and training of the projector and language model."""

    width: Count = 192
    layers: Count = 4
    heads: Count = 6
    feed_forward: Count = 512
    batch: Count = 6
    steps: Count = 8000
    rate: Annotated[float, Field(gt=0)] = 1.5e-3
    decay_share: Share = 0.4
    """The learning rate falls to zero over this last share of the steps."""
    short_only: Count = 400
    """Steps at the start that ask short forms alone: among whole questions a language model finds no start."""
    short_until: Count = 1100
    """Step at which the short forms have faded out."""
    later_plan: Count = 2200
    """Step from which fewer questions ask what is learnt first (existence, colour) and more ask for place and number.
    """
    matched_heads: Annotated[int, Field(ge=0)] = 0
    """Heads of the first layer whose keys start equal to their queries, so that a word attends to patches like it."""
    place: bool = False
    """Whether short forms ask for sides and relations too, from the first step on and to the end."""
    state_bound: Annotated[float, Field(ge=0)] = 0.0
    """Deviation of a token's state after each layer from which on a loss holds it back; 0 for no bound. A word whose
    state grows large hears nothing of place, which attention adds with a deviation of about one."""
    bfloat16: bool = False
    """Whether layers compute in bfloat16 while they are trained; weights and losses stay float32."""
    alignment_share: Share = 0.6
    """The alignment aid is off for all steps past this share."""
    alignment_weight: float = 0.4
    noise: float = 0.4
    """Share of questions with typos, dropped words or added sentences."""
    dialogue_steps: Annotated[int, Field(ge=0)] = 0
    """Steps after all others in which questions also come one after the other, each with the earlier ones and their
    answers before it; 0 for a model that is asked single questions only."""
    dialogue_rate: Annotated[float, Field(gt=0)] = 4e-4
    """Learning rate at the beginning of these steps; it falls linearly to 2%."""
    settle_steps: Annotated[int, Field(ge=0)] = 0
    """Last steps, on the features of the finished tower, of clean and of varied pictures in turn; 0 for a model that
    knows clean pictures only. Questions come as in the steps of dialogues."""
    settle_rate: Annotated[float, Field(gt=0)] = 3e-4
    """Learning rate at the beginning of these steps; it falls linearly to 2%."""


class ConnectorSettings(Frozen):
    """Shape of a Q-Former or a perceiver resampler; LLaVA's projector has none of these."""

    outputs: Annotated[int, Field(ge=24)] = 32
    """Queries or latents; at least one for each class, because of the training aid."""
    layers: Count = 3
    heads: Count = 6
    every: Count = 1
    """Decoder layers from one cross-attention to the next (Flamingo)."""


class TrainingSettings(Frozen):
    """One built-in model's training."""

    family: Literal["llava", "blip2", "flamingo"] = "llava"
    tower_from: str | None = None
    """Built-in model whose finished CLIP pair and tokenizer are used; None to train them."""
    seed: int = 7
    remark: str = ""
    """What a reader of the model card must know about this training beyond its settings."""
    scenes: Count = 10000
    validation: Count = 400
    vocabulary: Count = 900
    tower: TowerSettings = TowerSettings()
    connector: ConnectorSettings = ConnectorSettings()
    language: LanguageSettings = LanguageSettings()
