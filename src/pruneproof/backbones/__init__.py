"""Vision-language models: one module per family, one protocol for all; a family knows nothing of methods or benchmarks.

A member exposes `load(settings, root, device) -> Backbone` and `patch_boxes(settings, root) -> PatchBoxes`. Modules
with a leading underscore, `text_towers` and `builtin` are not families.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

from pruneproof import registry
from pruneproof.settings import BackboneSettings

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from pruneproof.backbones._patch_boxes import PatchBoxes

History: TypeAlias = tuple[tuple[str, str], ...]
"""Earlier turns of a dialogue on one image, oldest first: (question, answer)."""

NOT_FAMILIES = ("builtin", "text_towers")


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model generated."""

    text: str
    """Greedy answer without special tokens, stripped."""
    yes_logit: float
    """Logit of the answer `yes` at the first generated position."""
    no_logit: float


@dataclass(frozen=True, slots=True)
class Components:
    """The work that follows the selection for one question, cut into parts that can be counted one by one."""

    work: Mapping[str, Callable[[], object]]
    """`connector`, `prefill`, and `decode` of one further token; to be called in this order."""
    kv_cache_bytes: int
    """Keys and values that the prompt leaves in the language model."""


class EncodedImage(Protocol):
    """One image as the vision tower leaves it; also what pruning methods look at (`pruning.VisualTokens`)."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the picture in pixels; some families lay their visual tokens out by it."""
        ...

    @property
    def count(self) -> int:
        """Number N of visual tokens."""
        ...

    @property
    def features(self) -> Tensor:
        """[N, D] patch features as the connector receives them."""
        ...

    @property
    def unprunable(self) -> Tensor:
        """[M, D] tokens that the connector reads whatever a method keeps: CLS in BLIP-2 and Flamingo, none in LLaVA."""
        ...

    def attention(self, layer: int) -> Tensor:
        """[N] CLS attention of a layer, mean over heads."""
        ...

    @property
    def aligned(self) -> Tensor:
        """[N, E] unit-length patches in CLIP space."""
        ...

    def relevance(self, questions: Sequence[str], matched: bool = True) -> Tensor:
        """[Q, N] cosine similarity of patch and question in CLIP space; not `matched`: by the control text tower."""
        ...


class Backbone(Protocol):
    """A loaded model."""

    @property
    def device(self) -> str:
        """The torch device that it computes on."""
        ...

    def encode(self, images: Sequence[Image]) -> list[EncodedImage]:
        """Run the vision tower once on each image."""
        ...

    def embed_text(self, questions: Sequence[str], matched: bool = True) -> Tensor:
        """[Q, E] questions in CLIP space; remembered until `forget`."""
        ...

    def forget(self) -> None:
        """Drop remembered text embeddings, so that measurements include them."""
        ...

    def components(self, image: EncodedImage, question: str, kept: Tensor) -> Components:
        """Connector, prefill and decode of one question with the kept tokens [1, K], each as one call."""
        ...

    def answer(
        self,
        images: Sequence[EncodedImage],
        questions: Sequence[str],
        kept: Tensor,
        max_new_tokens: int,
        histories: Sequence[History] = (),
    ) -> list[Reply]:
        """Answer questions greedily; what several of them see of an image is read once.

        Args:
            images: from `encode`; one for each question, or a single one that all of them are asked on.
            questions: Q questions, without prompt template.
            kept: int64 [Q, K], or [1, K] for the same tokens in every question; indices into `features`, ascending.
            max_new_tokens: longest answer.
            histories: what was said before each question; empty if nothing was said before any of them. The image
                comes before the first turn, and no other image is shown.
        """
        ...


def families() -> tuple[str, ...]:
    """Names of the families, without importing any."""
    return registry.module_names("pruneproof.backbones", NOT_FAMILIES)


def load(settings: BackboneSettings, root: Path, device: str) -> Backbone:
    """Load the backbone of some settings.

    Args:
        settings: of params.yaml.
        root: the project's root, to which local checkpoint folders are relative.
        device: a torch device.

    Raises:
        PruneProofError: naming the missing or wrong file, and how to fix it.
    """
    module = registry.load_module("pruneproof.backbones", settings.family, "backbone family", NOT_FAMILIES)
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
    module = registry.load_module("pruneproof.backbones", settings.family, "backbone family", NOT_FAMILIES)
    boxes: PatchBoxes = module.patch_boxes(settings, root)
    return boxes
