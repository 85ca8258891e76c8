"""A model of lmms-eval: its own LLaVA with ATP before the connector. Imported by lmms-eval's process alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lmms_eval.models.chat.llava_hf import LlavaHf
from lmms_eval.protocol import ChatMessages
from performance._lmms_pruning import pruned_prompt
from tqdm import tqdm

from pruneproof import pruning
from pruneproof.backbones.clip.text_towers import load_clip_space
from pruneproof.backbones.families.llava import Llava
from pruneproof.settings import BackboneSettings, MethodSettings


class LlavaHfAtp(LlavaHf):  # type: ignore[misc]  # lmms-eval is not installed where types are checked
    """As `llava_hf` answers, one question at a time; what is generated from is pruned by `_lmms_pruning`."""

    is_simple = False

    def __init__(self, pretrained: str, text_tower: str, keep: float, device: str = "cpu", **others: Any) -> None:
        super().__init__(pretrained=pretrained, device=device, **others)
        settings = BackboneSettings(family="llava", checkpoint=pretrained, text_tower=text_tower)
        clip = load_clip_space(settings, Path(), device)
        self._backbone = Llava(self.model, self._image_processor, clip, device)
        self._atp = pruning.load(MethodSettings.model_validate({"method": "atp", "keep": keep}))

    def generate_until(self, requests: list[Any]) -> list[str]:
        """An answer to each request, in their order."""
        answers = []
        for request in (bar := tqdm(requests, desc="Model Responding")):
            _, to_messages, options, number, task, split = request.args
            row = self.task_dict[task][split][number]
            messages = ChatMessages(messages=to_messages(row))
            [picture] = messages.extract_media()[0]
            text = self._image_processor.apply_chat_template(
                messages.model_dump()["messages"], tokenize=False, add_generation_prompt=True
            )
            inputs = self._image_processor(images=[picture], text=text, return_tensors="pt")
            inputs = inputs.to(self.device, self.model.dtype)
            embedded = pruned_prompt(self._backbone, self._atp, inputs, picture.size, row["question"])
            found = self.model.generate(
                inputs_embeds=embedded,
                attention_mask=embedded.new_ones(embedded.shape[:2], dtype=torch.long),
                do_sample=False,
                max_new_tokens=options["max_new_tokens"],
                use_cache=self.use_cache,
                pad_token_id=self.eot_token_id,
                eos_token_id=self.eot_token_id,
            )
            answers += self.tokenizer.batch_decode(found, skip_special_tokens=True)
        bar.close()
        return answers
