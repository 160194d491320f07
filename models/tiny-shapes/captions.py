"""Say in ordinary English what a scene shows, in very many ways.

Knows nothing about pixels or networks. What a caption does not name has a default, so that a
short prompt is no riddle: a shape without a direction is still, without a size large, without a
background on black. A caption that names neither colour nor shape says nothing at all.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

from world import BACKGROUNDS, BAR, COLOURS, DIRECTIONS, RADII_PX, SHAPES, Scene

ANY: Final = "any"
ATTRIBUTES: Final[dict[str, tuple[str, ...]]] = {
    "colour": (*COLOURS, ANY),
    "shape": (*SHAPES, ANY),
    "direction": (*DIRECTIONS, ANY),
    "size": (*RADII_PX, ANY),
    "background": (*BACKGROUNDS, ANY),
}
DEFAULTS: Final = {"direction": "still", "size": "large", "background": "black"}

COLOUR_WORDS: Final = {
    "red": ("red", "red", "red", "bright red", "crimson", "scarlet"),
    "green": ("green", "green", "green", "bright green"),
    "blue": ("blue", "blue", "blue", "deep blue"),
    "yellow": ("yellow", "yellow", "yellow", "bright yellow"),
    "purple": ("purple", "purple", "purple", "violet"),
    "orange": ("orange", "orange", "orange", "bright orange"),
}
SHAPE_WORDS: Final = {
    "circle": ("circle", "circle", "circle", "disc", "disk", "ball", "round shape"),
    "square": ("square", "square", "square", "box", "square shape"),
    "triangle": ("triangle", "triangle", "triangle", "triangular shape"),
    BAR: ("bar",),
}
SIZE_WORDS: Final = {
    "small": ("small", "small", "tiny", "little", "mini"),
    "large": ("large", "large", "big", "huge", "giant"),
}
MOVES: Final = (
    ("moving", "moves", "move"),
    ("moving", "moves", "move"),
    ("going", "goes", "go"),
    ("sliding", "slides", "slide"),
    ("drifting", "drifts", "drift"),
    ("flying", "flies", "fly"),
    ("travelling", "travels", "travel"),
    ("traveling", "travels", "travel"),
    ("floating", "floats", "float"),
    ("gliding", "glides", "glide"),
    ("heading", "heads", "head"),
    ("rolling", "rolls", "roll"),
    ("running", "runs", "run"),
)
WAYS: Final = {
    "left": ("left", "left", "left", "to the left", "to the left", "leftward", "leftwards",
             "towards the left", "from right to left"),
    "right": ("right", "right", "right", "to the right", "to the right", "rightward", "rightwards",
              "towards the right", "from left to right"),
    "up": ("up", "up", "up", "upward", "upwards", "to the top", "towards the top",
           "from bottom to top"),
    "down": ("down", "down", "down", "downward", "downwards", "to the bottom",
             "towards the bottom", "from top to bottom"),
}  # fmt: skip
VERTICAL_MOVES: Final = {
    "up": (("rising", "rises", "rise"), ("climbing", "climbs", "climb"),
           ("ascending", "ascends", "ascend")),
    "down": (("falling", "falls", "fall"), ("dropping", "drops", "drop"),
             ("sinking", "sinks", "sink"), ("descending", "descends", "descend")),
}  # fmt: skip
RESTS: Final = (
    ("standing still", "stands still", "stand still"),
    ("staying still", "stays still", "stay still"),
    ("keeping still", "keeps still", "keep still"),
    ("not moving", "does not move", "do not move"),
    ("resting", "rests", "rest"),
    ("staying in place", "stays in place", "stay in place"),
    ("standing in the middle", "stands in the middle", "stand in the middle"),
)
REST_WORDS: Final = ("still", "motionless", "stationary", "static", "at rest", "without moving")
SPEEDS: Final = ("slowly", "quickly", "smoothly", "steadily", "gently", "fast", "slow")
LEADS: Final = (
    "show me", "a video of", "video of", "a clip of", "an animation of", "draw", "make", "please",
    "create a video of", "generate", "i want to see", "there is", "here is", "imagine",
    "a scene with",
)  # fmt: skip
FILLERS: Final = (
    "beautiful", "nice", "simple", "shiny", "plain", "lovely", "cute", "single", "solid", "flat",
    "minimal", "glowing", "perfect", "clean", "funny", "colourful", "wonderful", "amazing",
)  # fmt: skip
TAILS: Final = (
    "4k", "ultra hd", "hd", "high quality", "best quality", "masterpiece", "cinematic", "detailed",
    "in the style of van gogh", "trending on artstation", "8k resolution", "smooth motion",
    "sharp focus", "consistent lighting", "studio light", "very detailed", "for my friend",
    "photo realistic", "loop", "sixteen frames", "at sunset", "in the morning", "on the screen",
    "across the screen", "across the frame", "ultra hd video",
)  # fmt: skip
EMPTY_TALK: Final = (
    "", "", "", "low quality", "blurry", "blurry, low quality", "bad quality, distorted",
    "watermark, text", "ugly", "noise", "worst quality, lowres, jpeg artifacts",
    "girl smiling and sitting on bench",
    "something", "a video", "deformed, blurry", "nothing",
)  # fmt: skip
BACKGROUND_WORDS: Final = {
    "black": ("black", "dark"),
    "white": ("white",),
    "gray": ("gray", "grey"),
}
LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class Named:
    """What a caption names; None is not named."""

    colour: str | None
    shape: str | None
    direction: str | None
    size: str | None
    background: str | None

    def labels(self) -> dict[str, str]:
        """What the caption means, with the defaults; all ANY where it says nothing."""
        if self.colour is None and self.shape is None:
            return dict.fromkeys(ATTRIBUTES, ANY)
        return {name: getattr(self, name) or DEFAULTS.get(name, ANY) for name in ATTRIBUTES}


def naming(scene: Scene, rng: random.Random) -> Named:
    """Choose what to name: a default may stay unsaid, colour or shape seldom."""

    def said(name: str) -> str | None:
        value: str = getattr(scene, name)
        return None if value == DEFAULTS[name] and rng.random() < 0.4 else value

    left_out = rng.random()
    return Named(
        colour=None if left_out < 0.03 else scene.colour,
        shape=None if 0.03 <= left_out < 0.06 else scene.shape,
        direction=said("direction"),
        size=said("size"),
        background=said("background"),
    )


def caption(named: Named, rng: random.Random) -> str:
    """One of very many sentences that name just this."""
    forms = (_sentence, _sentence, _sentence, _relative, _statement, _tags, _motion_first)
    form = rng.choice(forms)
    words = _with_background(form(named, rng), named.background, rng)
    if rng.random() < 0.25:
        words = f"{rng.choice(LEADS)} {words}"
    if rng.random() < 0.3:
        tails = rng.sample(TAILS, rng.randint(1, 3))
        words = f"{words}{rng.choice((', ', ' '))}{', '.join(tails)}"
    if rng.random() < 0.2:
        words = _with_unknown_words(words, rng)
    return _styled(words, rng)


def empty_talk(rng: random.Random) -> str:
    """A caption that names nothing of the world."""
    return rng.choice(EMPTY_TALK)


def _sentence(named: Named, rng: random.Random) -> str:
    motion = f" {_motion(named.direction, rng)}" if named.direction else ""
    return f"{_article(rng)}{_thing(named, rng)}{motion}"


def _relative(named: Named, rng: random.Random) -> str:
    if named.direction is None:
        return _sentence(named, rng)
    link = rng.choice(("that", "which", "and it"))
    return f"{_article(rng)}{_thing(named, rng)} {link} {_motion(named.direction, rng, form=1)}"


def _statement(named: Named, rng: random.Random) -> str:
    """ "the circle is red and small and moves left"."""
    shape = rng.choice(SHAPE_WORDS[named.shape]) if named.shape else "shape"
    facts = [
        *([rng.choice(COLOUR_WORDS[named.colour])] if named.colour else []),
        *([rng.choice(SIZE_WORDS[named.size])] if named.size else []),
    ]
    rng.shuffle(facts)
    motion = f" and {_motion(named.direction, rng, form=1)}" if named.direction else ""
    verb = rng.choice(("is", "that is"))
    said = f" {verb} {' and '.join(facts)}" if facts else ""
    return f"{rng.choice(('the', 'a', 'one'))} {shape}{said}{motion}"


def _tags(named: Named, rng: random.Random) -> str:
    """ "red circle, small, moving left", in any order."""
    tags = [_thing(Named(named.colour, named.shape, None, None, None), rng)]
    tags += [rng.choice(SIZE_WORDS[named.size])] if named.size else []
    if named.direction:
        short = named.direction if rng.random() < 0.3 else _motion(named.direction, rng)
        tags.append(short)
    rng.shuffle(tags)
    return rng.choice((", ", ", ", " ", "; ")).join(tags)


def _motion_first(named: Named, rng: random.Random) -> str:
    if named.direction is None:
        return _sentence(named, rng)
    return f"{_motion(named.direction, rng)}, {_article(rng)}{_thing(named, rng)}"


def _article(rng: random.Random) -> str:
    return rng.choice(("a ", "a ", "a ", "the ", "one ", ""))


def _thing(named: Named, rng: random.Random) -> str:
    adjectives = [
        *([rng.choice(SIZE_WORDS[named.size])] if named.size else []),
        *([rng.choice(COLOUR_WORDS[named.colour])] if named.colour else []),
    ]
    if rng.random() < 0.15:
        rng.shuffle(adjectives)
    if rng.random() < 0.15:
        adjectives.insert(rng.randint(0, len(adjectives)), rng.choice(FILLERS))
    noun = rng.choice(SHAPE_WORDS[named.shape]) if named.shape else rng.choice(("shape", "thing"))
    return " ".join([*adjectives, noun])


def _motion(direction: str, rng: random.Random, form: int = 0) -> str:
    """`form` 0: "moving left"; 1: "moves left"."""
    if direction == "still":
        rest = rng.choice(RESTS)[form]
        return rng.choice(REST_WORDS) if form == 0 and rng.random() < 0.5 else rest
    speed = f"{rng.choice(SPEEDS)} " if rng.random() < 0.12 else ""
    if direction in VERTICAL_MOVES and rng.random() < 0.3:
        move = rng.choice(VERTICAL_MOVES[direction])[form]
        return f"{speed}{move}" + (f" {rng.choice(WAYS[direction])}" if rng.random() < 0.3 else "")
    verb = rng.choice(MOVES)
    spoken = f"is {verb[0]}" if form == 1 and rng.random() < 0.2 else verb[form]
    return f"{speed}{spoken} {rng.choice(WAYS[direction])}"


def _with_background(words: str, background: str | None, rng: random.Random) -> str:
    if background is None:
        return words
    ground = rng.choice(BACKGROUND_WORDS[background])
    noun = rng.choice(("background", "background", "backdrop", "ground"))
    phrase = rng.choice((f"on a {ground} {noun}", f"on {ground}", f"against a {ground} {noun}",
                         f"over a {ground} {noun}", f"with a {ground} {noun}", f"{ground} {noun}",
                         f"in front of a {ground} {noun}"))  # fmt: skip
    if rng.random() < 0.2:
        return f"{phrase}, {words}"
    return f"{words}{rng.choice((' ', ' ', ', '))}{phrase}"


def _with_unknown_words(words: str, rng: random.Random) -> str:
    parts = words.split(" ")
    for _ in range(rng.randint(1, 3)):
        made_up = "".join(rng.choice(LETTERS) for _ in range(rng.randint(2, 8)))
        parts.insert(rng.choice((0, len(parts), rng.randint(0, len(parts)))), made_up)
    return " ".join(parts)


def _styled(words: str, rng: random.Random) -> str:
    words = words + rng.choice(("", "", "", ".", "!"))
    style = rng.random()
    if style < 0.1:
        return words.upper()
    return words[:1].upper() + words[1:] if style < 0.4 else words
