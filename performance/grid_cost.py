"""What the large grid takes: LLaVA-1.5-7B x 20 methods x 100 conditions x POPE, GQA and VQAv2, by data sheets.

    python -m performance.grid_cost [--machines h100 a100 l40s rtx4090 cpu2] [--share 0.4]

Needs neither weights nor data: shapes and sizes are the published ones. 19 corruptions at 5 severities, four
rewordings and the clean pictures are 100 conditions. Writes `performance/results/grid_cost.json` and `.md`.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pruneproof.files import write_json, write_text
from pruneproof.folders import Folders
from pruneproof.perturbations.images.imagenet_c import PERTURBATIONS
from pruneproof.plan import duration
from pruneproof.planning import cheapest
from pruneproof.planning.estimate import Estimate, estimate
from pruneproof.planning.machines import machines
from pruneproof.settings import Study

HOME = Path(__file__).resolve().parents[1]
SETS = ("pope", "gqa", "vqav2")
METHODS: Mapping[str, Mapping[str, Any]] = {
    "full": {"method": "full"},
    **{f"random_{count}": {"method": "random", "keep": f"llava15_{count}"} for count in (192, 128, 64)},
    **{f"atp_{count}": {"method": "atp", "keep": f"llava15_{count}"} for count in (192, 128, 64)},
    "atp_60": {"method": "atp", "keep": 0.6},
    "tome_192": {"method": "tome", "keep": "llava15_192"},
    "evit_192": {"method": "evit", "rate": 0.69},
    **{
        f"{name}_192": {"method": name, "keep": "llava15_192"}
        for name in (
            "fastervlm",
            "visionzip",
            "vispruner",
            "trim",
            "divprune",
            "cdpruner",
            "mmtok",
            "fastv",
            "sparsevlm",
        )
    },
    "pyramiddrop": {"method": "pyramiddrop"},
}


def study(name: str) -> Study:
    """One benchmark of the grid."""
    return Study.model_validate(
        {
            "study": {"name": f"grid_{name}", "root": str(HOME)},
            "benchmark": {"name": name, "images": None, "folder": "not_here"},
            "perturbations": {
                "image": {
                    "names": sorted(PERTURBATIONS),
                    "severities": [1, 2, 3, 4, 5],
                    "resolution": "model",
                    "model_pixels": 336,
                },
                "text": {
                    "names": ["typo_keyboard", "typo_ocr", "distractor_absent", "distractor_neutral"],
                    "severities": [3],
                },
            },
            "backbones": {
                "llava15": {
                    "family": "llava",
                    "checkpoint": "llava-hf/llava-1.5-7b-hf",
                    "text_tower": "ViT-L-14-336",
                    "text_tower_pretrained": "openai",
                    "dtype": "float16",
                }
            },
            "methods": {key: dict(value) for key, value in METHODS.items()},
            "scoring": {"primary": ["atp_60"]},
        }
    )


def row(asked: Study, plan: Estimate) -> dict[str, Any]:
    """One benchmark on one machine."""
    planned = plan.backbones["llava15"]
    return {
        "pictures": round(plan.asking.pictures),
        "questions": round(plan.asking.questions),
        "rows": round(plan.asking.rows),
        "answering_hours": round(plan.answering / 3600, 1),
        "corruption_hours": round(plan.corruption / 3600, 1),
        "hours_by_part": {part: round(spent / 3600, 2) for part, spent in planned.seconds.items()},
        "terabytes_of_corrupted_pictures": round(plan.stored / 1e12, 3),
        "terabytes_of_encoded_pictures": round(planned.work.encoded_bytes / 1e12, 2),
        "gigabytes_of_memory": round(planned.memory.total / 1e9, 1),
        "fits": cheapest.fitting(planned, plan.machine.memory) or "yes",
        "pictures_that_show_1_point": {one.family: one.images for one in cheapest.samples(asked, plan)},
        "hours_at_that_size": {one.family: round(one.seconds / 3600, 1) for one in cheapest.samples(asked, plan)},
    }


def markdown(found: Mapping[str, Mapping[str, Any]], share: float | None) -> str:
    """A table for people."""
    lines = [
        "# LLaVA-1.5-7B x 20 methods x 100 conditions x POPE, GQA, VQAv2",
        "",
        f"By `python -m performance.grid_cost`; {'assumed shares' if share is None else f'{share:.0%}'} of peaks.",
        "",
        "| machine | benchmark | answering | machines for a day | corrupted, stored | memory | pictures for 1 point "
        "(image) | hours at that size |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, rows in found.items():
        for benchmark, one in [*rows.items(), ("all", total(rows))]:
            shown, spent = _sample(one)
            lines.append(
                f"| {name} | {benchmark} | {duration(3600 * one['answering_hours'])} "
                f"| {one['answering_hours'] / 24:,.1f} | {one['terabytes_of_corrupted_pictures']:.2f} TB "
                f"| {one['gigabytes_of_memory']:.0f} GB | {shown} | {spent} |"
            )
    return "\n".join(lines) + "\n"


def _sample(one: Mapping[str, Any]) -> tuple[str, str]:
    """How many pictures show 1 point and their hours, or what all pictures show where these are too few."""
    wanted, hours = one["pictures_that_show_1_point"].get("image"), one["hours_at_that_size"]["image"]
    if wanted is None or wanted <= one["pictures"]:
        return ("-" if wanted is None else f"{wanted:,}"), f"{hours:,.0f}"
    # An interval's width goes with the root of the number of pictures.
    points = math.sqrt(wanted / one["pictures"])
    return f"{wanted:,}: its {one['pictures']:,} show {points:.1f} points", f"{one['answering_hours']:,.0f}"


def total(rows: Mapping[str, Any]) -> dict[str, Any]:
    """The benchmarks together; memory is the most that one takes."""
    keys = ("answering_hours", "corruption_hours", "terabytes_of_corrupted_pictures")
    found: dict[str, Any] = {key: sum(one[key] for one in rows.values()) for key in keys}
    hours = sum(min(one["hours_at_that_size"]["image"], one["answering_hours"]) for one in rows.values())
    return found | {
        "gigabytes_of_memory": max(one["gigabytes_of_memory"] for one in rows.values()),
        "pictures_that_show_1_point": {},
        "hours_at_that_size": {"image": hours},
    }


def main() -> None:
    """Work out every benchmark on every machine, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--machines", nargs="+", choices=list(machines()), default=list(machines()))
    parser.add_argument("--share", type=float, help="of a machine's peak that is reached; default: as assumed")
    chosen = parser.parse_args()
    if chosen.share is not None and not 0 < chosen.share <= 1:
        parser.error(f"argument --share: {chosen.share:g} is no share above 0 and at most 1")
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as name:
        for machine in chosen.machines:
            found[machine] = {}
            for benchmark in SETS:
                asked = study(benchmark)
                found[machine][benchmark] = row(asked, estimate(asked, Folders(Path(name)), machine, chosen.share))
    stem = HOME / "performance/results/grid_cost"
    write_json(stem.with_suffix(".json"), {"share": chosen.share, "machines": found})
    write_text(stem.with_suffix(".md"), markdown(found, chosen.share))
    print(markdown(found, chosen.share))


if __name__ == "__main__":
    main()
