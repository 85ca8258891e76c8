"""`plan --machine`: prints what a study takes on a machine."""

from __future__ import annotations

from math import ceil
from pathlib import Path
from typing import Any, get_args

from pruneproof import pipeline, space
from pruneproof.answering.grid import conditions
from pruneproof.folders import Folders
from pruneproof.plan import duration
from pruneproof.planning import cheapest
from pruneproof.planning.amounts import Part
from pruneproof.planning.estimate import Estimate, estimate
from pruneproof.planning.machines import READ_SHARE, SHARE, THIS
from pruneproof.planning.prompts import CAPTION_TOKENS
from pruneproof.plurals import number_of
from pruneproof.space import size
from pruneproof.study import load_study

A_DAY = 86_400.0


def report(folder: Path, name: str, share: float | None = None) -> None:
    """Print the plan of the study in `folder` for a machine.

    Raises:
        PruneProofError: as `estimate` does, and if params.yaml is wrong.
    """
    from rich.console import Console

    study, folders = load_study(folder), Folders(folder)
    pipeline.require_tracked(folder)
    plan = estimate(study, folders, name, share)
    console = Console(highlight=False, soft_wrap=True)
    runs = sum(len(study.methods_of(backbone)) for backbone in study.backbones)
    asking = plan.asking
    console.print(
        f"Study {study.study.name} on {plan.machine.title}: {number_of(round(asking.pictures), 'picture')}, "
        f"{number_of(round(asking.questions), 'different question')}, "
        f"{number_of(len(conditions(study)), 'condition')}, {number_of(runs, 'run')} of a backbone with a method "
        f"(counted on {asking.source})."
    )
    console.print(_basis(plan, name, share))
    for backbone, why in plan.unknown.items():
        console.print(f"{backbone} is left out: {why}.")
    for backbone, planned in plan.backbones.items():
        console.print(_parts(backbone, plan, planned))
        slowest = max(planned.by_method.items(), key=lambda pair: pair[1])
        console.print(
            f"{backbone}: of this {duration(slowest[1])} for {slowest[0]}, the slowest method, and "
            f"{duration(sum(planned.by_method.values()) / len(planned.by_method))} for a method on average."
        )
        held, room = planned.memory, plan.machine.memory
        fits = cheapest.fitting(planned, room) or "it fits"
        console.print(f"{backbone} in {planned.shape.dtype}: {held.told}; {size(round(room))} there: {fits}.")
    console.print(_total(plan))
    console.print(_disk(study, folders, plan))
    for line in cheapest.lines(study, plan):
        console.print(line)
    narrow = [name for name, planned in plan.backbones.items() if planned.shape.int8]
    int8 = f"; nor that {', '.join(narrow)} multiplies its 8-bit weights out on use" if narrow else ""
    console.print(f"Not counted: start-up, reading questions, scoring and the report, which take minutes{int8}.")


def _basis(plan: Estimate, name: str, share: float | None) -> str:
    """What the times are worked out from."""
    machine = plan.machine
    widths = f"{machine.bandwidth / 1e9:.0f} GB/s of memory, {machine.disk / 1e6:.0f} MB/s of disk"
    if name == THIS:
        peaks = ", ".join(f"{rate / 1e9:.0f} GFLOP/s in {dtype}" for dtype, rate in machine.flops.items())
        reached = "; ".join(
            f"{backbone} reaches {100 * planned.speeds.processes * planned.speeds.language / peak:.0f}% of it in "
            f"reading prompts and {100 * planned.speeds.processes * planned.speeds.tower / peak:.0f}% in its vision "
            f"tower"
            for backbone, planned in plan.backbones.items()
            for peak in (machine.flops[planned.shape.dtype],)
        )
        return f"Measured: products {peaks}; {widths}; {reached}."
    used = SHARE[machine.device] if share is None else share
    return (
        f"Assumed: {100 * used:.0f}% of the peak in products (for another: `--share 0.3`, of `make` "
        f"`ARGS='--share 0.3'`), {100 * READ_SHARE:.0f}% of its bandwidth, "
        f"{CAPTION_TOKENS} tokens in a description if the benchmark has none to count; "
        f"{number_of(machine.cores, 'core')} like this one's for pictures. {machine.source}."
    )


def _parts(name: str, plan: Estimate, planned: Any) -> Any:
    """A table of a backbone's parts."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in (name, "time", "share", "TFLOP"):
        table.add_column(heading, justify="left" if heading == name else "right")
    seconds, work = planned.seconds, planned.work.total
    total = sum(seconds.values())
    for part in get_args(Part):
        if part in seconds:
            share = f"{100 * seconds[part] / total:.0f}%" if total else "-"
            table.add_row(part, duration(seconds[part]), share, f"{work[part].flops / 1e12:,.1f}")
    table.add_section()
    table.add_row("answering", duration(total), "", f"{sum(one.flops for one in work.values()) / 1e12:,.1f}")
    return table


def _total(plan: Estimate) -> str:
    """Hours, and how many machines make a day of it."""
    answering = plan.answering
    what = "GPU" if plan.machine.device == "cuda" else "machine"
    corrupted = f"{duration(plan.corruption)} of corrupting pictures on {number_of(plan.machine.cores, 'core')}"
    many = ceil(answering / A_DAY)
    days = f", or {many:,} for it to end within a day" if many > 1 else ""
    return f"In all {duration(answering)} of answering on one {what}{days}, and {corrupted}."


def _disk(study: Any, folders: Folders, plan: Estimate) -> str:
    """Bytes by what they are for."""
    encoded = sum(planned.work.encoded_bytes for planned in plan.backbones.values())
    needed, there = space.needed(study, folders), space.free(folders.study)
    short = "" if needed <= there else ": free some, or set `stored: false` in perturbations.image"
    return (
        f"Disk: {size(needed)} for what is not made yet, {space.pictures_told(study, folders)}; "
        f"encoded ones would take {size(round(encoded))}, and PRUNEPROOF_FEATURES_MB bounds that; {size(there)} free "
        f"here{short}."
    )
