"""A made-up study with plausible curves: every table and image that tracking and reporting read, in seconds."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from PIL import Image, ImageDraw

from pruneproof import files, pruning, records
from pruneproof.folders import Folders
from pruneproof.reporting.report import COLUMNS
from pruneproof.settings import MethodSettings, Study
from pruneproof.stored import columns

CORRUPTIONS = [
    "gaussian_noise",
    "shot_noise",
    "impulse_noise",
    "defocus_blur",
    "glass_blur",
    "motion_blur",
    "zoom_blur",
    "snow",
    "frost",
    "fog",
    "brightness",
    "contrast",
    "elastic_transform",
    "pixelate",
    "jpeg_compression",
    "occlusion_random",
    "occlusion_object",
]
REWORDINGS = [
    "paraphrase_phrasing",
    "paraphrase_synonym",
    "distractor_neutral",
    "distractor_absent",
    "distractor_misleading",
    "typo_keyboard",
    "typo_ocr",
    "typo_swap",
    "typo_spelling",
    "typo_split",
]
METHODS: dict[str, dict[str, Any]] = {
    "full": {"method": "full"},
    "random_60": {"method": "random", "keep": 0.60},
    "random_25": {"method": "random", "keep": 0.25},
    "random_10": {"method": "random", "keep": 0.10},
    "atp_60": {"method": "atp", "keep": 0.60, "alpha": 0.5},
    "atp_25": {"method": "atp", "keep": 0.25, "alpha": 0.5},
    "atp_10": {"method": "atp", "keep": 0.10, "alpha": 0.5},
    "atp_25_attention": {"method": "atp", "keep": 0.25, "alpha": 0.0},
    "atp_25_relevance": {"method": "atp", "keep": 0.25, "alpha": 1.0},
    "atp_25_reversed": {"method": "atp", "keep": 0.25, "alpha": 0.5, "relevance_sign": -1},
}
SWEPT: dict[str, dict[str, Any]] = {
    **{name: METHODS[name] for name in ("full", "random_60", "random_25", "atp_60", "atp_25")},
    **{
        f"atp_{keep}{name}": {"method": "atp", "keep": keep / 100, "alpha": alpha, "relevance_sign": sign}
        for keep in (60, 25)
        for name, alpha, sign in (
            ("_attention", 0.0, 1), ("_alpha_0_25", 0.25, 1), ("_alpha_0_75", 0.75, 1), ("_reversed", 0.5, -1),
            ("_reversed_relevance", 1.0, -1),
        )
    },
    **{f"atp_{keep}_clean": {"method": "atp", "keep": keep / 100, "rank_from": "clean"} for keep in (60, 25)},
}  # fmt: skip
"""Two options of ATP over each other, and twins that rank tokens on the clean picture."""
RIVALS = ("divprune", "fastv", "tome")
MANY: dict[str, dict[str, Any]] = {
    **METHODS, "random_5": {"method": "random", "keep": 0.05},
    **{f"{name}_{keep}": {"method": name, "keep": keep / 100} for name in RIVALS for keep in (60, 40, 25, 10)},
    "fastervlm_25": {"method": "fastervlm", "keep": 0.25},
}  # fmt: skip
"""As many methods as a study of rivals has."""
COST = {
    "full": 0.0,
    "random_60": 3.5,
    "random_25": 11.0,
    "random_10": 22.0,
    "atp_60": 0.7,
    "atp_25": 3.0,
    "atp_10": 8.5,
}
"""Points of clean accuracy that a method loses."""
EXTRA = {"random_60": 0.4, "random_25": 1.5, "random_10": 0.5, "atp_60": 0.3, "atp_25": 2.6, "atp_10": 4.0}
"""Points of drop per unit of hardness that a method loses beyond the full model."""
HARDNESS = {name: 0.35 + 1.3 * ((7 * i) % 17) / 17 for i, name in enumerate(CORRUPTIONS)}
KINDS = {"existence": 2.0, "colour": 1.0, "count": -22.0, "relation": -4.0, "compositional": -6.0}
CHANCE = 55.0
CAPTIONED = ("clean_0", "gaussian_noise_3", "motion_blur_3", "occlusion_object_3")


@dataclass
class Grid:
    """What the made-up study holds; shrink it for speed or to reach an edge case."""

    corruptions: tuple[str, ...] = tuple(CORRUPTIONS)
    rewordings: tuple[str, ...] = tuple(REWORDINGS)
    severities: tuple[int, ...] = (1, 3, 5)
    methods: dict[str, dict[str, Any]] = field(default_factory=lambda: dict(METHODS))
    backbones: tuple[str, ...] = ("builtin_llava",)
    dialogues: tuple[str, ...] = ("first", "last", "each")
    turns: int = 3
    images: int = 4
    intervals: bool = True
    some: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Backbones that are run with some of the methods."""

    def methods_of(self, backbone: str) -> dict[str, dict[str, Any]]:
        """The methods of one backbone."""
        chosen = self.some.get(backbone, tuple(self.methods))
        return {name: options for name, options in self.methods.items() if name in chosen}

    def conditions(self) -> list[tuple[str, str, int]]:
        """(family, perturbation, severity) of every condition, the clean one first."""
        image = [("image", name, level) for name in self.corruptions for level in self.severities]
        text = [
            ("text", name, level)
            for name in self.rewordings
            for level in (self.severities if name.startswith("typo") else (1,))
        ]
        dialogue = [
            ("dialogue", f"dialogue_{chosen}", turn) for chosen in self.dialogues for turn in range(1, self.turns + 1)
        ]
        return [("clean", "clean", 0), *image, *text, *dialogue]


def study(grid: Grid) -> Study:
    """The settings of the made-up study."""
    return Study.model_validate(
        {
            "study": {"name": "synthetic", "seed": 7},
            "benchmark": {"name": "scenes", "images": max(grid.images, 2)},
            "perturbations": {
                "image": {"names": grid.corruptions, "severities": grid.severities},
                "text": {"names": grid.rewordings, "severities": grid.severities},
            },
            "backbones": {
                name: {"family": "llava", "checkpoint": f"data/backbones/{name}", "text_tower": "clip"}
                | ({"methods": grid.some[name]} if name in grid.some else {})
                for name in grid.backbones
            },
            "methods": grid.methods,
            "answering": {"dialogues": {"turns": grid.turns, "select_by": grid.dialogues}},
            "scoring": {"primary": [name for name in ("atp_60", "atp_25", "atp_10") if name in grid.methods]},
        }
    )


def base_id(method: str) -> str:
    """The method without its variant: `atp_25_reversed` -> `atp_25`."""
    return "_".join(method.split("_")[:2])


def cost(method: str) -> float:
    """Points of clean accuracy that a method loses; of a rival, by its place in the alphabet."""
    base = base_id(method)
    return COST.get(base, 0.8 * (sum(map(ord, base)) % 17))


def drop(method: str, family: str, perturbation: str, severity: int) -> float:
    """Points of accuracy lost under a condition."""
    if family == "clean":
        return 0.0
    if family == "image":
        hardness = HARDNESS[perturbation] * severity
        return 4.0 * hardness + EXTRA.get(base_id(method), 0.0) * hardness
    if family == "dialogue":
        away = {"first": severity - 1, "last": 3 - severity, "each": 0}[perturbation.removeprefix("dialogue_")]
        return 1.5 * (severity - 1) + away * EXTRA.get(base_id(method), 0.0)
    level = severity if perturbation.startswith("typo") else 2
    return 1.6 * level + (6.0 if "misleading" in perturbation else 0.0) + 0.2 * EXTRA.get(base_id(method), 0.0) * level


def metrics(method: str, family: str, perturbation: str, severity: int) -> dict[str, float]:
    """Every metric of one condition, before noise."""
    variant = {"attention": 2.0, "relevance": 5.0, "reversed": -1.0}.get(method.split("_")[-1], 0.0)
    loss = drop(method, family, perturbation, severity) * (0.6 if method.endswith("_clean") else 1.0)
    accuracy = max(93.0 - cost(method) - variant - loss, 42.0)
    keep = {**MANY, **SWEPT}.get(method, {}).get("keep", 1.0)
    values = {"accuracy/all": accuracy}
    values |= {f"accuracy/{kind}": min(99.0, accuracy + shift) for kind, shift in KINDS.items()}
    values |= {"accuracy/relation/horizontal": accuracy - 3.0, "accuracy/relation/vertical": accuracy - 5.0}
    yes = 50.0 - 0.25 * (93.0 - accuracy)
    for index, split in enumerate(("random", "popular", "adversarial")):
        values |= {
            f"pope/accuracy_{split}": accuracy + 3.0 - 2.0 * index,
            f"pope/precision_{split}": accuracy + 4.0 - 3.0 * index,
            f"pope/recall_{split}": accuracy + 1.0 - 0.4 * (93.0 - accuracy),
            f"pope/f1_{split}": accuracy + 2.0 - 2.0 * index,
            f"pope/yes_ratio_{split}": yes + index,
        }
    values |= {"pope/f1_mean": accuracy, "hallucination/rate": 5.0 + 0.5 * (93.0 - accuracy)}
    values |= {"hallucination/matched": 5.0 + 0.6 * (93.0 - accuracy), "sensitivity/auc": min(accuracy + 5, 100.0)}
    values |= {"sensitivity/d_prime": 0.05 * (accuracy - 42), "sensitivity/criterion": 0.02 * (93.0 - accuracy)}
    values |= {"calibration/brier": 0.1 * (100 - accuracy), "calibration/ece": 0.2 * (100 - accuracy)}
    values |= {f"flips_full/{name}": 0.3 * loss for name in ("correct_to_wrong", "wrong_to_correct", "wrong_to_wrong")}
    values |= {"hallucination/unparseable": 0.02 * (93.0 - accuracy), "robust/drop_all": loss}
    values |= {"robust/flip_rate": 1.2 * loss, **tokens(method, keep)}
    values |= {
        "tokens/target_kept": min(100.0, 100 * keep + 25 * method.startswith("atp")),
        "tokens/overlap_clean": 80.0,
    }
    if family == "image":
        values["robust/retention"] = 100 * (accuracy - CHANCE) / (93.0 - cost(method) - variant - CHANCE)
        values["robust/corruption_error"] = 100.0 + 8.0 * EXTRA.get(base_id(method), 0.0)
    if f"{perturbation}_{severity}" in CAPTIONED:
        values |= {"chair/i": 12.0 + loss / 3, "chair/s": 30.0 + loss / 2, "chair/recall": 60.0 - loss / 3}
    return values


def tokens(method: str, keep: float) -> dict[str, float]:
    """FastV drops before the third of four layers, and everything else before the language model."""
    count, inside = round(256 * keep), method.startswith("fastv")
    left = 256 if inside else count
    mean = (256 + count) / 2 if inside else count
    budget = {"tokens/visual": left, "tokens/input": left, "tokens/layer_mean": mean}
    return {**budget, "tokens/sequence": left + 9, "tokens/deviation": 0.0}


def summary(grid: Grid) -> pd.DataFrame:
    """`summary.csv`: conditions and the means over severities, corruptions and families."""
    rng = np.random.default_rng(0)
    rows: list[dict[str, Any]] = []
    for backbone in grid.backbones:
        for method in grid.methods_of(backbone):
            for family, perturbation, severity in grid.conditions():
                for metric, value in metrics(method, family, perturbation, severity).items():
                    noisy = value if metric.startswith("tokens") else max(value + rng.normal(0, 0.4), 0.0)
                    rows.append(_row(backbone, method, family, perturbation, severity, metric, noisy, grid, 320))
    table = pd.DataFrame(rows)
    means: list[dict[str, Any]] = []
    perturbed = table[table["family"] != "clean"]
    keys = ["backbone", "method", "family", "metric"]
    for by, fixed in (
        ([*keys, "perturbation"], {"severity": "mean"}),
        ([*keys, "severity"], {"perturbation": "mean"}),
        (keys, {"severity": "mean", "perturbation": "mean"}),
    ):
        for names, group in perturbed.groupby(by, sort=False):
            cell = dict(zip(by, names, strict=True)) | fixed
            if cell["family"] == "text" and cell["perturbation"] == "mean" and cell["severity"] != "mean":
                continue
            if cell["family"] == "dialogue" and cell.get("perturbation") == "mean":
                continue
            value = float(group["value"].mean())
            means.append(_row(n=len(group) * 320, value=value, grid=grid, **cell))
            if cell["perturbation"] == "mean":
                means.append(_row(n=len(group) * 320, value=value, grid=grid, **(cell | {"perturbation": "live"})))
    return pd.concat([table, pd.DataFrame(means)], ignore_index=True)


def _row(
    backbone: str,
    method: str,
    family: str,
    perturbation: str,
    severity: Any,
    metric: str,
    value: float,
    grid: Grid,
    n: int,
) -> dict[str, Any]:
    half = 2.2 if perturbation != "mean" else 1.3
    bounded = grid.intervals and not metric.startswith("tokens")
    return {
        "backbone": backbone, "method": method, "family": family, "perturbation": perturbation,
        "severity": str(severity), "metric": metric, "value": value, "low": value - half if bounded else np.nan,
        "high": value + half if bounded else np.nan, "n": n,
    }  # fmt: skip


def contrasts(grid: Grid, table: pd.DataFrame) -> pd.DataFrame:
    """`contrasts.csv`: differences in drops and in clean values, against the full model and the random control."""
    wanted = table[
        table["metric"].isin(
            ["accuracy/all", "accuracy/existence", "hallucination/rate", "hallucination/matched", "robust/retention"]
        )
    ]
    values = wanted.set_index(["backbone", "method", "family", "perturbation", "severity", "metric"])["value"]
    rows: list[dict[str, Any]] = []
    pairs = [(m, "full") for m in grid.methods if m != "full"]
    pairs += [(m, "random_" + m.split("_")[1]) for m in grid.methods if m.startswith("atp")]
    pairs += [(m, f"{m}_clean") for m in grid.methods]
    for (backbone, method, family, perturbation, severity, metric), value in values.items():
        for name, baseline in pairs:
            if name != method or baseline not in grid.methods_of(backbone):
                continue
            other = values[(backbone, baseline, family, perturbation, severity, metric)]
            clean = values.get((backbone, method, "clean", "clean", "0", metric), np.nan)
            clean_other = values.get((backbone, baseline, "clean", "clean", "0", metric), np.nan)
            is_clean = family == "clean"
            plain = is_clean or metric == "robust/retention"
            difference = value - other if plain else (clean - value) - (clean_other - other)
            if metric == "hallucination/rate" and not is_clean:
                difference = -difference
            half = 0.9 if perturbation == "mean" else 2.5
            p = float(np.exp(-abs(difference) * 3 / half))
            primary = (
                baseline == "full" and base_id(method) == method and method.startswith("atp")
                and (perturbation, severity) == ("live", "mean") and metric == "accuracy/all"
            )  # fmt: skip
            rows.append(
                {
                    "backbone": backbone, "method": method, "baseline": baseline, "family": family,
                    "perturbation": perturbation, "severity": severity,
                    "metric": f"clean/{metric}" if is_clean else metric, "value": difference,
                    "low": difference - half, "high": difference + half, "p": p,
                    "p_holm": min(1.0, 6 * p) if primary else np.nan, "primary": primary,
                }
            )  # fmt: skip
    keys = ["backbone", "method", "baseline", "family", "perturbation", "severity", "metric"]
    return pd.DataFrame(rows, columns=[*keys, "value", "low", "high", "p", "p_holm", "primary"])


def stability(grid: Grid, table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`effective.csv` and `random_curve.csv`: the curve is the line from chance to the full model."""
    chosen = table[(table["metric"] == "accuracy/all") & (table["perturbation"] == "live")]
    levels = chosen.set_index(["backbone", "method", "family", "severity"])["value"]
    clean = table[(table["metric"] == "accuracy/all") & (table["family"] == "clean")].set_index(["backbone", "method"])
    rows: list[dict[str, Any]] = []
    curves: list[dict[str, Any]] = []
    random = any(options["method"] == "random" for options in grid.methods.values())
    for (backbone, method, family, severity), value in levels.items() if random else ():
        x, full = clean["value"][backbone, method], clean["value"][backbone, "full"]
        slope = (levels[backbone, "full", family, severity] - CHANCE) / (full - CHANCE)
        above = value - CHANCE - slope * (x - CHANCE) if method != "full" else np.nan
        primary = method in ("atp_60", "atp_25", "atp_10") and severity == "mean"
        where = {"backbone": backbone, "family": family, "severity": severity}
        p = float(np.exp(-3 * abs(above)))
        rows.append(
            {
                **where, "method": method, "conditions": 3, "clean": x, "perturbed": value, "predicted": value - above,
                "value": above, "low": above - 1.2, "high": above + 1.2, "p": p,
                "p_holm": min(1.0, 6 * p) if primary else np.nan, "primary": primary,
            }
        )  # fmt: skip
        if method == "full":
            for at in np.linspace(CHANCE, full, 9):
                y = CHANCE + slope * (at - CHANCE)
                curves.append({**where, "clean": at, "value": y, "low": y - 1, "high": y + 1})
    keys = ["backbone", "family", "severity"]
    judged = ["conditions", "clean", "perturbed", "predicted", "value", "low", "high", "p", "p_holm", "primary"]
    return (
        pd.DataFrame(rows, columns=["method", *keys, *judged]),
        pd.DataFrame(curves, columns=[*keys, "clean", "value", "low", "high"]),
    )


def chance() -> pd.DataFrame:
    """`chance.csv`."""
    levels = {"accuracy/all": CHANCE, "accuracy/existence": 66.0, "pope/accuracy_random": 50.0}
    levels |= {"pope/accuracy_popular": 50.0, "pope/accuracy_adversarial": 49.0}
    return pd.DataFrame([{"metric": m, "answer": "no", "value": v, "n": 40} for m, v in levels.items()])


def costs(grid: Grid) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`flops.csv` and `latency.csv`."""
    flops: list[dict[str, Any]] = []
    latency: list[dict[str, Any]] = []
    for backbone in grid.backbones:
        for method, options in grid.methods_of(backbone).items():
            keep = options.get("keep", 1.0)
            parts = {
                "vision_tower": 1.6e9, "text_tower": 4e7 if options["method"] == "atp" else 0.0,
                "scoring": 1e6 if options["method"] == "atp" else 0.0, "connector": 1e8 * keep,
                "prefill": 2.4e9 * keep + 2e8, "decode": 3e7,
            }  # fmt: skip
            for component, count in parts.items():
                flops.append(
                    {
                        "backbone": backbone, "method": method, "component": component, "flops": count,
                        "visual_tokens": round(256 * keep), "kv_cache_bytes": round(4e5 * keep + 4e4),
                        "weight_bytes": 12_500_000,
                    }
                )  # fmt: skip
            seconds = 0.02 + 0.03 * keep
            ratio = 0.05 / seconds
            latency.append(
                {
                    "backbone": backbone, "method": method, "batch": 1, "median_s": seconds, "low_s": 0.96 * seconds,
                    "high_s": 1.05 * seconds, "ratio_full_over_this": ratio, "ratio_low": 0.95 * ratio,
                    "ratio_high": 1.05 * ratio,
                }
            )  # fmt: skip
    return pd.DataFrame(flops), pd.DataFrame(latency)


def rivals(grid: Grid, effective: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """`kinds.csv`, `ranking.csv`, `equal_cost.csv` and `picks.csv`: methods are as far from random pruning as they are
    above the curve, and the best that one can afford is the first."""
    above = effective[effective["severity"] == "mean"].set_index(["backbone", "method", "family"])["value"]
    kinds: list[dict[str, Any]] = []
    ranking: list[dict[str, Any]] = []
    equal: list[dict[str, Any]] = []
    picks: list[dict[str, Any]] = []
    for backbone in grid.backbones if len(above) else ():
        methods = {name: options for name, options in grid.methods_of(backbone).items() if name != "full"}
        kind_of = {name: pruning.load(MethodSettings.model_validate(own)).kind for name, own in methods.items()}
        entries: dict[tuple[str, str], str] = {}
        for name, options in methods.items():
            entries.setdefault((kind_of[name], options["method"]), name)
        perturbed = [family for family in ("image", "text") if family in above.index.unique("family")]
        for family in ("clean", *perturbed):
            bounded = {"backbone": backbone, "family": family}
            value = {
                name: float(above[backbone, name, perturbed[0] if family == "clean" else family]) for name in methods
            }
            for kind in dict.fromkeys(kind_of.values()):
                own = [name for (its_kind, _), name in entries.items() if its_kind == kind]
                mean = float(np.mean([value[name] for name in own]))
                for metric in ("effective", "over_random/tokens", "over_random/flops", "hallucination/matched"):
                    p = {"p": 0.01, "p_holm": np.nan if kind == "control" else 0.03}
                    ends = {"value": mean, "low": mean - 0.5, "high": mean + 0.5}
                    kinds.append({**bounded, "kind": kind, "methods": " ".join(own), "metric": metric, **ends, **p})
            for name in methods:
                ends = {"value": value[name], "low": value[name] - 1, "high": value[name] + 1, "p": 0.02}
                for cost in ("tokens", "flops") if kind_of[name] != "control" else ():
                    equal.append(
                        {
                            **bounded,
                            "method": name,
                            "cost": cost,
                            "spent": 0.5,
                            "accuracy": 70.0,
                            "control": 68.0,
                            **ends,
                        }
                    )
            for behind, name in enumerate(sorted(methods, key=lambda one: (-value[one], one))[:4]):
                ends = {"value": behind, "low": behind - 1.5, "high": behind + 1.5 if behind else 0.0}
                picks.append(
                    {**bounded, "method": name, "flops_ratio": 0.6, "accuracy": 80.0 - behind, **ends, "first": 40.0}
                )
            for among in ("all", "tokens") if family != "clean" else ():
                for statistic in ("spearman", "kendall"):
                    ends = {"value": 0.8, "low": 0.6, "high": 0.9, "across": 0.7, "ceiling": 0.75}
                    ranking.append({**bounded, "among": among, "methods": 6, "statistic": statistic, **ends})
    found = {"kinds": kinds, "ranking": ranking, "equal_cost": equal, "picks": picks}
    return {name: pd.DataFrame(rows, columns=None if rows else COLUMNS[name]) for name, rows in found.items()}


def scene(index: int) -> Image.Image:
    """A picture with a few shapes on a gradient, 224 x 224."""
    rng = np.random.default_rng(index)
    ramp = np.linspace(150, 235, 224)[:, None, None] * np.array([0.8, 0.95, 1.0]) * np.ones((1, 224, 1))
    image = Image.fromarray(ramp.astype(np.uint8))
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, 150, 224, 224), fill=(110, 150, 90))
    for _ in range(6):
        x, y, side = (int(rng.integers(5, 170)), int(rng.integers(5, 170)), int(rng.integers(20, 48)))
        colour = tuple(int(v) for v in rng.integers(0, 255, 3))
        (pen.ellipse if rng.random() < 0.5 else pen.rectangle)((x, y, x + side, y + side), fill=colour)
    pen.rectangle((60, 80, 110, 130), fill=(200, 30, 30))
    return image


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def write_images(grid: Grid, folders: Folders) -> None:
    """Scenes, one object and one question each, corrupted copies at severity 3 or the nearest, and answers."""
    rng = np.random.default_rng(1)
    ids = [f"scene_{index:05d}" for index in range(grid.images)]
    pictures = {image_id: scene(index) for index, image_id in enumerate(ids)}
    samples = [
        records.Sample(
            f"{image_id}/colour/0",
            image_id,
            "colour",
            "What colour is the car?",
            "red",
            target="car",
            target_objects=(0,),
        )
        for image_id in ids
    ]
    mask = Image.new("1", (224, 224))
    ImageDraw.Draw(mask).rectangle((60, 80, 109, 129), fill=1)
    files.write_rows(
        folders.benchmark / "images.parquet",
        [
            {"image_id": i, "group": "street", "width": 224, "height": 224, **columns(_png(p))}
            for i, p in pictures.items()
        ],
        records.IMAGES,
    )
    objects = [
        {
            "image_id": i,
            "object_id": 0,
            "noun": "car",
            "colour": "red",
            "x0": 60,
            "y0": 80,
            "x1": 110,
            "y1": 130,
            "mask": _png(mask),
        }
        for i in ids
    ]
    files.write_rows(folders.benchmark / "objects.parquet", objects, records.OBJECTS)
    files.write_rows(
        folders.benchmark / "samples.parquet", [records.sample_to_row(sample) for sample in samples], records.SAMPLES
    )
    raster = [edge for y in range(0, 224, 14) for x in range(0, 224, 14) for edge in (x, y, x + 14, y + 14)]
    for backbone in grid.backbones:
        boxes = [{"width": 224, "height": 224, "boxes": raster}]
        files.write_rows(folders.patches / f"{backbone}.parquet", boxes, records.PATCHES)
    for family, perturbation, severity in grid.conditions():
        if family == "image":
            rows = [
                {"image_id": i, **columns(_png(p.point(lambda v, s=severity: max(0, v - 25 * s)))), "error": ""}
                for i, p in pictures.items()
            ]
            files.write_rows(folders.corrupted / f"{perturbation}_{severity}.parquet", rows, records.CORRUPTED)
    scored: list[dict[str, Any]] = []
    for backbone in grid.backbones:
        for method, options in grid.methods_of(backbone).items():
            count = round(256 * options.get("keep", 1.0))
            rows = []
            for family, perturbation, severity in grid.conditions():
                for sample in samples:
                    kept = sorted(rng.choice(256, count, replace=False).tolist())
                    rows.append(
                        {
                            "family": family, "perturbation": perturbation, "severity": severity,
                            "sample_id": sample.sample_id, "text": "red" if rng.random() < 0.8 else "blue",
                            "kept": kept, "visual_tokens": count, "input_tokens": count, "mean_tokens": float(count),
                            "sequence_length": count + 9,
                        }
                    )  # fmt: skip
            files.write_rows(folders.answers_of(backbone, method), rows, records.ANSWERS)
            logits = [{name: row.get(name, 0.0) for name in records.LOGITS.names} for row in rows]
            files.write_rows(folders.logits_of(backbone, method), logits, records.LOGITS)
            shared = ("family", "perturbation", "severity", "sample_id", "text")
            scored += [
                dict(
                    {key: row[key] for key in shared},
                    backbone=backbone,
                    method=method,
                    correct=float(row["text"] == "red"),
                )
                for row in rows
            ]
    files.write_table(folders.scores / "per_answer.parquet", pa.Table.from_pylist(scored))


def write(folder: Path, grid: Grid | None = None) -> tuple[Study, Folders]:
    """Write the whole made-up study below `folder`."""
    grid = grid or Grid()
    folders = Folders(folder)
    settings = study(grid)
    table = summary(grid)
    flops, latency = costs(grid)
    effective, curve = stability(grid, table)
    for path, frame in (
        (folders.scores / "effective.csv", effective),
        (folders.scores / "random_curve.csv", curve),
        (folders.scores / "chance.csv", chance()),
        (folders.scores / "summary.csv", table),
        (folders.scores / "contrasts.csv", contrasts(grid, table)),
        *((folders.scores / f"{name}.csv", frame) for name, frame in rivals(grid, effective).items()),
        (folders.costs / "flops.csv", flops),
        (folders.costs / "latency.csv", latency),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        frame.to_csv(path, index=False)
    files.write_json(folders.costs / "machine.json", {"processor": "made-up CPU", "threads": 1})
    files.write_text(folders.params, json.dumps(settings.model_dump(mode="json")))
    write_images(grid, folders)
    return settings, folders
