"""The small Qwen checkpoints with the files of the published ones, which differ from what `save_pretrained` writes.

Sources: the repositories Qwen/Qwen2.5-VL-7B-Instruct (config with the language model's values at its top level) and
Qwen/Qwen3-VL-8B-Instruct. Both have their template in two files.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.backbones._qwen_vl_checkpoint import EOS, PAD, save_qwen_vl

TEMPLATES = {
    "qwen2_5_vl": (
        "{% set image_count = namespace(value=0) %}{% set video_count = namespace(value=0) %}"
        "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}<|im_start|>system\n"
        "You are a helpful assistant.<|im_end|>\n{% endif %}<|im_start|>{{ message['role'] }}\n"
        "{% if message['content'] is string %}{{ message['content'] }}<|im_end|>\n"
        "{% else %}{% for content in message['content'] %}"
        "{% if content['type'] == 'image' or 'image' in content or 'image_url' in content %}"
        "{% set image_count.value = image_count.value + 1 %}"
        "{% if add_vision_id %}Picture {{ image_count.value }}: {% endif %}<|vision_start|><|image_pad|><|vision_end|>"
        "{% elif content['type'] == 'video' or 'video' in content %}"
        "{% set video_count.value = video_count.value + 1 %}"
        "{% if add_vision_id %}Video {{ video_count.value }}: {% endif %}<|vision_start|><|video_pad|><|vision_end|>"
        "{% elif 'text' in content %}{{ content['text'] }}{% endif %}{% endfor %}<|im_end|>\n{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    ),
    "qwen3_vl": (
        "{%- if messages[0].role == 'system' %}\n"
        "    {{- '<|im_start|>system\\n' }}\n"
        "    {%- if messages[0].content is string %}\n        {{- messages[0].content }}\n    {%- endif %}\n"
        "    {{- '<|im_end|>\\n' }}\n{%- endif %}\n"
        "{%- set image_count = namespace(value=0) %}\n"
        "{%- for message in messages %}\n"
        "    {%- if message.role == \"user\" %}\n"
        "        {{- '<|im_start|>' + message.role + '\\n' }}\n"
        "        {%- for content in message.content %}\n"
        "            {%- if content.type == 'image' or 'image' in content or 'image_url' in content %}\n"
        "                {%- set image_count.value = image_count.value + 1 %}\n"
        "                {%- if add_vision_id %}Picture {{ image_count.value }}: {% endif -%}\n"
        "                <|vision_start|><|image_pad|><|vision_end|>\n"
        "            {%- elif 'text' in content %}\n                {{- content.text }}\n            {%- endif %}\n"
        "        {%- endfor %}\n        {{- '<|im_end|>\\n' }}\n"
        "    {%- elif message.role == \"assistant\" %}\n"
        "        {{- '<|im_start|>' + message.role + '\\n' }}\n"
        "        {%- for content_item in message.content %}\n"
        "            {%- if 'text' in content_item %}\n"
        "                {{- content_item.text }}\n            {%- endif %}\n"
        "        {%- endfor %}\n        {{- '<|im_end|>\\n' }}\n    {%- endif %}\n{%- endfor %}\n"
        "{%- if add_generation_prompt %}\n    {{- '<|im_start|>assistant\\n' }}\n{%- endif %}\n"
    ),
}  # fmt: skip
"""As published, Qwen3-VL's without tools."""
SAMPLING = {
    "qwen2_5_vl": {"do_sample": True, "repetition_penalty": 1.05, "temperature": 0.000001},
    "qwen3_vl": {"do_sample": True, "top_p": 0.8, "top_k": 20, "temperature": 0.7, "repetition_penalty": 1.0},
}
"""What their generation_config.json asks for, and a greedy reading leaves out."""


def save_published(folder: Path, kind: str, **others: Any) -> None:
    """`save_qwen_vl` with the published layout; arguments as there."""
    save_qwen_vl(folder, kind, **others)
    _config(folder, kind)
    _processor(folder, kind)
    sampling = {"bos_token_id": PAD, "pad_token_id": PAD, "eos_token_id": [EOS, PAD], **SAMPLING[kind]}
    _write(folder / "generation_config.json", sampling)


def _config(folder: Path, kind: str) -> None:
    config = _read(folder / "config.json")
    text, vision = config["text_config"], config["vision_config"]
    rope = text.pop("rope_parameters")
    for part in (config, text, vision):
        part.pop("dtype", None)
        part.pop("layer_types", None)
    vision.pop("rope_parameters", None)
    text["rope_theta"] = rope.pop("rope_theta")
    text["rope_scaling"] = rope
    config |= {"torch_dtype": "float32", "transformers_version": "4.41.2"}
    if kind == "qwen2_5_vl":
        rope["type"] = "mrope"
        del rope["rope_type"], text["model_type"], vision["model_type"]
        vision["in_chans"] = vision.pop("in_channels")
        vision["spatial_patch_size"] = vision["patch_size"]
        config = config | text | {"sliding_window": 32768, "max_window_layers": 4, "use_sliding_window": False}
        del config["text_config"]
    _write(folder / "config.json", config)


def _processor(folder: Path, kind: str) -> None:
    image = _read(folder / "processor_config.json")["image_processor"]
    size = image.pop("size")
    own = {name: image[name] for name in ("image_mean", "image_std", "merge_size", "patch_size", "temporal_patch_size")}
    if kind == "qwen2_5_vl":
        own |= {"min_pixels": size["shortest_edge"], "max_pixels": size["longest_edge"]}
        own |= {"image_processor_type": "Qwen2VLImageProcessor", "processor_class": "Qwen2_5_VLProcessor"}
    else:
        own |= {
            "size": size,
            "image_processor_type": "Qwen2VLImageProcessorFast",
            "processor_class": "Qwen3VLProcessor",
        }
        video = own | {"video_processor_type": "Qwen3VLVideoProcessor"}
        _write(folder / "video_preprocessor_config.json", video)
    _write(folder / "preprocessor_config.json", own)
    template = {"chat_template": TEMPLATES[kind]}
    _write(folder / "chat_template.json", template)
    told = {"tokenizer_class": "Qwen2Tokenizer", "model_max_length": 131072, "bos_token": None, "unk_token": None}
    tokenizer = _read(folder / "tokenizer_config.json")
    _write(folder / "tokenizer_config.json", tokenizer | told | template)
    vocabulary = _read(folder / "tokenizer.json")["model"]
    special = {entry["content"] for entry in _read(folder / "tokenizer.json")["added_tokens"]}
    _write(folder / "vocab.json", {word: at for word, at in vocabulary["vocab"].items() if word not in special})
    merges = ("#version: 0.2", *(" ".join(pair) for pair in vocabulary["merges"]))
    (folder / "merges.txt").write_text("\n".join(merges) + "\n", encoding="utf-8")
    for name in ("processor_config.json", "chat_template.jinja"):
        (folder / name).unlink()


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _write(path: Path, values: dict[str, Any]) -> None:
    path.write_text(json.dumps(values, indent=2), encoding="utf-8")
