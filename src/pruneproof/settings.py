"""params.yaml as frozen, typed models.

Everything that changes a result is here and nothing that only changes speed: workers, batch size and device come from
the environment (see `pruneproof.machine`).
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Severity = Annotated[int, Field(ge=1, le=5)]
Share = Annotated[float, Field(gt=0.0, le=1.0)]
SelectBy = Literal["first", "last", "each"]
Identifier = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
"""Lower case, digits and `_`: DVC joins ids with `-`, so an id must not hold one. Ids become names of files."""


def _commit(value: str) -> str:
    if not re.fullmatch("[0-9a-f]{40}", value):
        raise ValueError("is not a commit (40 digits 0-9a-f); branches and tags can move, so give the commit they mean")
    return value


Commit = Annotated[str, AfterValidator(_commit)]
"""A whole Git commit."""

FEWEST = 2
"""Pictures of a study: fewer have no spread."""

Pixels = Annotated[int, Field(ge=1)]


def _ascending(limits: tuple[int, int]) -> tuple[int, int]:
    if limits[0] > limits[1]:
        raise ValueError("the least number comes first, and the most after it")
    return limits


class Frozen(BaseModel):
    """A model that refuses unknown keys and cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class StudySettings(Frozen):
    """What the study is called and where its seed starts."""

    name: Identifier
    """Name of the study; also the MLflow experiment."""
    root: str = "."
    """Folder of the project (its `src` and `data/backbones`), relative to the study's folder."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Every random stream of the study starts from this number."""


class BenchmarkSettings(Frozen):
    """Where images, questions and truth come from."""

    name: Identifier = "scenes"
    """A module of `pruneproof.benchmarks`."""
    images: Annotated[int, Field(ge=FEWEST, le=1_000_000)] | None = 40
    """Number of images, drawn from the study's seed where the benchmark has more; null for every one."""
    folder: str = ""
    """Where the files of its authors lie, relative to the study's folder; empty for benchmarks that read none."""
    on_bad_sample: Literal["error", "skip"] = "error"
    """What happens to a line or picture that cannot be used: it stops the study with its file and line, or it is left
    out, counted and reported."""
    options: dict[str, Any] = {}
    """Settings of that benchmark alone, validated by its own model."""


class ImagePerturbationSettings(Frozen):
    """Which image corruptions are made."""

    names: tuple[str, ...] = ()
    """Names of registered image perturbations; all of ImageNet-C's 15 are `corruptions` 1 to 15 of the package."""
    severities: tuple[Severity, ...] = (1, 3, 5)
    resolution: Literal["native", "model"] = "native"
    """`native` corrupts the stored image; `model` first resizes its shorter side to `model_pixels`.

    Recommended for pictures that are much larger than the model's input: blur and noise are made in pixels, and what
    the model then shrinks was corrupted less. Of 640 x 480 pictures, blur is 2.1 times weaker and noise comes out 0.7
    times as strong. Not for families that read larger pictures in more tokens, such as LLaVA-NeXT and Qwen: they would
    see less of a corrupted picture than of the clean one, which `locate_patches` tells.
    """
    model_pixels: Annotated[int, Field(ge=32, le=4096)] = 224
    """Side of the vision tower's input in pixels, to which the shorter side of a picture is resized; used with
    `resolution: model` only."""
    stored: bool = True
    """Whether corrupted pictures are written to disk, or made from the clean ones whenever they are asked about: the
    same pixels and answers, for computing them once for each backbone. `plan` says how much disk they take."""


class TextPerturbationSettings(Frozen):
    """Which question perturbations are made."""

    names: tuple[str, ...] = ()
    severities: tuple[Severity, ...] = (1, 3, 5)
    """Used by perturbations that grow with it (typos); others have 1 alone, `paraphrase_human` always 1, 2 and 3."""


class PerturbationSettings(Frozen):
    """Perturbations of both inputs; each acts alone, never both at once."""

    image: ImagePerturbationSettings = ImagePerturbationSettings()
    text: TextPerturbationSettings = TextPerturbationSettings()


class BackboneSettings(Frozen):
    """One vision-language model."""

    family: Identifier
    """A module of `pruneproof.backbones`, such as `llava`."""
    checkpoint: str
    """A local folder (relative to the project's root) or a hub name."""
    revision: Commit | None = None
    """Commit of a hub checkpoint, in full (40 digits); must be given for a hub name. A branch such as `main` or a tag
    is refused, because what it means can change, and the answers with it."""
    text_tower: str | None = None
    """open_clip name of the text tower that matches the vision tower: `ViT-L-14-336`, or a local folder. It must be
    given for a family whose vision tower is CLIP's, and left out for the others (such as `qwen3_vl`), which have
    no such space."""
    text_tower_pretrained: str | None = None
    """open_clip's pretrained tag, such as `openai`; None for a local folder."""
    allow_tower_mismatch: bool = False
    """Accept a `text_tower` that does not match the vision tower, so that S_inter may mean nothing; otherwise such a
    pair is refused."""
    control_text_tower: str | None = None
    """open_clip name or local folder of another CLIP of the same embedding dimension; only its text tower is used, by
    methods with `text_tower: control`."""
    control_text_tower_pretrained: str | None = None
    """open_clip's pretrained tag of that one; None for a local folder."""
    pixels: Annotated[tuple[Pixels, Pixels], AfterValidator(_ascending)] | None = None
    """Least and most pixels of a picture as its processor resizes it, for families that read pictures at a size of
    their own each (`qwen2_5_vl`, `qwen3_vl`); None for the limits in the checkpoint's files. The same number twice
    gives all pictures about as many visual tokens."""
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """Type in which the whole model is held and computes."""
    language_weights: Literal["dtype", "int8"] = "dtype"
    """`int8` holds the weights of the language model's linear layers (Idefics' cross-attention among them) as 8-bit
    whole numbers with a scale for each output channel, and multiplies them out in `dtype` on use: the weights take a
    quarter of the memory of float32, half that of float16, and FLOPs stay as they are. The output head, embeddings,
    norms, the vision tower and the connector stay in `dtype`. Loading still needs room for all weights in `dtype`."""
    prompt: Identifier | None = None
    """A record of `pruneproof.prompts`: how the checkpoint's authors put this benchmark to it. It sets the seven fields
    from `answer_conversion` to `max_caption_tokens`, none of which may then stand beside it; None to set them here."""
    answer_conversion: Identifier = "none"
    """What is done to an answer before a scorer reads it: a name of `scoring.conversions`."""
    chat_template: str | None = None
    """A Jinja template in the place of the checkpoint's own; None for that, or for the family's convention."""
    question_form: Literal["as_asked", "blip"] = "as_asked"
    """`blip` puts a question in lower case, drops the marks . ! " ( ) * # : ; ~ and cuts it to 50 words, as LAVIS does.
    """
    question_suffix: str = ""
    """Added to every question except captions, such as LLaVA's `Answer the question using a single word or phrase.`"""
    caption_prompt: str = ""
    """Overrides the benchmark's caption prompt if not empty."""
    max_new_tokens: Annotated[int, Field(ge=1, le=4096)] = 8
    max_caption_tokens: Annotated[int, Field(ge=1, le=4096)] = 64
    methods: Annotated[tuple[Identifier, ...], Field(min_length=1)] | None = None
    """Ids of the methods that it is run with, `scoring.baseline` among them; None for all."""


class MethodSettings(BaseModel):
    """One pruning method with its own options; the options are validated by the method's own model."""

    model_config = ConfigDict(extra="allow", frozen=True)

    method: Identifier
    """A module of `pruneproof.pruning`."""
    rank_from: Literal["shown", "clean"] = "shown"
    """The picture that the method looks at: the one that is shown, or its clean original, while the model reads the one
    that is shown. What is lost with `shown` and not with `clean` is lost by ranking."""

    @property
    def options(self) -> dict[str, Any]:
        """The method's own keys."""
        return dict(self.model_extra or {})


class DialogueSettings(Frozen):
    """Consecutive questions on one image, asked on clean images in their clean words; an image with fewer questions
    than turns is left out."""

    turns: Annotated[int, Field(ge=2, le=5)] = 3
    """Questions of one dialogue; the built-in models know up to 4."""
    select_by: tuple[SelectBy, ...] = ()
    """Which question a method selects visual tokens by, each a condition at every turn: the `first` of the dialogue
    (the image is read once), its `last` (the image is read once, all questions being known), or `each` turn's own (the
    image is read again at every turn). Empty for no dialogues."""


class AnsweringSettings(Frozen):
    """What is asked under which condition."""

    caption_conditions: tuple[str, ...] = ("clean",)
    """Condition ids (`clean`, `gaussian_noise_3`) under which captions are generated; other kinds are always asked."""
    dialogues: DialogueSettings = DialogueSettings()


class ScoringSettings(Frozen):
    """Statistics."""

    kinds: tuple[Identifier, ...] = ()
    """Kinds of question that enter `accuracy/all`, and with it drops, contrasts and claims: leave out what the backbone
    cannot do on clean images. Empty for all of them. Every kind still has its own row."""
    resamples: Annotated[int, Field(ge=100, le=1_000_000)] = 2000
    """Bootstrap resamples, for all intervals but those of mean differences; images are drawn with all their questions.
    """
    confidence: Annotated[float, Field(gt=0.5, lt=1.0)] = 0.95
    margin: Annotated[float, Field(gt=0.0, le=100.0)] = 1.0
    """Non-inferiority margin for accuracy, in percentage points."""
    baseline: Identifier = "full"
    """Method whose answers are the reference of every paired difference."""
    flops_at_most: Share = 0.65
    """Share of the full model's FLOPs, in (0, 1], that one would spend: the report says which of the methods that cost
    no more to pick."""
    primary: tuple[Identifier, ...] = ()
    """Methods whose effective robustness and difference in drops, over all live conditions of a family, are primary:
    Holm's correction runs over them, separately for each of the two."""


class CostSettings(Frozen):
    """How costs are measured."""

    images: Annotated[int, Field(ge=1, le=1_000_000)] = 4
    """Images used for latency."""
    repeats: Annotated[int, Field(ge=3, le=100_000)] = 15
    """Timed rounds; in each, every method is run once, in turn."""


class ReportSettings(Frozen):
    """What the report shows."""

    examples: Annotated[int, Field(ge=0, le=1_000)] = 3
    """Scenes shown with their kept patches."""


class Study(Frozen):
    """The whole of params.yaml."""

    study: StudySettings
    benchmark: BenchmarkSettings = BenchmarkSettings()
    perturbations: PerturbationSettings = PerturbationSettings()
    backbones: dict[Identifier, BackboneSettings]
    methods: dict[Identifier, MethodSettings]
    answering: AnsweringSettings = AnsweringSettings()
    scoring: ScoringSettings = ScoringSettings()
    costs: CostSettings = CostSettings()
    report: ReportSettings = ReportSettings()

    def methods_of(self, backbone: str) -> dict[str, MethodSettings]:
        """The methods that a backbone is run with, in the order of `methods`."""
        chosen = self.backbones[backbone].methods
        return {name: settings for name, settings in self.methods.items() if chosen is None or name in chosen}
