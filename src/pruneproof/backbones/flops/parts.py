"""What all layers are made of: matrix products, attention and feed-forward layers."""

from __future__ import annotations


def linear(rows: int, inputs: int, outputs: int) -> int:
    """A matrix product [rows, inputs] x [inputs, outputs]."""
    return 2 * rows * inputs * outputs


def attention(queries: int, keys: int, width: int) -> int:
    """Scores and weighted sum over all heads, which together are `width` wide."""
    return 4 * queries * keys * width


def encoder_layer(tokens: int, width: int, inner: int) -> int:
    """A transformer layer without gates: four projections, attention and feed-forward."""
    return 4 * linear(tokens, width, width) + attention(tokens, tokens, width) + feed_forward(tokens, width, inner)


def feed_forward(tokens: int, width: int, inner: int) -> int:
    """Two products, `width` to `inner` and back."""
    return 2 * linear(tokens, width, inner)


def gated(tokens: int, width: int, inner: int) -> int:
    """The same with a gate, which is a third one."""
    return 3 * linear(tokens, width, inner)
