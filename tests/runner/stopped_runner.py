"""The runner itself, with one stage that takes for ever: `python -m tests.runner.stopped_runner`.

Its arguments: the stage; `heeds` or `deaf`, for code that no exception gets out of; a file that is
made when the stage has come. All else is as the environment says.
"""

import runpy
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
from t2v_api.progress import Stage
from t2v_runner import generate, placing, upload

STEPS_BEFORE = 2
OWNERS: dict[Stage, tuple[Any, str]] = {
    Stage.START: (generate, "choose_device"),
    Stage.DOWNLOAD: (generate, "locate_model"),
    Stage.LOAD: (placing, "load_pipeline"),
    Stage.ENCODE_PROMPT: (diffusers.AnimateDiffPipeline, "encode_prompt"),
    Stage.DENOISE: (diffusers.UNetMotionModel, "forward"),
    Stage.DECODE: (diffusers.AutoencoderKL, "decode"),
    Stage.ENCODE: (generate, "write_video"),
    Stage.UPLOAD: (upload, "put"),
}
"""What is called in each."""


def for_ever(is_deaf: bool, come: Path) -> None:
    come.touch()
    while True:
        try:
            time.sleep(1)
        except BaseException:
            if not is_deaf:
                raise


def slow_down(stage: Stage, is_deaf: bool, come: Path) -> None:
    owner, name = OWNERS[stage]
    real: Callable[..., Any] = getattr(owner, name)
    calls = 0

    def slow(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if stage is not Stage.DENOISE or calls > STEPS_BEFORE:
            for_ever(is_deaf, come)
        return real(*arguments, **named)

    setattr(owner, name, slow)


if __name__ == "__main__":
    slow_down(Stage(sys.argv[1]), sys.argv[2] == "deaf", Path(sys.argv[3]))
    sys.argv = sys.argv[:1]
    runpy.run_module("t2v_runner", run_name="__main__")
