"""The singular of a word as `pattern.en.singularize` forms it, mistakes included: official CHAIR sees words through it.

It takes the plural for granted: `bus` becomes `bu`, `glass` `glas`, `slice` `slouse`, `four` `fmy`. Hence the official
code finds a bus only where a caption speaks of buses. Behaviour of clips/pattern 3.6 on lower-case words, whose rules
come from Bermi Ferrer's Inflector; compared with it in `docs/parity_captions.md`.
"""

from __future__ import annotations

import re
from functools import lru_cache


def _words(text: str) -> list[str]:
    return text.split()


_KEPT = _words("""
    bison bream breeches britches carp chassis christmas clippers cod contretemps corps debris diabetes djinn eland elk
    flounder gallows georgia graffiti headquarters herpes high-jinks homework innings jackanapes mackerel measles mews
    mumps news pincers pliers proceedings rabies salmon scissors series shears species swine swiss trout tuna whiting
    wildebeest advice bread butter cheese electricity equipment fruit furniture garbage gravel happiness information
    ketchup knowledge love luggage mathematics mayonnaise meat mustard progress research rice sand software
    understanding water
""")
"""Words without another singular."""

_ENDS_OF_KEPT = frozenset(word[start:] for word in _KEPT for start in range(len(word) + 1))
"""A word is kept if one of those ends with it, not the other way round: `ears` is kept for the sake of `shears`."""

_IN_IE = tuple(
    f"{word}s"
    for word in _words("""
    alergie auntie beanie birdie bogie bombie collie cookie cutie doggie eyrie freebie goonie groupie hankie hippie
    hoagie hottie indie junkie laddie laramie lingerie meanie newbie nightie oldie pixie quickie reverie rookie softie
    sortie stoolie sweetie techie toughie valkyrie veggie weenie yuppie zombie
""")
)
"""Plurals of words in -ie, which official code leaves as they are: cookies stay cookies."""

_IRREGULAR = dict(
    pair.split(":")
    for pair in _words("""
    atlantes:atlas atlases:atlas axes:axe beeves:beef brethren:brother children:child corpora:corpus corpuses:corpus
    ephemerides:ephemeris feet:foot ganglia:ganglion geese:goose genera:genus genii:genie graffiti:graffito helves:helve
    kine:cow leaves:leaf loaves:loaf men:man mongooses:mongoose monies:money moves:move mythoi:mythos numena:numen
    occipita:occiput octopodes:octopus opera:opus opuses:opus our:my oxen:ox penes:penis penises:penis people:person
    sexes:sex soliloquies:soliloquy teeth:tooth testes:testis trilbys:trilby turves:turf zoa:zoon
""")
)
"""Endings, not whole words: `women` ends with `men`, `hour` with `our`. None ends with another."""

_ENDINGS = tuple(
    (re.compile(ending), new)
    for ending, new in (
        (r"(.)ae$", r"\1a"),
        (r"(.itis)$", r"\1"),
        (r"(.eau)x$", r"\1"),
        (r"(quiz)zes$", r"\1"),
        (r"(matr)ices$", r"\1ix"),
        (r"(ap|vert|ind)ices$", r"\1ex"),
        (r"^(ox)en", r"\1"),
        (r"(alias|status)es$", r"\1"),
        (r"([octpvir|])i$", r"\1us"),
        (r"(cris|ax|test)es$", r"\1is"),
        (r"(shoe)s$", r"\1"),
        (r"(o|bus)es$", r"\1"),
        (r"([ml|])ice$", r"\1ouse"),
        (r"(x|ch|ss|sh)es$", r"\1"),
        (r"(movie|.ombie)s$", r"\1"),
        (r"(series)$", r"\1"),
        (r"([^aeiouy]|qu)ies$", r"\1y"),
        (r"([aeo]l|[^d]ea|ar)ves$", r"\1f"),
        (r"(er)ves$", r"\1ve"),
        (r"([nlw]i)ves$", r"\1fe"),
        (r"([lr])ves$", r"\1f"),
        (r"([aeo]|si|ti|hi)ves$", r"\1ve"),
        (r"([^f])ves$", r"\1fe"),
        (r"^(analy)ses$", r"\1sis"),
        (r"(analy)ses$", r"\1asis"),
        (r"(ba|diagno|parenthe|progno|synop|the)ses$", r"\1sis"),
        (r"(.op|.y)ses$", r"\1sis"),
        (r"((?:h|d|r|o|n|b|cl|p)ose)s$", r"\1"),
        (r"((?:fruct|gluc|galact|lact|ket|malt|rib|sacchar|cellul)ose)$", r"\1"),
        (r"(.o)ses$", r"\1sis"),
        (r"([ti])a$", r"\1um"),
        (r"(news)$", r"\1"),
        (r"s$", ""),
    )
)
"""Rules in the order in which they are tried; the first that fits is used."""

_PREPOSITIONS = frozenset(
    _words("""
    about above across after among around at athwart before behind below beneath beside besides between betwixt beyond
    but by during except for from in into near of off on onto out over since till to under until unto upon with
""")
)
"""`mothers-in-law` becomes `mother-in-law`."""


@lru_cache(maxsize=1 << 16)
def singular(word: str) -> str:
    """The singular of a lower-case word.

    Examples:
        >>> [singular(word) for word in ("dogs", "knives", "women", "mothers-in-law", "bus", "glass")]
        ['dog', 'knife', 'woman', 'mother-in-law', 'bu', 'glas']
    """
    first, *others = word.split("-")
    if others and others[0] in _PREPOSITIONS:
        return "-".join((singular(first), *others))
    if word.endswith("'"):
        return f"{singular(word[:-1])}'s"
    if word in _ENDS_OF_KEPT or word.endswith(_IN_IE):
        return word
    for plural, one in _IRREGULAR.items():
        if word.endswith(plural):
            return word.removesuffix(plural) + one
    for ending, new in _ENDINGS:
        if ending.search(word):
            return ending.sub(new, word)
    return word
