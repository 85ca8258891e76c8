"""What a study needs that is not here yet: where to get it, how large it is, and where to put it; torch-free."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from pruneproof import prompts, published
from pruneproof.benchmarks import Need, needs
from pruneproof.digests import Digests, remembered
from pruneproof.folders import Folders
from pruneproof.settings import BackboneSettings, Study
from pruneproof.space import size

_WEIGHTS = "model*.safetensors"
_REST = "'*.json' '*.jinja' '*.model'"
"""Config, tokenizer, image processor and chat template."""


def benchmark_faults(study: Study, folder: Path, *, quick: bool) -> Iterator[str]:
    """One line for each file or folder of the benchmark that is missing, or is not the published one.

    Args:
        study: its settings.
        folder: of the study.
        quick: leave digests out; otherwise a digest is computed once and remembered until the file changes.
    """
    wanted = needs(study.benchmark)
    if quick:
        yield from (line for need in wanted if (line := _fault(need, study, folder, None)))
        return
    with remembered(Folders(folder).cells / "digests.json") as digests:
        yield from [line for need in wanted if (line := _fault(need, study, folder, digests))]


def _fault(need: Need, study: Study, folder: Path, digests: Digests | None) -> str:
    place = _place(need, study, folder)
    published = f"{need.url} ({size(need.bytes)})" if need.bytes else need.url
    source = f"fetch {published}" if "://" in need.url else f"it is {need.url}"
    if not place.exists():
        how = f", {need.what}" if need.what else ""
        return f"{place} is missing: {source}{how}"
    if need.bytes and place.is_file() and place.stat().st_size != need.bytes:
        held = place.stat().st_size
        return f"{place} has {held} bytes, the published file {need.bytes}: {source} again, or name your own otherwise"
    if need.sha256 and digests is not None and place.is_file() and (found := digests.of(place)) != need.sha256:
        return f"{place} is not the published file (SHA-256 {found}, not {need.sha256}): {source} again"
    return ""


def _place(need: Need, study: Study, folder: Path) -> Path:
    return Path(os.path.abspath(folder / study.benchmark.folder / need.path))


def left_bytes(study: Study, folder: Path) -> int:
    """Bytes that are still to be fetched, as far as sizes are known: data, weights in 16 bits, text towers."""
    data = sum(need.bytes for need in needs(study.benchmark) if not _place(need, study, folder).exists())
    names = {
        (one.checkpoint, one.revision) for one in study.backbones.values() if one.checkpoint in published.CHECKPOINTS
    }
    weights = sum(2 * published.CHECKPOINTS[name].parameters for name, revision in names if not _cached(name, revision))
    asked = {(one.text_tower or "", one.text_tower_pretrained or "") for one in study.backbones.values()}
    towers = [published.TOWERS[tower] for tower in asked if tower in published.TOWERS]
    return data + weights + sum(4 * tower.parameters for tower in towers if not _cached(tower.repository, None))


def is_fetched(backbone: BackboneSettings) -> bool:
    """Whether a hub checkpoint is in the hub's cache already."""
    return fetched(backbone) is not None


def fetched(backbone: BackboneSettings) -> Path | None:
    """The folder of the hub's cache that holds a checkpoint's config; None if it is not there yet."""
    return _cached(backbone.checkpoint, backbone.revision)


def _cached(name: str, revision: str | None) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    marks = ("config.json", "open_clip_config.json")
    found = (try_to_load_from_cache(name, mark, revision=revision) for mark in marks)
    return next((Path(path).parent for path in found if isinstance(path, str)), None)


def checkpoint_source(backbone: BackboneSettings) -> str:
    """What is fetched from the hub for a checkpoint, and by which command one may do that beforehand."""
    name, revision = backbone.checkpoint, backbone.revision
    known = published.CHECKPOINTS.get(name)
    files, much = _WEIGHTS, ""
    if known is not None:
        if known.shards and revision == known.revision:
            files = ", ".join(known.shards)
        much = f", about {size(2 * known.parameters)} in 16 bits and twice that in 32"
    included = f"{_REST} '{_WEIGHTS}'"
    return (
        f"{name} at {revision} is fetched on first use, which needs a network: {files}{much}, with config, tokenizer "
        f"and image processor. Beforehand, or for a machine without a network: `hf download {name} --revision "
        f"{revision} --include {included}`, with --local-dir for a folder that `checkpoint` then names"
    )


def tower_source(name: str, tag: str) -> str:
    """What open_clip fetches for a text tower."""
    known = published.TOWERS.get((name, tag))
    detail = f"{name} {tag} is fetched on first use, which needs a network"
    if known is None:
        return detail
    much = size(4 * known.parameters)
    repository = known.repository
    return f"{detail}: open_clip_model.safetensors of {repository}, at most {much} (`hf download {repository}`)"


def prompt_notes(backbones: dict[str, BackboneSettings], benchmark: str) -> Iterator[tuple[str, str]]:
    """Of each backbone with a prompt: its name, and `prompt_note`."""
    for name, backbone in backbones.items():
        if backbone.prompt is not None:
            yield name, prompt_note(backbone.prompt, benchmark)


def prompt_note(prompt: str, benchmark: str) -> str:
    """A record's title, with what is done otherwise here than by its authors."""
    record = prompts.RECORDS[prompt]
    departures: Sequence[str] = record.departures
    if benchmark not in record.benchmarks:
        departures = (f"written for {' and '.join(record.benchmarks)}, not for {benchmark}", *departures)
    return f"{record.title}: {'; '.join(departures) if departures else 'as its authors ask and decode'}"
