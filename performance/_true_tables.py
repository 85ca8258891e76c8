"""The result of `true_shapes.py` as short tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from pruneproof.backbones.flops import Flops

GIB, MIB = 2**30, 2**20
COMPONENTS = tuple(Flops.__dataclass_fields__)
"""In the order of the work."""


def markdown(result: Mapping[str, Any]) -> str:
    """The whole page."""
    lines = [
        "# Full model against ATP at the published shapes",
        "",
        f"{result['device']}, {result['dtype']}, {result['threads']} threads, torch {result['torch']}, transformers "
        f"{result['transformers']}; random weights; {result['keep']:.0%} of the visual tokens kept; "
        f"{result['text_tokens']} text tokens in the prompt; {result['rounds']} rounds. Made by "
        "`python -m performance.true_shapes`.",
    ]
    if result["scale"] == "tiny":
        lines += ["", "**A smoke run of tiny models: the numbers say nothing about the published ones.**"]
    for family in result["families"].values():
        lines += ["", *_family(family, result["least_gain"])]
    return "\n".join(lines) + "\n"


def _family(family: Mapping[str, Any], least: float) -> list[str]:
    tokens, positions = family["visual_tokens"], family["prompt_positions"]
    built, published = family["language_layers"], family["published_language_layers"]
    cut = "" if built == published else ", which times and memory are of"
    return [
        f"## {family['title']}",
        "",
        f"{built} of {published} language layers{cut}; {tokens['full']} visual tokens, of which ATP keeps "
        f"{tokens['atp']}; the language model reads {positions['full']} positions, with ATP {positions['atp']}; "
        f"scored with the text tower of {family['text_tower']}.",
        "",
        *_flops(family["flops"], published),
        "",
        *_cells(family["cells"]),
        "",
        *_ratios(family),
        "",
        *_gains(family["ratios"], least),
    ]


def _flops(flops: Mapping[str, Any], layers: int) -> list[str]:
    modes = ("full", "atp")
    columns = [flops[mode]["formula_at_published_layers"] for mode in modes]
    rows = [(name, *(f"{column[name] / 1e9:.5g}" for column in columns)) for name in COMPONENTS]
    worst = max(flops[mode]["largest_difference"] for mode in modes)
    return [
        *_table((f"GFLOPs of one question, {layers} language layers", "full", "ATP"), rows),
        "",
        f"At the layers measured, torch's counter and the closed formula differ by at most {worst:.2%}.",
    ]


def _cells(cells: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = [
        (
            one["batch"],
            one["mode"],
            f"{one['first_token_s']:.3f}",
            f"{one['seconds_by_component']['prefill']:.3f}",
            "" if one["decode_tokens_per_s"] is None else f"{one['decode_tokens_per_s']:.1f}",
            f"{one['kv_cache_bytes'] / MIB:.1f}",
            "" if one["peak_bytes"] is None else f"{one['peak_bytes'] / GIB:.2f}",
            ", ".join(f"{length}: {share:.1%}" for length, share in one["share_scoring"].items()),
        )
        for one in cells
    ]
    times = ("first token, s", "prefill alone, s", "decode, tokens/s")
    return _table(("batch", "", *times, "KV cache, MiB", "peak, GiB", "share of scoring by answer length"), rows)


def _ratios(family: Mapping[str, Any]) -> list[str]:
    rows = [
        (
            one["batch"],
            one["answer_length"],
            f"{one['full_over_atp']:.2f} ({one['low']:.2f} to {one['high']:.2f})",
            f"{family['flops_atp_over_full'][str(one['answer_length'])]:.2f}",
        )
        for one in family["ratios"]
    ]
    return _table(("batch", "answer length", "time full/ATP", "FLOPs ATP/full"), rows)


def _gains(ratios: Iterable[Mapping[str, Any]], least: float) -> Iterator[str]:
    for batch, measured in groupby(ratios, key=itemgetter("batch")):
        gains = {one["answer_length"]: one["gain"] for one in measured}
        found = [str(length) for length, gain in gains.items() if gain]
        said = f"with answers of {', '.join(found)} tokens" if found else "at no answer length"
        yield f"- batch {batch}: full/ATP is at least {least} in every round {said} (of {', '.join(map(str, gains))})"


def _table(head: Iterable[str], rows: Iterable[Iterable[Any]]) -> list[str]:
    titles = tuple(head)
    lines = [titles, ("---",) * len(titles), *rows]
    return [f"| {' | '.join(map(str, line))} |" for line in lines]
