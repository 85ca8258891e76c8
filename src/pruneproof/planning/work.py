"""What a backbone has to compute in a study: once for all methods, and for each method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil, prod

from pruneproof import pruning
from pruneproof.backbones.flops.towers import clip_end, cls_row, text_tower
from pruneproof.errors import of_method
from pruneproof.planning import towers
from pruneproof.planning.amounts import Amount, Part, Work, added
from pruneproof.planning.asked import Asking
from pruneproof.planning.languages import Language, language
from pruneproof.planning.own_work import OwnWork, own_work
from pruneproof.planning.prompts import Prompts
from pruneproof.planning.readings import Pool, alone, narrowed, shared
from pruneproof.planning.shapes import Shape
from pruneproof.pruning.protocol import Method, Narrows, Selects, Signals, encodes_itself
from pruneproof.settings import MethodSettings
from pruneproof.stored import ROWS_PER_GROUP

_SHOWN = 15
"""Small operations on each selection: checking it, taking the kept tokens, noting where they come from."""
TEXTS_TOGETHER = 32
"""Texts of one forward of the text tower."""


@dataclass(frozen=True, slots=True)
class Running:
    """How a study is run; none of it changes an answer."""

    rows: int
    """Questions of one forward (PRUNEPROOF_BATCH)."""
    workers: int
    """Processes, each of which remembers its own texts."""
    kept_bytes: float
    """That encoded pictures may take (PRUNEPROOF_FEATURES_MB)."""


@dataclass(frozen=True, slots=True)
class BackboneWork:
    """All of one backbone."""

    together: Work
    """What methods share: encoding pictures, and embedding questions."""
    methods: Mapping[str, Work]
    """What each method takes by itself, by its id."""
    encoded_bytes: float
    """Of all encoded pictures, if all of them were kept."""
    encoded_again: float
    """Pictures that are encoded again because they were not kept."""

    @property
    def total(self) -> dict[Part, Amount]:
        """All parts."""
        return added([self.together, *self.methods.values()])


def backbone_work(
    shape: Shape,
    methods: Mapping[str, MethodSettings],
    asking: Mapping[bool, Asking],
    prompts: Prompts,
    running: Running,
) -> BackboneWork:
    """Count the work of a backbone.

    Args:
        shape: its sizes.
        methods: that it is run with.
        asking: what is asked of methods that look at the question (True) and of others.
        prompts: lengths of its prompts and answers.
        running: how.
    """
    model = language(shape)
    prompts = replace(prompts, before=prompts.before + shape.around)
    loaded = {name: pruning.load(chosen) for name, chosen in methods.items()}
    own: dict[str, OwnWork] = {}
    for name, method in loaded.items():
        with of_method(name, method):
            own[name] = own_work(method, shape, model.layers)
    signals = towers.usual(shape)
    for method in loaded.values():
        signals |= method.signals
    size = encoded_bytes(shape, signals)
    plain = [name for name, method in loaded.items() if not encodes_itself(method)]
    tables = sum(name not in plain for name in loaded) + bool(plain)
    shown, again = pictures_encoded(asking[True], size * tables, running.kept_bytes)
    together: dict[Part, Amount] = {"pictures read": Amount(items=asking_pictures(asking[True]))}
    if plain:
        together["vision tower"] = (_tower(shape) + _signals(shape, signals)) * (shown + again)
    if texts := [name for name in loaded if own[name].texts]:
        together["text tower"] = _texts(shape, asking[loaded[texts[0]].per_question], running.workers)
    works: dict[str, Work] = {}
    for name, method in loaded.items():
        looks = 2 if methods[name].rank_from == "clean" else 1
        asked = asking[method.per_question]
        works[name] = _method(shape, model, method, own[name], asked, prompts, running, looks, shown + again)
    return BackboneWork(together, works, size * tables * shown, again * tables)


def _method(
    shape: Shape,
    model: Language,
    method: Method,
    own: OwnWork,
    asking: Asking,
    prompts: Prompts,
    running: Running,
    looks: int,
    encoded: float,
) -> Work:
    """What one method takes by itself."""
    budget = method.budget(shape.tokens, model.layers) or (shape.tokens,) * model.layers
    works: list[Work] = []
    for one in asking.conditions:
        pools = [
            Pool(
                one.pictures, one.questions, prompts.before, prompts.question + one.turns * prompts.turn, prompts.steps
            )
        ]
        if one.captions:
            pools.append(Pool(one.pictures, one.captions, prompts.before, prompts.caption, prompts.caption_steps))
        for pool in pools:
            if not pool.questions:
                continue
            if isinstance(method, Narrows):
                read = narrowed(model, pool, budget, running.rows, shape.number_bytes)
                prefill = read.prefill * looks
            else:
                apart = isinstance(method, Selects) and method.per_question and method.budget(100, 1) != (100,)
                read = (alone if apart else shared)(model, pool, budget[0], running.rows, shape.number_bytes)
                prefill = read.prefill
            chosen = pool.questions if method.per_question else pool.pictures
            deciding = own.picture * pool.pictures + own.question * pool.questions
            if isinstance(method, Narrows):
                prefill, deciding = prefill + deciding, Amount()
            connected = pool.questions if method.per_question and model.visual is not None else pool.pictures
            works.append(
                {
                    "connector": _connector(shape, method, budget[0]) * connected,
                    "selection": deciding + Amount(operations=_SHOWN) * chosen,
                    "prefill": prefill,
                    "decode": read.decode,
                    "around": Amount(items=pool.questions),
                }
            )
    if own.tower is not None:
        works.append({"vision tower": own.tower * encoded * looks})
    return added(works)


def _tower(shape: Shape) -> Amount:
    """The vision tower on one picture; a batch is one forward where all pictures are one square."""
    together = ROWS_PER_GROUP if shape.layout is None and shape.crops == 1 else 1
    return Amount(towers.tower(shape), shape.tower_layers / together)


def _signals(shape: Shape, signals: Signals) -> Amount:
    """What is worked out for each picture, whoever looks at it."""
    vision, tokens, clip = shape.vision, shape.tokens, shape.clip.get("vision_cfg", {})
    wanted = signals.by_name()
    rows = len(wanted["cls_attention"]) + len(wanted["joined_attention"])
    total = rows * shape.crops * cls_row(vision) if rows else 0
    total += len(wanted["received_attention"]) * towers.received(shape) + len(wanted["keys"]) * towers.keys(shape)
    spaces = len(set(wanted["aligned"]) | set(wanted["projected"])) if shape.clip else 0
    # BLIP-2's tower ends before its CLIP does; the towers of others have all of its layers.
    lacking = int(clip.get("layers", shape.tower_layers)) - shape.tower_layers if shape.family == "blip2" else 0
    total += spaces * clip_end(vision, tokens, shape.space, max(0, lacking))
    return Amount(total, operations=12 * rows + 8 * spaces)


def _connector(shape: Shape, method: Method, kept: int) -> Amount:
    """The connector on one selection.

    A projector projects all patches of a picture once for everything that is asked about it, whatever is kept: that is
    what a run takes. What pruning before it spares a single question is counted in `answering.costs`.
    """
    narrower = shape.family in ("blip2", "flamingo") or encodes_itself(method)
    return towers.connector(shape, kept if narrower else None)


def _texts(shape: Shape, asking: Asking, workers: int) -> Amount:
    """The text tower on the questions of each picture; a process remembers those that it has embedded."""
    same = [one for one in asking.conditions if one.condition.family in ("clean", "image")]
    times = min(workers, len(same))
    texts = sum(one.questions for one in same[:1]) * times
    sets = sum(one.pictures for one in same[:1]) * times
    others = [one for one in asking.conditions if one not in same]
    texts += sum(one.questions for one in others) + sum(one.captions for one in asking.conditions)
    sets += sum(one.pictures for one in others) + sum(one.pictures for one in asking.conditions if one.captions)
    forwards = max(sets, ceil(texts / TEXTS_TOGETHER)) * shape.clip["text_cfg"]["layers"]
    return Amount(texts * text_tower(shape.clip), forwards)


def asking_pictures(asking: Asking) -> float:
    """Pictures that are read and decoded: each under each condition that asks about it."""
    return sum(one.pictures for one in asking.conditions)


def pictures_encoded(asking: Asking, each: float, kept: float) -> tuple[float, float]:
    """Pictures that pass the vision tower once, and those that pass it again because they were not kept.

    The oldest are deleted first: clean pictures, which reworded questions and dialogues show again, are gone by then
    if there is no room for all corrupted ones.

    Args:
        asking: what is shown.
        each: bytes of an encoded picture, of every method that encodes for itself and of all others together.
        kept: bytes that may be kept.
    """
    clean = sum(one.pictures for one in asking.conditions if one.condition.family == "clean")
    corrupted = sum(one.pictures for one in asking.conditions if one.condition.family == "image")
    later = [one.pictures for one in asking.conditions if one.condition.family in ("text", "dialogue") and one.pictures]
    if (clean + corrupted) * each <= kept or not later:
        return clean + corrupted, 0.0
    return clean + corrupted, later[0] if clean * each <= kept else sum(later)


def encoded_bytes(shape: Shape, signals: Signals) -> float:
    """Of one encoded picture with its signals."""
    tokens, width, space = shape.tokens, shape.width, shape.space
    sizes = {"keys": shape.vision.hidden_size, "aligned": space, "projected": space}
    rows = sum(sizes.get(name, 1) * len(layers) for name, layers in signals.by_name().items())
    return float(prod((tokens, width + rows, shape.number_bytes)))
