"""Tokens by our own rules, near those of the Penn Treebank, for machines without Java.

Scores on them do not compare to the last digit with scores on PTB tokens: `docs/parity_captions.md` says how many
captions are cut differently, and where. Nothing is taken from the Stanford tokeniser but the form of what it puts out.
"""

from __future__ import annotations

import re

_ABBREVIATIONS = r"(?:mr|mrs|ms|dr|st|vs|etc|jr|sr|no|prof|gen|ave|blvd|rd|mt|ft|inc|co|corp|ltd|dept|approx)\."
_CLITIC = r"(?:'(?:s|m|d|re|ve|ll))"
_TOKEN = re.compile(
    rf"""
    (?:https?://|www\.)[^\s"<>]+                                # addresses
  | \S+@\S+\.\w+
  | (?:\w\.){{2,}}                                              # u.s., a.m.
  | (?<!\w)(?:{_ABBREVIATIONS}|[^\W\d_]\.)(?=\W|$)             # mr. smith, b. king
  | can(?=not\b) | gon(?=na\b) | wan(?=na\b) | got(?=ta\b)       # cannot is two tokens
  | \d+\ \d/\d\b                                               # 1 1/2 is one token
  | rock(?='n'roll\b) | '(?:n'|\d\ds?\b|tis\b|em\b|cause\b|til\b)
  | n't\b | {_CLITIC}(?!\w)
  | (?:[#@](?=[^\W\d]))?\w+?(?=n't\b)                                          # is|n't
  | \d+(?:[.,:/-]\d+)*\w*                                       # 1,000  5:30  1/2
  | (?:[#@](?=[^\W\d]))?\w+(?:(?!{_CLITIC}(?!\w))['./&-]\w+)*?(?={_CLITIC}(?!\w)|n't\b)
  | (?:[#@](?=[^\W\d]))?\w+(?:['./&-]\w+)*
  | [?!]{{2,}} | \.{{2,}} | --+
  | \S
    """,
    re.VERBOSE,
)
_BEYOND_THE_BASIC_PLANE = re.compile("[\U00010000-\U0010ffff]")
"""Emoji and the like, which the Stanford tokeniser drops."""
_QUOTES = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2013": "--", "\u2014": "--"})
_WRITTEN = {"(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-"}
_LEFT_OUT = frozenset({"", "'", '"', "`", "?", "!", ",", ":", ";", "-", "--", "---", "\N{HORIZONTAL ELLIPSIS}"})


def tokenise(caption: str) -> str:
    """Lower-case tokens of one caption with single blanks between them, without punctuation.

    Examples:
        >>> tokenise("A man's dog isn't here, Mr. Smith!"), tokenise("two-way street (at 5:30 p.m.)")
        ("a man 's dog is n't here mr. smith", 'two-way street -lrb- at 5:30 p.m. -rrb-')
    """
    text = _BEYOND_THE_BASIC_PLANE.sub(" ", caption).lower().translate(_QUOTES)
    found = [_WRITTEN.get(token, token) for token in _TOKEN.findall(text)]
    return " ".join(token.replace(" ", "\N{NO-BREAK SPACE}") for token in found if token.strip(".") not in _LEFT_OUT)
