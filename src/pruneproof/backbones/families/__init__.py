"""Families of models, one module each.

A member exposes `load(settings, root, device) -> Backbone`, `patch_boxes(settings, root) -> PatchBoxes`, and, where
they apply, `CLOSED_DOORS` (door to the reason why no method acts there) and `MIXING` (why its connector
gives no patches).
"""
