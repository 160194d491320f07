"""How many tokens a text encoder takes for a prompt, at most: an estimate. No tokenizer, no I/O.

Every family has another tokenizer, of up to megabytes, which only the runner has. The runner says
exactly what was cut off; here it is enough never to promise room that is not there.
"""

import math
import re

FRAME = 2
"""Tokens that begin and end a prompt."""
LETTERS = 3
"""Of a word, in each token: CLIP takes 4 to 6 of plain English, T5 and its kin as many, and about 3
of rare names."""

PART = re.compile(r"[A-Za-z]+|[^A-Za-z\s]")
"""A word of Latin letters without marks, or a single digit, mark or other letter."""


def most_tokens(prompt: str) -> int:
    """The estimate, with the tokens that frame the prompt.

    A token for every three letters of a word, one for each digit and mark, and of other scripts one
    for each byte of UTF-8, which is what a tokenizer falls back to. Only made-up words, of letters
    that never stand together, take more.
    """
    return FRAME + sum(_tokens(part) for part in PART.findall(prompt))


def _tokens(part: str) -> int:
    is_word = part.isascii() and part.isalpha()
    return math.ceil(len(part) / LETTERS) if is_word else len(part.encode())
