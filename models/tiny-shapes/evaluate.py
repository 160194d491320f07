"""Measure the exported model: sample prompts, let the checker judge, count.

    python evaluate.py    # prints tables, writes scores.json, contact-sheet.png and seeds.png

Knows nothing about the training: it loads this folder as any user would.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from captions import Named, caption
from checker import Verdict, check
from diffusers import AnimateDiffPipeline, DDIMScheduler, DiffusionPipeline
from numpy.typing import NDArray
from PIL import Image
from world import BACKGROUNDS, Scene, held_out_combinations, seen_combinations

HERE: Final = Path(__file__).parent
ATTRIBUTES: Final = ("colour", "shape", "direction", "size", "background")
JOINT: Final = ("colour", "shape", "direction")
BATCH: Final = 9
GUIDANCE: Final = 2.0
ALSO: Final = 12  # seen, and as many held-out, prompts at each of the other guidance scales
SHEET_FRAMES: Final = (0, 3, 6, 9, 12, 15)
SHEET_ROWS: Final = 10
SEEDS: Final = 8
SEED_PROMPTS: Final = (
    "a red circle moving right on a white background",
    "a small green triangle standing still",
    "a blue square moving down on a gray background",
    "a small yellow circle moving up",
)

Video = NDArray[np.uint8]  # (frames, height, width, 3)


@dataclass(frozen=True)
class Case:
    """A prompt and what its video must show."""

    group: str
    prompt: str
    scene: Scene


@dataclass(frozen=True)
class Result:
    """What came of a case."""

    case: Case
    verdict: Verdict

    def is_right(self, attribute: str) -> bool:
        return bool(getattr(self.verdict, attribute) == getattr(self.case.scene, attribute))

    def is_jointly_right(self) -> bool:
        return all(self.is_right(attribute) for attribute in JOINT)


FREE: Final = (
    ("show me a big blue square that goes up", Scene("blue", "square", "up")),
    ("A tiny RED circle, drifting to the left!", Scene("red", "circle", "left", "small")),
    ("red circle", Scene("red", "circle")),
    ("a beautiful red circle moving right in the style of van gogh, 4k, ultra HD",
     Scene("red", "circle", "right")),
    ("a red circle moving right", Scene("red", "circle", "right")),
    ("a blue square moving left on a white background",
     Scene("blue", "square", "left", background="white")),
    ("green triangle falling", Scene("green", "triangle", "down")),
    ("a small yellow ball rises slowly", Scene("yellow", "circle", "up", "small")),
    ("huge purple box, motionless, grey backdrop",
     Scene("purple", "square", "still", background="gray")),
    ("an orange triangle that does not move", Scene("orange", "triangle")),
    ("Please, could you draw a little green square going to the right?",
     Scene("green", "square", "right", "small")),
    ("the triangle is yellow and it slides upwards, masterpiece, best quality",
     Scene("yellow", "triangle", "up")),
    ("A purple circle glides from left to right against a white background.",
     Scene("purple", "circle", "right", background="white")),
    ("zorgle blarf orange square qwxz moving down", Scene("orange", "square", "down")),
    ("cinematic shot of a tiny blue triangle travelling to the left, gray background",
     Scene("blue", "triangle", "left", "small", "gray")),
    ("one green circle standing still on white",
     Scene("green", "circle", "still", background="white")),
)  # fmt: skip


def cases(seen: int, held_out: int) -> list[Case]:
    """`seen` prompts over the trained combinations, `held_out` over the others, and FREE."""
    rng = random.Random(2024)
    chosen = [("seen", combination) for combination in _in_turn(seen_combinations(), seen, rng)]
    chosen += [("held-out", each) for each in _in_turn(held_out_combinations(), held_out, rng)]
    drawn = []
    for group, combination in chosen:
        scene = Scene(*combination, background=rng.choice(list(BACKGROUNDS)))
        named = Named(*combination, background=scene.background)
        drawn.append(Case(group, caption(named, rng), scene))
    return drawn + [Case("free", prompt, scene) for prompt, scene in FREE]


def _in_turn(
    values: Sequence[tuple[str, str, str, str]], count: int, rng: random.Random
) -> list[tuple[str, str, str, str]]:
    """`count` values, each as often as the others or once more, in a random order."""
    turns: list[tuple[str, str, str, str]] = []
    while len(turns) < count:
        turns += rng.sample(values, len(values))
    return turns[:count]


def sample(
    pipeline: AnimateDiffPipeline, prompts: list[str], guidance: float, steps: int, seed: int
) -> Iterator[Video]:
    """A video (16, 64, 64, 3) for each prompt; the n-th is made with the seed `seed + n`."""
    for first in range(0, len(prompts), BATCH):
        part = prompts[first : first + BATCH]
        noises = [torch.Generator().manual_seed(seed + first + i) for i in range(len(part))]
        frames = pipeline(
            part, num_frames=16, height=64, width=64, num_inference_steps=steps,
            guidance_scale=guidance, generator=noises, output_type="np",
        ).frames  # fmt: skip
        yield from np.rint(np.asarray(frames) * 255).astype(np.uint8)


def summary(results: Sequence[Result]) -> dict[str, dict[str, float]]:
    """For each group: n, the share that is right by attribute, and jointly."""
    groups = dict.fromkeys(result.case.group for result in results)
    return {group: _shares([r for r in results if r.case.group == group]) for group in groups}


def _shares(results: Sequence[Result]) -> dict[str, float]:
    n = len(results)
    right = {name: sum(r.is_right(name) for r in results) / n for name in ATTRIBUTES}
    joint = sum(r.is_jointly_right() for r in results) / n
    everything = sum(all(r.is_right(name) for name in ATTRIBUTES) for r in results) / n
    shares = {**right, "colour+shape+direction": joint, "all": everything}
    return {"n": n} | {name: round(share, 3) for name, share in shares.items()}


def contact_sheet(videos: Sequence[Video]) -> Image.Image:
    """A row of six frames for each video, two videos side by side."""
    strips = [np.concatenate(list(video[list(SHEET_FRAMES)]), axis=1) for video in videos]
    edged = [np.pad(strip, ((1, 1), (1, 1), (0, 0)), constant_values=90) for strip in strips]
    rows = [np.concatenate(edged[i : i + 2], axis=1) for i in range(0, len(edged) // 2 * 2, 2)]
    return Image.fromarray(np.concatenate(rows, axis=0))


def table(scores: dict[str, dict[str, float]]) -> str:
    names = list(next(iter(scores.values())))
    lines = ["| prompts | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for group, shares in scores.items():
        cells = [f"{shares[name]:.2f}" if name != "n" else f"{shares[name]}" for name in names]
        lines.append(f"| {group} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def load_pipeline(folder: Path) -> AnimateDiffPipeline:
    """The exported model in float32 with the DDIM scheduler."""
    pipeline = DiffusionPipeline.from_pretrained(folder, dtype=torch.float32)
    pipeline.scheduler = DDIMScheduler.from_config(pipeline.scheduler.config)
    pipeline.set_progress_bar_config(disable=True)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return pipeline.to(device)


@dataclass(frozen=True)
class Setting:
    """How to sample."""

    model: Path
    guidance: float
    steps: int
    seed: int
    processes: int


def evaluate(asked: Sequence[Case], setting: Setting) -> tuple[list[Result], list[Video]]:
    """Sample and judge every case, in as many processes as asked for."""
    half = -(-len(asked) // setting.processes)
    parts = [
        (setting, [case.prompt for case in asked[first : first + half]], setting.seed + first)
        for first in range(0, len(asked), half)
    ]
    with get_context("spawn").Pool(setting.processes) as pool:
        videos = [video for part in pool.map(_sample_part, parts) for video in part]
    judged = [Result(case, check(video)) for case, video in zip(asked, videos, strict=True)]
    return judged, videos


def _sample_part(part: tuple[Setting, list[str], int]) -> list[Video]:
    setting, prompts, seed = part
    if setting.processes > 1:
        torch.set_num_threads(1)
    pipeline = load_pipeline(setting.model)
    return list(sample(pipeline, prompts, setting.guidance, setting.steps, seed))


def seeds_apart(setting: Setting) -> tuple[float, Image.Image]:
    """How much two seeds of one prompt differ, on average over pixels, pairs and SEED_PROMPTS, as a
    share of the range; and a sheet with a row for each seed of the first two prompts."""
    with get_context("spawn").Pool(setting.processes) as pool:
        asked = [(setting, [prompt] * SEEDS, setting.seed) for prompt in SEED_PROMPTS]
        videos = pool.map(_sample_part, asked)
    pairs = [
        np.abs(one.astype(np.float32) - other).mean() / 255
        for same_prompt in videos
        for one, other in combinations(same_prompt, 2)
    ]
    rows = [video for both in zip(*videos[:2], strict=True) for video in both]
    return float(np.mean(pairs)), contact_sheet(rows)


def _mistakes(results: Sequence[Result]) -> list[dict[str, Any]]:
    return [
        {
            "group": result.case.group,
            "prompt": result.case.prompt,
            "wrong": {a: getattr(result.verdict, a) for a in ATTRIBUTES if not result.is_right(a)},
            "problem": result.verdict.problem,
        }
        for result in results
        if not all(result.is_right(attribute) for attribute in ATTRIBUTES)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=HERE)
    parser.add_argument("--output", type=Path, default=HERE)
    parser.add_argument("--seen", type=int, default=72)
    parser.add_argument("--held-out", type=int, default=54)
    parser.add_argument("--guidance", type=float, default=GUIDANCE)
    parser.add_argument("--also", type=float, nargs="*", default=[1.0, 7.5, 15.0])
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    chosen = parser.parse_args()
    rounds = [(chosen.guidance, cases(chosen.seen, chosen.held_out))]
    rounds += [(guidance, cases(ALSO, ALSO)[: 2 * ALSO]) for guidance in chosen.also]
    scores: dict[str, Any] = {"scheduler": "DDIM", "steps": chosen.steps, "seed": chosen.seed}
    setting = Setting(chosen.model, chosen.guidance, chosen.steps, chosen.seed, chosen.processes)
    apart, sheet = seeds_apart(setting)
    sheet.save(chosen.output / "seeds.png", optimize=True)
    print(f"two seeds of a prompt differ by {apart:.3f} of the range (n = {SEEDS} seeds each)")
    scores |= {"two_seeds_differ_by": round(apart, 4), "by_guidance": {}, "mistakes": {}}
    for number, (guidance, asked) in enumerate(rounds):
        results, videos = evaluate(asked, replace(setting, guidance=guidance))
        print(f"\nDDIM, {chosen.steps} steps, guidance {guidance:g}\n\n{table(summary(results))}")
        if number == 0:
            spread = np.linspace(0, len(videos) - 1, 2 * SHEET_ROWS).astype(int)
            sheet = contact_sheet([videos[i] for i in spread])
            sheet.save(chosen.output / "contact-sheet.png", optimize=True)
        scores["by_guidance"][f"{guidance:g}"] = summary(results)
        scores["mistakes"][f"{guidance:g}"] = _mistakes(results)
        (chosen.output / "scores.json").write_text(json.dumps(scores, indent=1) + "\n")


if __name__ == "__main__":
    main()
