"""Embeddings of the words that name what a scene shows, for the aids that draw visual tokens near them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from pruneproof.benchmarks.scenes.vocabulary import BY_NAME, COLOURS, NOUN_NAMES

TEMPERATURE = 0.2
"""Of the cosine between token and word: the language model normalises every token first, so only directions count."""


class Words:
    """Token ids of classes (singular and plural) and colours."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        def ids(word: str) -> list[int]:
            found: list[int] = tokenizer(word, add_special_tokens=False).input_ids
            return found

        nouns = [BY_NAME[name] for name in NOUN_NAMES]
        self.nouns = ([ids(noun.name) for noun in nouns], [ids(noun.plural) for noun in nouns])
        self.colours = [ids(colour) for colour in COLOURS]


def cosines(tokens: Tensor, words: Sequence[list[int]], embed: Callable[[Tensor], Tensor]) -> Tensor:
    """Scaled cosine of tokens [..., W] and words, each the mean of its tokens' embeddings: [..., words]."""
    device = tokens.device
    table = torch.stack([embed(torch.tensor(ids, device=device)).mean(0) for ids in words])
    return nn.functional.normalize(tokens, dim=-1) @ nn.functional.normalize(table, dim=-1).T / TEMPERATURE
