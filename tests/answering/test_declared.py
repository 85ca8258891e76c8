"""What a method looks at without saying so is refused alike on every family, and told what is right for that family."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.backbones._qwen_vl_checkpoint import save_qwen_vl

from pruneproof import backbones
from pruneproof.answering.declared import DeclaredTokens
from pruneproof.answering.doors import Picture, show
from pruneproof.backbones import Backbone
from pruneproof.errors import MethodError, PruneProofError, of_method
from pruneproof.pruning.protocol import Kept, Selects, Signals, Texts, VisualTokens
from pruneproof.settings import BackboneSettings

NONE = Signals()
Look = Callable[[VisualTokens, Texts], Any]
LOOKS: dict[str, tuple[Look, str, bool]] = {
    "cls_attention(-1)": (lambda tokens, _: tokens.cls_attention(-1), "cls_attention=(-1,)", False),
    "joined_attention(-2)": (lambda tokens, _: tokens.joined_attention(-2), "joined_attention=(-2,)", False),
    "aligned(-1)": (lambda tokens, _: tokens.aligned(-1), "aligned=(-1,)", False),
    "projected(0)": (lambda tokens, _: tokens.projected(0), "projected=(0,)", False),
    "questions in CLIP space": (lambda _, texts: texts.in_clip, "aligned=(-1,)", False),
    "received_attention(-1)": (lambda tokens, _: tokens.received_attention(-1), "received_attention=(-1,)", True),
    "keys(-1)": (lambda tokens, _: tokens.keys(-1), "keys=(-1,)", True),
    "places": (lambda tokens, _: tokens.places, "patches=True", True),
    "tower_features": (lambda tokens, _: tokens.tower_features, "patches=True", True),
}
"""What is looked at: how, how it is declared, and whether Qwen has it too."""


@dataclass(frozen=True)
class Mine(Selects):
    """Somebody's first method."""

    look: Look
    door: Any = "before_connector"
    signals: Any = NONE
    title = "Mine"
    kind = "control"

    def budget(self, count: int, layers: int) -> None:
        return None

    def select(self, tokens: VisualTokens, texts: Texts, rng: np.random.Generator) -> list[Kept]:
        self.look(tokens, texts)
        return [Kept(torch.arange(2))]


@pytest.fixture(scope="module")
def llava(llava_settings: BackboneSettings, llava_root: Path) -> Backbone:
    return backbones.load(llava_settings, llava_root, "cpu")


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    root = tmp_path_factory.mktemp("declared")
    save_qwen_vl(root / "qwen")
    return backbones.load(BackboneSettings(family="qwen2_5_vl", checkpoint="qwen"), root, "cpu")


def shown(backbone: Backbone, method: Mine) -> None:
    (tokens,) = backbone.encode([Image.effect_noise((80, 80), 90).convert("RGB")])
    show(backbone, method, [Picture(tokens, ("is it?",), partial(np.random.default_rng, 0))])


@pytest.mark.parametrize("door", ["before_connector", "after_connector"])
@pytest.mark.parametrize("what", LOOKS)
def test_the_rule_is_the_same_on_every_family(llava: Backbone, qwen: Backbone, what: str, door: str) -> None:
    look, how, both = LOOKS[what]
    for backbone, there in ((llava, True), (qwen, both)):
        with pytest.raises(MethodError) as error:
            shown(backbone, Mine(look, door))
        said = str(error.value)
        assert said.startswith(f"looks at {what} and does not say so in its `signals`")
        assert f"add `{how}`" in said
        assert ("this backbone does not have it: its vision tower " in said) != there
        assert ("a list `methods` without it" in said) != there
        # Nobody is told to take what the family has not.
        assert "atp_received" not in said


@pytest.mark.parametrize("door", ["before_connector", "after_connector"])
def test_what_is_declared_is_given_as_it_is(llava: Backbone, door: str) -> None:
    signals = Signals(
        cls_attention=(-1,), joined_attention=(-2,), aligned=(-1,), projected=(0,), received_attention=(-1,),
        keys=(-1,), patches=True,
    )  # fmt: skip
    (tokens,) = llava.encode([Image.effect_noise((80, 80), 90).convert("RGB")])
    declared = DeclaredTokens(tokens, signals, {})
    for what, (look, _, _) in LOOKS.items():
        shown(llava, Mine(look, door, signals))
        if "questions" not in what:
            none: Any = None
            assert torch.equal(look(declared, none), look(tokens, none))
    for name in ("count", "start", "size"):
        assert getattr(declared, name) == getattr(tokens, name)
    for name in ("origin", "features", "cls"):
        assert torch.equal(getattr(declared, name), getattr(tokens, name))


def test_another_layer_than_the_declared_one_is_refused(llava: Backbone) -> None:
    method = Mine(lambda tokens, _: tokens.keys(0), signals=Signals(keys=(-1,)))
    told = r"^method 'mine_25' \(test_declared.py\) looks at keys\(0\) "
    with pytest.raises(PruneProofError, match=told), of_method("mine_25", method):
        shown(llava, method)
