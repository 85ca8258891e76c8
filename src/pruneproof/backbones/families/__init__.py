"""Families of models, one module each.

A member exposes `load(settings, root, device) -> Backbone`, `patch_boxes(settings, root) -> PatchBoxes`, `MODEL_TYPE`
(the `model_type` of its checkpoints' configs, or several of them), and, where they apply, `CLOSED_DOORS` (door to the
reason why no method acts there), `MIXING` (why its connector gives no patches) and `LACKING` (signal of `VisualTokens`,
or `renumbering` of tokens inside the language model, to the reason why there is none). These are literals, which
validation reads without importing the family. A family that lacks `aligned` has no CLIP and takes no `text_tower`; one
that sets `RESIZES` reads each picture at a size of its own, between limits that `pixels` may set.
"""
