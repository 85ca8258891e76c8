"""What can go wrong between two runs, by kind: each changes a world and returns what it did."""

from __future__ import annotations

import ast
import os
import random
import shutil
import time
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from performance.faults._answered import (
    NOUNS,
    Upgrade,
    World,
    another_version,
    answer,
    read_params,
    write_params,
)
from PIL import Image

from pruneproof.stored import columns

Fault = Callable[[World, random.Random], "str | tuple[str, Upgrade]"]


def settings(world: World, rng: random.Random) -> str:
    """One value of params.yaml."""
    values = read_params(world)
    method = rng.choice(["random_25", "atp_25", "atp_25_control"])
    choices: list[tuple[str, Any]] = [
        ("study.seed", rng.randrange(2, 1000)),
        (f"methods.{method}.keep", rng.choice([0.1, 0.3, 0.5, 0.75])),
        ("methods.atp_25.alpha", rng.choice([0.0, 0.25, 0.9, 1.0])),
        ("methods.atp_25.relevance_sign", -1),
        ("methods.atp_25.attention_layer", rng.choice([-2, -3])),
        ("methods.atp_25.normalisation", rng.choice(["zscore", "softmax", "sum"])),
        ("methods.atp_25.text_tower", "control"),
        ("methods.another", {"method": "atp", "keep": 0.5}),
        ("backbones.tiny.max_new_tokens", rng.choice([1, 3, 6])),
        ("backbones.tiny.max_caption_tokens", rng.choice([2, 9])),
        ("backbones.tiny.question_suffix", rng.choice(["Briefly.", "Yes or no?"])),
        ("backbones.tiny.caption_prompt", "What is this?"),
        ("backbones.tiny.dtype", "bfloat16"),
        ("backbones.tiny.control_text_tower", "weights/clip"),
        ("answering.caption_conditions", rng.choice([[], ["clean", "gaussian_noise_3"]])),
        ("answering.dialogues.turns", 3),
        ("answering.dialogues.select_by", rng.choice([["last"], ["each"], ["first", "last"], []])),
        ("perturbations.image.names", []),
        ("perturbations.text.names", []),
    ]
    place, value = rng.choice(choices)
    at = values
    *way, last = place.split(".")
    for key in way:
        at = at[key]
    at[last] = value
    write_params(world, values)
    return f"{place} = {value}"


def inputs(world: World, rng: random.Random) -> str:
    """One cell of a table of pictures or texts."""
    name, column = rng.choice(
        [("benchmark/images", "png"), ("corrupted/gaussian_noise_3", "png"), ("benchmark/samples", "question"),
         ("benchmark/samples", "answer"), ("reworded/questions", "text"), ("reworded/questions", "accepted"),
         ("benchmark/samples", ""), ("corrupted/gaussian_noise_3", "")]
    )  # fmt: skip
    path = world.data / f"{name}.parquet"
    table = pq.read_table(path)
    rows = table.to_pylist()
    at = rng.randrange(len(rows))
    if not column:
        del rows[at]
    elif column == "png":
        pixels = np.array(Image.open(BytesIO(rows[at]["png"])))
        rows[at] |= columns(_png(rng.choice([255 - pixels, pixels[:, ::-1], np.roll(pixels, 9, axis=1)])))
    elif column == "accepted":
        rows[at][column] = not rows[at][column]
    else:
        rows[at][column] = rng.choice([f"is there a {noun} there?" for noun in NOUNS] + ["yes"])
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)
    return f"{name}.{column or 'a row gone'} in row {at}"


def _png(pixels: np.ndarray[Any, Any]) -> bytes:
    stream = BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(stream, "png")
    return stream.getvalue()


def weights(world: World, rng: random.Random) -> str:
    """One tensor or one line of a file that a loader reads; sometimes in place, under its old size and time."""
    folder = world.folder / rng.choice(["weights", "weights/clip", "elsewhere/clip"])
    path = rng.choice(sorted(path for path in folder.iterdir() if path.is_file()))
    silent = rng.random() < 0.5
    if silent:  # digests of settled files are remembered
        time.sleep(2.1)
        answer(world)
    before = path.stat()
    content = bytearray(path.read_bytes())
    if path.suffix == ".safetensors":
        start = 8 + int.from_bytes(content[:8], "little")
        at = start + 4 * rng.randrange((len(content) - start) // 8)
        size = (len(content) - at) // 4 * 4
        numbers = np.frombuffer(content[at : at + size], np.float32) * np.float32(rng.choice([0.5, -1.0, 1.5]))
        content[at : at + size] = numbers.tobytes()
    else:
        spots = [i for i, byte in enumerate(content) if chr(byte).isdigit()]
        if spots:
            at = rng.choice(spots)
            content[at] = ord(rng.choice("123456789"))
        else:
            content += b" "
    with path.open("r+b") as file:
        file.write(content)
    if silent:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    return f"{path.relative_to(world.folder)}{' under its old time' if silent else ''}"


def pickled(world: World, rng: random.Random) -> str:
    """Weights that run code, in the place of safetensors or beside them."""
    folder = world.folder / rng.choice(["weights", "weights/clip", "elsewhere/clip"])
    whole = folder / ("model.safetensors" if folder.name == "weights" else "open_clip_model.safetensors")
    pickle = folder / ("pytorch_model.bin" if folder.name == "weights" else "open_clip_pytorch_model.bin")
    beside = rng.random() < 0.3
    pickle.write_bytes(b"\x80\x04N.") if beside else whole.rename(pickle)
    return f"{pickle.relative_to(world.folder)}{' beside safetensors' if beside else ''}"


def packages(world: World, rng: random.Random) -> tuple[str, Upgrade]:
    """Another version of a package, which does something differently."""
    package = rng.choice(["pillow", "torch", "transformers", "open_clip_torch", "torchvision", "tokenizers"])

    def change() -> None:
        if package == "pillow":
            resize = Image.Image.resize
            Image.Image.resize = lambda self, *a, **k: resize(self, *a, **k).rotate(90)  # type: ignore[method-assign]
        elif package == "torch":
            import torch.nn.functional as functions

            silu = functions.silu
            functions.silu = lambda x, inplace=False: silu(x) * 1.1
        elif package == "transformers":
            from transformers.models.llama import modeling_llama

            norm = modeling_llama.LlamaRMSNorm.forward
            modeling_llama.LlamaRMSNorm.forward = lambda self, x: norm(self, x) * 1.05
        elif package == "open_clip_torch":
            import open_clip

            encode = open_clip.CLIP.encode_text
            open_clip.CLIP.encode_text = lambda self, *a, **k: -encode(self, *a, **k)

    return package, another_version(package, change)


def code(world: World, rng: random.Random) -> str:
    """One number, comparison, sum, condition or keyword of a module that answering loads."""
    modules = (world.folder / "modules").read_text().split()
    while True:
        name = rng.choice(modules)
        parts = name.split(".")[1:]
        path = world.source.joinpath(*parts)
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        tree = ast.parse(path.read_text())
        spots = [node for node in ast.walk(tree) if _mutable(node)]
        if spots:
            spot = rng.choice(spots)
            line = getattr(spot, "lineno", 0)
            _mutate(spot)
            path.write_text(ast.unparse(tree))
            return f"{name}, line {line}: {type(spot).__name__}"


def _mutable(node: ast.AST) -> bool:
    number = isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float)
    return number or isinstance(node, ast.BinOp | ast.Compare | ast.IfExp | ast.If)


def _mutate(node: ast.AST) -> None:
    if isinstance(node, ast.Constant):
        value: Any = node.value
        node.value = not value if isinstance(value, bool) else value + 1
    elif isinstance(node, ast.BinOp):
        node.op = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
    elif isinstance(node, ast.Compare):
        turned = {ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.GtE, ast.Gt: ast.LtE, ast.Is: ast.IsNot}
        node.ops = [turned.get(type(op), ast.Eq)() for op in node.ops]
    elif isinstance(node, ast.IfExp | ast.If):
        node.test = ast.UnaryOp(ast.Not(), node.test)
    ast.fix_missing_locations(node)


def imported(world: World, rng: random.Random) -> str:
    """A module that a method imports relatively."""
    del rng
    (world.source / "pruning/_rounding.py").write_text("def at_most(k, n):\n    return min(k + 1, n)\n")
    return "pruning/_rounding.py"


def comments(world: World, rng: random.Random) -> str:
    """A comment and a docstring, after which nothing is asked again."""
    modules = (world.folder / "modules").read_text().split()
    name = rng.choice(modules)
    path = world.source.joinpath(*name.split(".")[1:])
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    path.write_text(path.read_text() + '\n# A comment.\n"""A docstring."""\n')
    return name


def store(world: World, rng: random.Random) -> str:
    """A file of the store: damaged, another's, of another schema, or a folder."""
    files = sorted(path for path in (world.data / ".cells").rglob("*") if path.is_file())
    path, other = rng.sample(files, 2)
    how = rng.choice(["a byte", "cut", "empty", "another's", "a folder", "gone", "parquet"])
    content = bytearray(path.read_bytes())
    if how == "a byte":
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        path.write_bytes(content)
    elif how == "cut":
        path.write_bytes(content[: rng.randrange(len(content))])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "another's":
        shutil.copy(other, path)
    elif how == "parquet":
        pq.write_table(pa.table({"text": ["yes"]}), path)
    else:
        path.unlink()
        if how == "a folder":
            path.mkdir()
    return f"{path.suffix or path.name} {how}"


CHANGES: Mapping[str, tuple[int, Fault]] = {
    "settings": (40, settings),
    "inputs": (30, inputs),
    "weights": (35, weights),
    "pickled": (5, pickled),
    "packages": (15, packages),
    "code": (45, code),
    "imported": (2, imported),
    "comments": (8, comments),
    "store": (20, store),
}
"""How often each kind is tried, of 200, and what it does."""
