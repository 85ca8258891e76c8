"""What families with a CLIP vision tower share: layers, attention, CLIP space, and where patches lie."""
