"""Measure all 18 schedulers and write docs/schedulers.md's tables, its data and its picture.

    python benchmarks/schedulers.py             # about 40 minutes of one core
    python benchmarks/schedulers.py --seen 2 --scheduler DDIMScheduler --output /tmp/trial

Two measures. The oracle (tests/runner/oracle.py) needs no weights and knows the right answer.
tiny-shapes is a real model: its own checker says whether colour, shape and direction are right.
DDIMInverse needs a video to start from: the scene in another colour, which the prompt changes.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from t2v_api.family import ModelFamily
from t2v_api.schedulers import Scheduler, Support, least_steps, verdict
from t2v_api.start import Start

ROOT = Path(__file__).parents[1]
TINY_SHAPES = ROOT / "models" / "tiny-shapes"
STEPS = 25
GUIDANCE = 2.0
SEED = 0
STRENGTH = 0.8
"""Of DDIMInverse's run: enough for another colour, too little for another path."""
ENOUGH = 0.85
"""Of what DDIM reaches."""
ON_THE_SHEET = (0, 1)
"""Whose videos the picture shows: the first prompts."""
SHEET_FRAMES = (0, 3, 6, 9, 12, 15)
LABEL_PX = 210
PICTURE = "![Two prompts with each scheduler, six frames of each video](schedulers.png)"
FROM = {Start.TEXT: "", Start.VIDEO: ", from video", Start.FIRST_FRAME: ", from frames"}


@dataclass(frozen=True)
class Score:
    """What tiny-shapes drew with one scheduler."""

    scheduler: Scheduler
    runs_as: str
    n: int
    right: dict[str, int]
    """How many videos show the right colour, shape, direction, and all three."""
    videos: list[Any]

    @property
    def share(self) -> float:
        return self.right["joint"] / self.n


def main() -> None:
    """Measure, print the tables, write them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seen", type=int, default=24, help="prompts of trained combinations")
    parser.add_argument("--held-out", type=int, default=12, help="prompts of the others")
    parser.add_argument("--scheduler", nargs="+", type=Scheduler, default=list(Scheduler))
    parser.add_argument("--output", type=Path, default=ROOT / "docs")
    parser.add_argument("--processes", type=int, default=2)
    chosen = parser.parse_args()
    chosen.output.mkdir(parents=True, exist_ok=True)
    tables = {"verdicts": verdict_table(), "oracle": oracle_table(chosen.scheduler)}
    print(tables["oracle"])
    tasks = [(scheduler, chosen.seen, chosen.held_out) for scheduler in chosen.scheduler]
    with get_context("spawn").Pool(chosen.processes) as pool:
        scores = pool.map(_score, tasks, chunksize=1)
    tables["tiny-shapes"] = f"{score_table(scores)}\n\n{PICTURE}"
    print(tables["tiny-shapes"])
    _contact_sheet(scores).save(chosen.output / "schedulers.png", optimize=True)
    (chosen.output / "schedulers.json").write_text(json.dumps(_document(scores), indent=1) + "\n")
    page = chosen.output / "schedulers.md"
    if page.exists():
        page.write_text(with_tables(page.read_text(), tables))


def with_tables(page: str, tables: dict[str, str]) -> str:
    """`page` with each table between its two markers."""
    for name, table in tables.items():
        marked = rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)"
        page = re.sub(marked, lambda found: f"{found[1]}{table}\n{found[2]}", page, flags=re.DOTALL)  # noqa: B023
    return page


def verdict_table() -> str:
    """What each family makes of each scheduler, from noise, from a video and from frames."""
    columns = [(family, start) for family in ModelFamily for start in _shown(family)]
    head = [f"{family}{FROM[start]}" for family, start in columns]
    rows = [
        [_short(scheduler), *(_cell(family, scheduler, start) for family, start in columns)]
        for scheduler in Scheduler
    ]
    return _table(["scheduler", *head], rows)


def oracle_table(schedulers: Sequence[Scheduler]) -> str:
    """Mean and standard deviation, wanted 2.00 / 0.50, by steps and beta schedule."""
    sys.path.insert(0, str(ROOT))
    from tests.runner.oracle import BETAS, noise_run

    family, head, rows = ModelFamily.ANIMATEDIFF, ["scheduler", "evaluations at 20"], []
    columns = [(betas, steps) for betas in BETAS for steps in (1, 5, 20, 50)]
    head += [f"{betas}, {steps}" for betas, steps in columns]
    for scheduler in schedulers:
        strength = 0.6 if scheduler is Scheduler.DDIM_INVERSE else None
        cells, evaluations = [], 0
        for betas, steps in columns:
            if steps < least_steps(family, scheduler) or (strength and steps == 1):
                cells.append("–")
                continue
            end = noise_run(betas, "v_prediction", scheduler, steps, strength)
            cells.append(f"{end.mean:.2f} / {end.std:.2f}")
            evaluations = end.evaluations if steps == 20 else evaluations
        rows.append([_short(scheduler), str(evaluations), *cells])
    return _table(head, rows)


def score_table(scores: Sequence[Score]) -> str:
    """What tiny-shapes draws, as its checker sees it."""
    base = next((each.share for each in scores if each.scheduler is Scheduler.DDIM), None)
    rows = []
    for score in scores:
        of_ddim = score.share / base if base else None
        rows.append(
            [
                _short(score.scheduler),
                score.runs_as,
                str(score.n),
                *(f"{score.right[name] / score.n:.2f}" for name in ("colour", "shape")),
                f"{score.right['direction'] / score.n:.2f}",
                f"**{score.share:.2f}**",
                "–" if of_ddim is None else f"{of_ddim:.0%}{'' if of_ddim >= ENOUGH else ' ⚠'}",
            ]
        )
    names = ["scheduler", "class", "n", "colour", "shape", "direction", "all three", "of DDIM"]
    return _table(names, rows)


def _score(task: tuple[Scheduler, int, int]) -> Score:
    """Draw and judge every case with one scheduler, on one core."""
    import torch

    sys.path.insert(0, str(TINY_SHAPES))
    from evaluate import JOINT, Result, cases, check

    torch.set_num_threads(1)
    scheduler, seen, held_out = task
    asked = [case for case in cases(seen, held_out) if case.group != "free"]
    start = Start.VIDEO if scheduler is Scheduler.DDIM_INVERSE else Start.TEXT
    draw = _from_videos if start is Start.VIDEO else _from_noise
    videos = list(draw(scheduler, asked))
    results = [Result(case, check(video)) for case, video in zip(asked, videos, strict=True)]
    right = {name: sum(result.is_right(name) for result in results) for name in JOINT}
    right["joint"] = sum(result.is_jointly_right() for result in results)
    print(f"{scheduler}: {right['joint']} of {len(asked)}", flush=True)
    runs_as = verdict(ModelFamily.ANIMATEDIFF, scheduler, start).class_name
    shown = [videos[number] for number in ON_THE_SHEET]
    return Score(scheduler, runs_as, len(asked), right, shown)


def _from_noise(scheduler: Scheduler, asked: Sequence[Any]) -> Iterator[Any]:
    from evaluate import sample
    from t2v_runner.device import choose_device
    from t2v_runner.families import adapter_of
    from t2v_runner.model import load_pipeline

    request, profile = _request(scheduler, "any")
    pipeline = load_pipeline(TINY_SHAPES, profile, choose_device(0))
    pipeline.scheduler = adapter_of(profile.family).scheduler(pipeline, request)
    return sample(pipeline, [case.prompt for case in asked], GUIDANCE, STEPS, SEED)


def _from_videos(scheduler: Scheduler, asked: Sequence[Any]) -> Iterator[Any]:
    """From the scene in the next colour."""
    import numpy as np
    from t2v_runner.denoise import denoise
    from t2v_runner.device import choose_device
    from t2v_runner.families import adapter_of
    from t2v_runner.model import load_pipeline
    from t2v_runner.reporter import Reporter
    from t2v_runner.stop import StopSignal
    from world import COLOURS, draw_clip

    _, profile = _request(scheduler, "any")
    pipeline = load_pipeline(TINY_SHAPES, profile, choose_device(0))
    adapter = adapter_of(profile.family)
    reporter = Reporter(lambda progress: None, StopSignal())
    for number, case in enumerate(asked):
        colours = list(COLOURS)
        other = colours[(colours.index(case.scene.colour) + 1) % len(colours)]
        start = draw_clip(replace(case.scene, colour=other), np.random.default_rng(number))
        request, _ = _request(
            scheduler, case.prompt, init_video="file:///drawn.mp4", strength=STRENGTH
        )
        yield denoise(pipeline, adapter, request, start, reporter).frames


def _request(scheduler: Scheduler, prompt: str, **changes: Any) -> tuple[Any, Any]:
    from t2v_api.request import GenerationRequest
    from t2v_operator.config import load_config

    profile = load_config(None).catalogue["tiny-shapes"]
    request = GenerationRequest(
        model_id=profile.id,
        prompt=prompt,
        width=64,
        height=64,
        num_frames=16,
        fps=8,
        scheduler=scheduler,
        num_inference_steps=STEPS,
        guidance_scale=GUIDANCE,
        seed=SEED,
        **changes,
    )
    return request, profile


def _contact_sheet(scores: Sequence[Score]) -> Any:
    """A row for each scheduler: its name, and six frames of each shown video."""
    import numpy as np
    from PIL import Image, ImageDraw

    rows = []
    for score in scores:
        label = Image.new("RGB", (LABEL_PX, 66), "white")
        text = f"{_short(score.scheduler)}\n{score.right['joint']} of {score.n} right"
        ImageDraw.Draw(label).multiline_text((8, 18), text, fill="black", font_size=13)
        strips = [np.concatenate(list(video[list(SHEET_FRAMES)]), axis=1) for video in score.videos]
        edged = [np.pad(each, ((1, 1), (1, 1), (0, 0)), constant_values=90) for each in strips]
        rows.append(np.concatenate([np.asarray(label), *edged], axis=1))
    return Image.fromarray(np.concatenate(rows, axis=0))


def _document(scores: Sequence[Score]) -> dict[str, Any]:
    schedulers = {
        score.scheduler.value: {"class": score.runs_as, "n": score.n, "right": score.right}
        for score in scores
    }
    return {"steps": STEPS, "guidance": GUIDANCE, "seed": SEED, "schedulers": schedulers}


def _shown(family: ModelFamily) -> tuple[Start, ...]:
    """Starts whose verdicts are not those of one before."""
    found = {
        tuple(verdict(family, each, start) for each in Scheduler): start
        for start in reversed(FROM)
        if start in family.traits.starts
    }
    return tuple(start for start in FROM if start in found.values())


def _cell(family: ModelFamily, scheduler: Scheduler, start: Start) -> str:
    decision = verdict(family, scheduler, start)
    if decision.support is Support.REPLACED:
        return f"→ {_short(decision.scheduler)}"
    return decision.support.lower()


def _short(scheduler: Scheduler) -> str:
    return scheduler.removesuffix("Scheduler")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


if __name__ == "__main__":
    main()
