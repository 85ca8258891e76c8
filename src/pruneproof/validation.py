"""What the types of params.yaml cannot tell: names that must exist, options of one method, references between parts.

Every check reads the raw values and passes over what has the wrong type, which is reported with the types.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pruneproof import prompts, registry
from pruneproof.backbones import family_names
from pruneproof.backbones.checkpoints.kinds import local_fault
from pruneproof.method_checks import door_problems, family_problems, layer_problems
from pruneproof.perturbations import images, text
from pruneproof.problems import Location, Problem, model_problems, short, suggestion
from pruneproof.reading_sizes import pixel_problems
from pruneproof.scoring.conversions import CONVERSIONS
from pruneproof.settings import MethodSettings, Study


def semantic_problems(values: Any) -> list[Problem]:
    """Everything wrong with the values of params.yaml that its types do not show."""
    checks = (_benchmark, _perturbations, _backbones, _methods, _doors, _captions, _scoring)
    return [problem for check in checks for problem in check(values)]


def checkpoint_problems(values: Any, folder: Path) -> list[Problem]:
    """Local checkpoints of another family, what the values ask of them that they lack, going by their configs alone,
    and files that a method needs and that cannot be read.

    Args:
        values: of params.yaml.
        folder: of the study, to which the project's root is relative.
    """
    root = folder / str(_at(values, "study", "root") or ".")
    methods, backbones = _mapping(values, "methods"), _mapping(values, "backbones")
    faults = [*_family_of_checkpoints(backbones, root), *pixel_problems(backbones, root)]
    return [*faults, *layer_problems(methods, backbones, root)]


def _family_of_checkpoints(backbones: dict[str, Any], root: Path) -> Iterator[Problem]:
    for name, own in backbones.items():
        family, checkpoint = _at(own, "family"), _at(own, "checkpoint")
        if not isinstance(family, str) or not isinstance(checkpoint, str):
            continue
        if what := local_fault(family, checkpoint, root / checkpoint):
            yield Problem(("backbones", name, "family"), what)


def _at(values: Any, *where: str) -> Any:
    """The value at a location, or None where any part of the way is missing or of another type."""
    for part in where:
        values = values.get(part) if isinstance(values, dict) else None
    return values


def _mapping(values: Any, *where: str) -> dict[str, Any]:
    found = _at(values, *where)
    return {str(key): value for key, value in found.items()} if isinstance(found, dict) else {}


def _names(values: Any, *where: str) -> list[tuple[int, str]]:
    found = _at(values, *where)
    return [(i, name) for i, name in enumerate(found) if isinstance(name, str)] if isinstance(found, list) else []


def _known(where: Location, name: Any, known: Iterable[str], noun: str) -> Iterator[Problem]:
    allowed = list(known)
    if isinstance(name, str) and name not in allowed:
        yield Problem(where, f"unknown {noun} {short(name)}{suggestion(name, allowed)}")


def _benchmark(values: Any) -> Iterator[Problem]:
    name = _at(values, "benchmark", "name") or "scenes"
    known = registry.module_names("pruneproof.benchmarks")
    yield from _known(("benchmark", "name"), name, known, "benchmark")
    if isinstance(name, str) and name in known:
        module = registry.load_module("pruneproof.benchmarks", name, "benchmark", needs=("Options", "build"))
        yield from model_problems(module.Options, _mapping(values, "benchmark", "options"), ("benchmark", "options"))


def _perturbations(values: Any) -> Iterator[Problem]:
    for family, known in (("image", images.registered()), ("text", text.registered())):
        for index, name in _names(values, "perturbations", family, "names"):
            yield from _known(("perturbations", family, "names", index), name, known, f"{family} perturbation")
        for key in ("names", "severities"):
            yield from _repeated(values, "perturbations", family, key)


def _repeated(values: Any, *where: str) -> Iterator[Problem]:
    found = _at(values, *where)
    if isinstance(found, list):
        for value, count in Counter(map(repr, found)).items():
            if count > 1:
                yield Problem(where, f"{value[:80]} is given {count} times: give it once")


def _backbones(values: Any) -> Iterator[Problem]:
    backbones = _mapping(values, "backbones")
    if _at(values, "backbones") == {}:
        yield Problem(("backbones",), "is empty: give at least one backbone")
    for name, settings in backbones.items():
        yield from _known(("backbones", name, "family"), _at(settings, "family"), family_names(), "backbone family")
        yield from _prompt(settings, ("backbones", name))
        yield from _own_methods(values, name)


def _prompt(backbone: Any, where: Location) -> Iterator[Problem]:
    """What a backbone says of its prompts: a record of its family, or settings, but not both."""
    converted, name = _at(backbone, "answer_conversion"), _at(backbone, "prompt")
    yield from _known((*where, "answer_conversion"), converted, CONVERSIONS, "conversion of answers")
    yield from _known((*where, "prompt"), name, prompts.RECORDS, "prompt")
    if not isinstance(name, str) or name not in prompts.RECORDS:
        return
    family = prompts.RECORDS[name].family
    if isinstance(_at(backbone, "family"), str) and _at(backbone, "family") != family:
        yield Problem((*where, "prompt"), f"{short(name)} is for the family {family}, not {short(backbone['family'])}")
    for key in prompts.FIELDS:
        if key in backbone:
            yield Problem((*where, key), f"is set by the prompt {short(name)}: remove one of the two")


def _own_methods(values: Any, backbone: str) -> Iterator[Problem]:
    """The methods that a backbone names for itself."""
    where = ("backbones", backbone, "methods")
    own = _names(values, *where)
    for index, name in own:
        yield from _known((*where, index), name, _mapping(values, "methods"), "method of this study")
    yield from _repeated(values, *where)
    baseline = _at(values, "scoring", "baseline") or "full"
    if own and baseline not in [name for _, name in own]:
        yield Problem(where, f"lacks the baseline {short(baseline)}, which every difference is taken from: add it")


def _methods(values: Any) -> Iterator[Problem]:
    known = registry.module_names("pruneproof.pruning")
    if _at(values, "methods") == {}:
        yield Problem(("methods",), "is empty: give at least `full: {method: full}`")
    for name, settings in _mapping(values, "methods").items():
        where = ("methods", name)
        method = _at(settings, "method")
        yield from _known((*where, "method"), method, known, "pruning method")
        if isinstance(method, str) and method in known:
            module = registry.load_module("pruneproof.pruning", method, "pruning method", needs=("Settings", "build"))
            options = {key: value for key, value in settings.items() if key not in MethodSettings.model_fields}
            yield from model_problems(module.Settings, options, where)


def _doors(values: Any) -> Iterator[Problem]:
    yield from door_problems(_mapping(values, "methods"), _mapping(values, "backbones"))
    yield from family_problems(_mapping(values, "backbones"))


def _captions(values: Any) -> Iterator[Problem]:
    severities = _at(values, "perturbations", "image", "severities")
    if not isinstance(severities, list):
        severities = Study.model_fields["perturbations"].default.image.severities
    names = [name for _, name in _names(values, "perturbations", "image", "names")]
    known = ["clean", *(f"{name}_{severity}" for name in names for severity in severities if severity in range(1, 6))]
    for index, condition in _names(values, "answering", "caption_conditions"):
        where = ("answering", "caption_conditions", index)
        yield from _known(where, condition, known, "condition of this study")
    yield from _repeated(values, "answering", "caption_conditions")
    yield from _repeated(values, "answering", "dialogues", "select_by")


def _scoring(values: Any) -> Iterator[Problem]:
    methods = _mapping(values, "methods")
    baseline = _at(values, "scoring", "baseline") or "full"
    yield from _known(("scoring", "baseline"), baseline, methods, "method of this study")
    for index, name in _names(values, "scoring", "primary"):
        yield from _known(("scoring", "primary", index), name, methods, "method of this study")
        if name == baseline:
            yield Problem(("scoring", "primary", index), f"{name!r} is the baseline and cannot differ from itself")
    yield from _repeated(values, "scoring", "primary")
    yield from _repeated(values, "scoring", "kinds")
