"""Whether a study's methods can act in its backbones: doors, signals, text towers and layers.

As in `validation`, raw values are read, and what has the wrong type is passed over: it is reported with the types.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from numbers import Integral
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from pruneproof import registry
from pruneproof.backbones import family_names
from pruneproof.backbones.checkpoints.depth import language_depth, tower_depth
from pruneproof.errors import PruneProofError, failure, of_method
from pruneproof.problems import Location, Problem, short
from pruneproof.pruning.protocol import Door, Kind, Method, Narrows, Reduces, Resizes, Selects, Signals, TextTowerName
from pruneproof.settings import MethodSettings

KINDS, DOORS, TOWERS = get_args(Kind), get_args(Door), get_args(TextTowerName)
BASES: Mapping[type, tuple[str, ...]] = {
    Resizes: ("input",), Reduces: ("tower",), Selects: ("before_connector", "after_connector"), Narrows: ("language",),
}  # fmt: skip
"""Doors of the class that a method derives from."""

_MANY = 10_000
"""Tokens, or layers, of a model in which every method acts."""
_COUNT, _LAYERS = 256, 32
"""A model by which budgets are looked at."""


def door_problems(methods: Mapping[str, Any], backbones: Mapping[str, Any]) -> Iterator[Problem]:
    """Methods at a door that a family does not have, that look at patches where there are none or at signals that the
    tower does not give, or at a text tower that a backbone does not name.

    Args:
        methods: raw values of `methods`.
        backbones: raw values of `backbones`.
    """
    families = {name: declared(own.get("family")) for name, own in backbones.items() if isinstance(own, dict)}
    for name, settings in methods.items():
        try:
            method = _method(settings)
        except OSError:  # reported with the layers
            continue
        except TypeError as error:
            yield Problem(("methods", name), f"{settings['method']}.py cannot be built: {error}")
            continue
        if method is None:
            continue
        if wrong := _misdeclared(name, method):
            yield Problem(("methods", name), f"{settings['method']}.py: {wrong}")
            continue
        users = _users(name, backbones)
        for backbone in users:
            if why := _refused(method, backbone, families[backbone]):
                yield Problem(("methods", name), f"{why}; {_remedy(backbone)}")
        lacking = [
            backbone
            for backbone, own in users.items()
            if own.get("control_text_tower") is None and not families[backbone].clipless
        ]
        if method.signals.text_tower == "control" and lacking:
            yield Problem(
                _where(name, methods[name], "control"),
                f"'control', but {', '.join(lacking)} names no `control_text_tower`: add it under `backbones`",
            )


def layer_problems(methods: Mapping[str, Any], backbones: Mapping[str, Any], root: Path) -> Iterator[Problem]:
    """Layers that a method names and a local checkpoint lacks, going by its config alone.

    Args:
        methods: raw values of `methods`.
        backbones: raw values of `backbones`.
        root: the project's root.
    """
    for name, settings in methods.items():
        try:
            method = _method(settings)
        except TypeError:  # reported with the doors
            continue
        except OSError as error:
            yield Problem(("methods", name), _unreadable(error))
            continue
        if method is None or _misdeclared(name, method):  # reported with the doors
            continue
        if method.signals.weights and not (root / method.signals.weights).is_file():
            where = _where(name, settings, method.signals.weights)
            yield Problem(where, f"there is no file {root / method.signals.weights}: restore it, or name another")
        for backbone, own in _users(name, backbones).items():
            checkpoint = root / str(own.get("checkpoint"))
            yield from _tower_layers(name, settings, method, backbone, tower_depth(checkpoint))
            yield from _language_layers(name, method, backbone, language_depth(checkpoint))


def _refused(method: Method, backbone: str, family: Declared) -> str:
    """Why a method cannot act in a family; empty if it can."""
    if method.door in family.closed:
        return f"acts at the door {method.door!r}, which {backbone} does not have: {family.closed[method.door]}"
    if method.door == "after_connector" and method.signals.of_patches and family.mixing:
        return f"looks at patches after the connector, where {backbone} has none: {family.mixing}"
    if isinstance(method, Narrows) and method.renumbers and "renumbering" in family.lacking:
        return f"numbers the tokens that are left anew, which {backbone} cannot: {family.lacking['renumbering']}"
    for signal, layers in method.signals.by_name().items():
        if layers and signal in family.lacking:
            why = f"looks at `{signal}`, which {backbone} does not have: {family.lacking[signal]}"
            return f"{why}; take `atp_received`, which goes by the attention that tokens receive, or `random`"
    return ""


def _misdeclared(name: str, method: Method) -> str:
    """What a method says of itself that cannot be; empty for nothing. A misspelt door would act at another one."""
    if method.kind not in KINDS:
        return f"`kind` is {method.kind!r}; allowed: {', '.join(KINDS)}"
    if method.door not in DOORS:
        return f"`door` is {method.door!r}; allowed: {', '.join(DOORS)}"
    base, allowed = next(((base, doors) for base, doors in BASES.items() if isinstance(method, base)), (object, DOORS))
    if method.door not in allowed:
        return f"`door` is {method.door!r}, but what derives from `{base.__name__}` acts at {' or '.join(allowed)}"
    if not isinstance(method.title, str) or not method.title.strip():
        return f"`title` is {method.title!r}: give figures and tables a name"
    return _wrong_signals(method.signals) or _wrong_budget(name, method)


def _wrong_signals(signals: object) -> str:
    """What is wrong with what a method looks at; empty for nothing."""
    if not isinstance(signals, Signals):
        return f"`signals` is {short(signals)}: give a `Signals`"
    for field in fields(signals):
        value = getattr(signals, field.name)
        if isinstance(field.default, tuple):
            right = isinstance(value, tuple) and all(_is_whole(layer) for layer in value)
            how = f"a tuple of layers, such as ({value},)" if _is_whole(value) else "a tuple of layers, such as (-2,)"
        elif field.name == "text_tower":
            right, how = value in TOWERS, f"one of {', '.join(map(repr, TOWERS))}"
        else:
            right, how = type(value) is type(field.default), f"a {type(field.default).__name__}"
        if not right:
            return f"`signals` has {field.name}={short(value)}: give {how}"
    return ""


def _wrong_budget(name: str, method: Method) -> str:
    """What is wrong with the tokens that a method says it leaves; empty for nothing."""
    try:
        with of_method(name, method):
            budget: Any = method.budget(_COUNT, _LAYERS)
    except PruneProofError:  # of a method with more stages; reported with the layers
        return ""
    if budget is None:
        return ""
    listed = isinstance(budget, Sequence) and len(budget) == _LAYERS
    if not listed or not all(_is_whole(tokens) and 0 < tokens <= _COUNT for tokens in budget):
        return (
            f"`budget({_COUNT}, {_LAYERS})` is {short(budget)}: it must give {_LAYERS} whole numbers from 1 to "
            f"{_COUNT}, one for each layer"
        )
    return ""


def _is_whole(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _tower_layers(
    name: str, settings: Mapping[str, Any], method: Method, backbone: str, depth: int | None
) -> Iterator[Problem]:
    for layer in method.signals.layers if depth else ():
        if depth is not None and not -depth <= layer < depth:
            yield Problem(
                _where(name, settings, layer),
                f"{layer}, but the vision tower of {backbone} has {depth} layers: give 0 to {depth - 1}, or -{depth} "
                "to -1",
            )


def _language_layers(name: str, method: Method, backbone: str, depth: int | None) -> Iterator[Problem]:
    """A method inside the language model that has no room there, or would never act there and be the full model under
    another name."""
    if not isinstance(method, Narrows) or depth is None:
        return
    try:
        here, anywhere = method.budget(_MANY, depth), method.budget(_MANY, _MANY)
    except PruneProofError as error:
        yield Problem(("methods", name), f"cannot act in {backbone}: {error}")
        return
    if here and anywhere and min(here) == _MANY > min(anywhere):
        what = f"never drops a token in {backbone}, whose language model has {depth} layers: lower its layer"
        yield Problem(("methods", name), what)


def _method(settings: Any) -> Method | None:
    """The method of some raw settings; None where they are wrong.

    Raises:
        OSError: if building the method opens a file, and that fails.
        TypeError: if its class leaves out what a method must say.
    """
    name = settings.get("method") if isinstance(settings, dict) else None
    if name not in registry.module_names("pruneproof.pruning"):
        return None
    module = registry.load_module("pruneproof.pruning", name, "pruning method")
    try:
        own = {key: settings[key] for key in settings if key not in MethodSettings.model_fields}
        options = module.Settings.model_validate(own)
    except ValidationError:
        return None
    method: Method = module.build(options)
    return method


def _users(method: str, backbones: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The backbones that are run with a method."""
    known = {name: own for name, own in backbones.items() if isinstance(own, dict)}
    return {name: own for name, own in known.items() if _runs(method, own.get("methods"))}


def _runs(method: str, chosen: Any) -> bool:
    """Whether a backbone's raw `methods` have a method; whatever is no list is no choice."""
    return method in chosen if isinstance(chosen, list) else True


def family_problems(backbones: Mapping[str, Any]) -> Iterator[Problem]:
    """Text towers that a family needs and a backbone does not name, and what it names that the family has no use for.

    Args:
        backbones: raw values of `backbones`.
    """
    for name, own in backbones.items():
        family = own.get("family") if isinstance(own, dict) else None
        if family not in family_names():
            continue
        own_family = declared(family)
        if own.get("pixels") is not None and not own_family.resizes:
            what = f"{short(own['pixels'])}, but {family} reads pictures at sizes that its checkpoint gives: remove it"
            yield Problem(("backbones", name, "pixels"), what)
        if not own_family.clipless:
            if own.get("text_tower") is None:
                what = "is missing: give the open_clip name of the text tower that matches the vision tower"
                yield Problem(("backbones", name, "text_tower"), what)
            continue
        for key in ("text_tower", "control_text_tower"):
            if own.get(key) is not None:
                what = f"{short(own[key])}, but the vision tower of {family} is not CLIP's and has none: leave it out"
                yield Problem(("backbones", name, key), what)


@dataclass(frozen=True, slots=True)
class Declared:
    """What a family's module says that its models do not have."""

    closed: Mapping[str, str]
    """Doors, with the reason."""
    mixing: str
    """Why its connector's output is not patches."""
    lacking: Mapping[str, str]
    """Signals of the vision tower, with the reason."""
    resizes: bool
    """Whether each picture is read at a size of its own."""

    @property
    def clipless(self) -> bool:
        """Whether there is no space in which patches and questions can be compared."""
        return "aligned" in self.lacking


def declared(family: Any) -> Declared:
    """The constants of a family's module; none for an unknown one."""
    known = family in family_names()
    read = registry.constants("pruneproof.backbones.families", family) if known else {}
    return Declared(
        read.get("CLOSED_DOORS", {}), read.get("MIXING", ""), read.get("LACKING", {}), read.get("RESIZES", False)
    )


def _where(name: str, settings: Mapping[str, Any], value: Any) -> Location:
    """The option of a method that has some value, or the method."""
    option = next((key for key, own in settings.items() if own == value and type(own) is type(value)), None)
    return ("methods", name) if option is None else ("methods", name, option)


def _remedy(backbone: str) -> str:
    return f"give {backbone} a list `methods` without it"


def _unreadable(error: OSError) -> str:
    """What to say of a file that a method could not open."""
    return f"cannot read what it needs: {failure(error)}: restore it, or change the method's options"
