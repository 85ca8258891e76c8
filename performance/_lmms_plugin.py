"""What lmms-eval's registry reads at its start; `_lmms_atp` itself would import the registry."""

from __future__ import annotations

from lmms_eval.models.registry_v2 import ModelManifest

MANIFEST = ModelManifest("llava_hf_atp", chat_class_path="performance._lmms_atp.LlavaHfAtp")
