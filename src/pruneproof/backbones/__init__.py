"""Vision-language models: one protocol for all; a family knows nothing of methods or benchmarks.

`families` holds one module each, `checkpoints` how they are found and read, `clip` what CLIP towers share, and
`language` what language models share.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

from pruneproof import registry
from pruneproof.settings import BackboneSettings

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor, nn

    from pruneproof.backbones.clip.patch_boxes import PatchBoxes
    from pruneproof.backbones.clip.text_towers import ClipSpace
    from pruneproof.pruning.protocol import Kept, LanguageLayer, Signals, TowerLayer, VisualTokens

History: TypeAlias = tuple[tuple[str, str], ...]
"""Earlier turns of a dialogue on one image, oldest first: (question, answer)."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model generated."""

    text: str
    """Greedy answer without special tokens, stripped."""
    yes_logit: float
    """Logit of the answer `yes` at the first generated position."""
    no_logit: float
    sequence: int
    """Tokens of the prompt that the language model's first layer read, visual ones among them."""
    visual: tuple[int, ...]
    """Visual tokens that each layer read; of a model with cross-attention, what that reads."""
    left: tuple[int, ...] | None = None
    """Numbers among the shown tokens of those that the last layer read, ascending, merged ones left out; None if the
    language model dropped none."""


@dataclass(frozen=True, slots=True)
class Components:
    """The work that follows the selection for one question, cut into parts that can be counted one by one."""

    work: Mapping[str, Callable[[], object]]
    """`connector`, `prefill`, and `decode` of one further token; to be called in this order."""
    kv_cache_bytes: int
    """Keys and values that the prompt leaves in the language model."""


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """What the language model is given of one picture, after the connector and after every selection before it."""

    rows: Tensor
    """[K, W] its tokens: rows of the language model's own sequence, or what its cross-attention reads; with the columns
    that are set aside for later layers, if there are any."""
    origin: Tensor
    """int64 [K] number of the patch that each is, as of `VisualTokens.origin`."""
    size: tuple[int, int]
    """Width and height of the picture in pixels; some families lay their visual tokens out by it."""


@dataclass(frozen=True, slots=True)
class Reduction:
    """What is done to pictures inside the vision tower."""

    decide: Callable[[int, int, TowerLayer], Kept | None]
    """(number of the picture, layer, its patches there) -> what `protocol.Reduces.reduce` gives back."""
    proportional: bool = False
    """As of `protocol.Reduces`."""


@dataclass(frozen=True, slots=True)
class Narrowing:
    """What is done to prompts inside the language model."""

    decide: Callable[[int, int, LanguageLayer], Kept | None]
    """(number of the question, layer, its prompt there) -> what `protocol.Narrows.narrow` gives back."""
    renumbers: bool = False
    """As of `protocol.Narrows`."""
    weights: Mapping[str, Tensor] = field(default_factory=dict)
    """As of `protocol.LanguageLayer`."""


class Backbone(Protocol):
    """A loaded model; what it does between two doors is one function."""

    @property
    def device(self) -> str:
        """The torch device that it computes on."""
        ...

    @property
    def model(self) -> nn.Module:
        """All that it computes with, apart from CLIP's text towers."""
        ...

    @property
    def clip(self) -> ClipSpace | None:
        """Where patches and questions can be compared; None for a vision tower that is not CLIP's."""
        ...

    @property
    def usual(self) -> Signals:
        """Signals that most methods look at: they are kept with every encoded picture, whoever asks for it."""
        ...

    @property
    def layers(self) -> int:
        """Layers of the language model that visual tokens pass."""
        ...

    @property
    def weight_bytes(self) -> int:
        """Bytes of its weights in memory, apart from CLIP's text towers, which methods bring in."""
        ...

    @property
    def mixing(self) -> str:
        """Why what leaves the connector is not patches; empty if it passes them on one by one."""
        ...

    @property
    def lacking(self) -> Mapping[str, str]:
        """Signals that its visual tokens do not have, with the reason; as `LACKING` of its family."""
        ...

    @property
    def set_aside(self) -> int:
        """Last columns of what `connect` gives that methods do not see, because the language model does not read them
        at its input: some add them to the token in a later layer (DeepStack)."""
        ...

    def encode(
        self,
        images: Sequence[Image],
        side: Callable[[int], int] | None = None,
        reduction: Reduction | None = None,
    ) -> list[VisualTokens]:
        """Run the vision tower once on each image.

        Args:
            images: any pictures.
            side: for a method at the input: as `protocol.Resizes.side`.
            reduction: for a method inside the tower, whose signals are then not there.
        """
        ...

    def connect(self, read: Sequence[tuple[VisualTokens, Kept]]) -> list[Tensor]:
        """[L, W] what the connector makes of some of a picture's tokens, for each of them; see `set_aside`."""
        ...

    def words(self, question: str) -> Tensor:
        """[W, D] a question's tokens as the language model embeds them, without template and special tokens."""
        ...

    def answer(
        self,
        shown: Sequence[Shown],
        questions: Sequence[str],
        max_new_tokens: int,
        histories: Sequence[History] = (),
        narrowing: Narrowing | None = None,
    ) -> list[Reply]:
        """Answer questions greedily; what several of them see of a picture is read once.

        Args:
            shown: one for each question. The same object for several is what says that they see the same.
            questions: Q questions, without prompt template.
            max_new_tokens: longest answer.
            histories: what was said before each question; empty if nothing was said before any of them. The image
                comes before the first turn, and no other image is shown.
            narrowing: for a method inside the language model.
        """
        ...

    def components(
        self,
        read: tuple[VisualTokens, Kept],
        shown: Shown,
        question: str,
        narrowing: Narrowing | None = None,
    ) -> Components:
        """Connector, prefill and decode of one question, each as one call; arguments as of `connect` and `answer`."""
        ...


def family_names() -> tuple[str, ...]:
    """Names of the families, without importing any."""
    return registry.module_names("pruneproof.backbones.families")


def load(settings: BackboneSettings, root: Path, device: str) -> Backbone:
    """Load the backbone of some settings.

    Args:
        settings: of params.yaml.
        root: the project's root, to which local checkpoint folders are relative.
        device: a torch device.

    Raises:
        PruneProofError: naming the missing or wrong file, and how to fix it.
    """
    module = registry.load_module("pruneproof.backbones.families", settings.family, "backbone family")
    backbone: Backbone = module.load(settings, root, device)
    return backbone


def patch_boxes(settings: BackboneSettings, root: Path) -> PatchBoxes:
    """Where in a picture the visual tokens of a backbone lie, read without its weights.

    Args:
        settings: of params.yaml.
        root: the project's root, to which local checkpoint folders are relative.

    Returns:
        A function from a picture's width and height in pixels to its (N, 4) boxes, in the order of the tokens: left,
        top, right, bottom in pixels of the picture.

    Raises:
        PruneProofError: as `load` does for a checkpoint that cannot be read.
    """
    module = registry.load_module("pruneproof.backbones.families", settings.family, "backbone family")
    boxes: PatchBoxes = module.patch_boxes(settings, root)
    return boxes
