"""A study on a machine: seconds by part, memory and disk, put together from what the other modules count."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pruneproof import machine as environment
from pruneproof import space
from pruneproof.errors import PruneProofError
from pruneproof.folders import Folders
from pruneproof.perturbations.images.stage import image_conditions
from pruneproof.planning.amounts import Part
from pruneproof.planning.asked import NOTHING, Asking, asking_of
from pruneproof.planning.machines import THIS, Machine, Speeds, assumed, machine_of
from pruneproof.planning.memory import Memory, memory_of
from pruneproof.planning.prompts import Prompts, prompts_of
from pruneproof.planning.shapes import Shape, picture_of, shape_of
from pruneproof.planning.work import BackboneWork, Running, backbone_work
from pruneproof.plurals import number_of
from pruneproof.settings import Study

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Planned:
    """One backbone of a study."""

    shape: Shape
    prompts: Prompts
    work: BackboneWork
    speeds: Speeds
    memory: Memory

    @property
    def seconds(self) -> dict[Part, float]:
        """By part, all methods together."""
        return {part: self.speeds.seconds(part, amount) for part, amount in self.work.total.items()}

    @property
    def by_method(self) -> dict[str, float]:
        """What each method takes by itself."""
        return {
            name: sum(self.speeds.seconds(part, amount) for part, amount in work.items())
            for name, work in self.work.methods.items()
        }


@dataclass(frozen=True, slots=True)
class Estimate:
    """A whole study, without scoring and the report."""

    machine: Machine
    asking: Asking
    backbones: Mapping[str, Planned]
    unknown: Mapping[str, str]
    """Backbones whose sizes are not known, and why."""
    corruption: float
    """Seconds to corrupt every picture once, on all cores."""
    stored: int
    """Bytes of corrupted pictures that are stored; as many as would be, where they are not."""

    @property
    def answering(self) -> float:
        """Seconds of answering, on this one machine."""
        return sum(sum(planned.seconds.values()) for planned in self.backbones.values())


def memories(study: Study, folders: Folders) -> dict[str, Memory]:
    """What each backbone of known sizes holds here; no data are needed."""
    found: dict[str, Memory] = {}
    picture = picture_of(study, folders)
    for name, backbone in study.backbones.items():
        root = folders.study / study.study.root
        try:
            shape, prompts = shape_of(backbone, root, picture), prompts_of(backbone, root, NOTHING)
        except PruneProofError:
            continue
        processes = environment.workers() if environment.device() == "cpu" else 1
        found[name] = memory_of(shape, prompts, environment.batch_size(), processes)
    return found


def running() -> Running:
    """How a study is run here, by the environment."""
    return Running(environment.batch_size(), environment.workers(), environment.feature_bytes())


def planned(
    study: Study, folders: Folders, name: str, asking: Mapping[bool, Asking], speeds: Any, how: Running
) -> Planned:
    """One backbone.

    Args:
        study: the settings.
        folders: where they lie.
        name: of the backbone.
        asking: as of `work.backbone_work`.
        speeds: (shape, prompts) -> what the machine does with it.
        how: it is run.

    Raises:
        PruneProofError: if its sizes are not known.
    """
    backbone, root = study.backbones[name], folders.study / study.study.root
    shape = shape_of(backbone, root, picture_of(study, folders))
    prompts = prompts_of(backbone, root, asking[True])
    work = backbone_work(shape, study.methods_of(name), asking, prompts, how)
    found: Speeds = speeds(shape, prompts)
    return Planned(shape, prompts, work, found, memory_of(shape, prompts, how.rows, found.processes))


def estimate(study: Study, folders: Folders, name: str, share: float | None = None) -> Estimate:
    """What a study takes on a machine.

    Args:
        study: the settings.
        folders: where they lie.
        name: of the machine; `this` for the one that this runs on.
        share: of its peak that is reached; None for what is assumed, or measured.

    Raises:
        PruneProofError: if there is no such machine, or nothing is known of what is asked.
    """
    from pruneproof.planning import measuring

    if share is not None and not 0 < share <= 1:
        raise PruneProofError(f"--share is {share}: give a share of the machine's peak in (0, 1]")
    if share is not None and name == THIS:
        raise PruneProofError("--share is for a machine by its data sheet: what this one reaches is measured")
    measuring.one_thread()
    if name == THIS:
        log.info("measuring this machine: products, memory, disk")
    machine = measuring.measured_machine(folders.study) if name == THIS else machine_of(name)
    how = running()
    if name != THIS:
        how = Running(how.rows, machine.cores if machine.device == "cpu" else 1, how.kept_bytes)
    asking = {by_question: asking_of(study, folders, by_question) for by_question in (True, False)}

    def speeds(shape: Shape, prompts: Prompts) -> Speeds:
        if name != THIS:
            return assumed(machine, shape.dtype, measuring.picture_seconds(shape.pixels), share)
        lengths = measuring.Lengths(how.rows, round(prompts.before + shape.tokens + prompts.question))
        processes = how.workers if machine.device == "cpu" else 1
        log.info("measuring a %s with random weights in %s", shape.family, number_of(processes, "process"))
        return measuring.measured(shape, lengths, processes, environment.device())

    backbones, unknown = dict[str, Planned](), dict[str, str]()
    for backbone in study.backbones:
        try:
            backbones[backbone] = planned(study, folders, backbone, asking, speeds, how)
        except PruneProofError as error:
            unknown[backbone] = str(error)
    corruption = _corruption(study, folders, asking[False], machine)
    stored = space.corrupted_bytes(study, folders)
    return Estimate(machine, asking[False], backbones, unknown, corruption, stored)


def _corruption(study: Study, folders: Folders, asking: Asking, machine: Machine) -> float:
    """Seconds to corrupt every picture once."""
    from pruneproof.planning import measuring

    grid, settings = image_conditions(study.perturbations.image), study.perturbations.image
    if not grid:
        return 0.0
    log.info("measuring how long it takes here to corrupt a picture in %s", number_of(len(settings.names), "way"))
    pixels = space.picture_pixels(study, folders)
    each = measuring.corruption_seconds(settings.names)
    spent = sum(each[condition.perturbation] for condition in grid) * pixels / measuring.PIXELS**2
    return spent * asking.pictures / machine.cores
