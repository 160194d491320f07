"""Compile a denoiser's repeated blocks, and keep what comes of it for the next run.

Blocks alone are compiled, not whole models: they are alike, and one of them is compiled for all.
"""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from t2v_runner.denoise import denoisers
from t2v_runner.device import CPU, Device
from t2v_runner.errors import ModelNotLoadable

CACHE = ".inductor"
"""In the model's folder."""
COMPILERS = {"CXX": ("g++", "clang++"), "CC": ("gcc", "clang", "cc")}


def compile_blocks(pipeline: Any, folder: Path, device: Device) -> None:
    """Blocks of all denoisers are compiled when they are asked first. Raises ModelNotLoadable."""
    _check_compiler("CXX" if device.name == CPU else "CC")
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(cache_folder(folder))
    for denoiser in denoisers(pipeline):
        # A cache of steps decides in Python, in the midst of the blocks: no full graph.
        denoiser.compile_repeated_blocks(fullgraph=False)


def cache_folder(model: Path) -> Path:
    """The model's own, where this user alone can write to it; else a new one for this run.

    What is in it is run: in a folder that others can write to, it would be their code.
    """
    own = model / CACHE
    with contextlib.suppress(OSError):  # a model is often mounted read-only
        own.mkdir(mode=0o700, exist_ok=True)
        status = own.lstat()
        is_private = status.st_uid == os.geteuid() and not status.st_mode & 0o022
        if is_private and os.access(own, os.W_OK):
            return own
    return Path(tempfile.mkdtemp(prefix="t2v-inductor-"))


def _check_compiler(variable: str) -> None:
    """Triton and Inductor both build small programs."""
    named = os.environ.get(variable)
    names = (named,) if named else COMPILERS[variable]
    if not any(shutil.which(name) for name in names):
        raise ModelNotLoadable(
            f"execution.compile needs a C compiler, and there is no {' or '.join(names)} here: "
            f"take an image of the runner that has one, set {variable}, or leave it out"
        )
