"""Make a loaded pipeline as fast as its model's profile says. It stays so for every request."""

from pathlib import Path
from typing import Any

from t2v_api.execution import ModelExecution

from t2v_runner.attention import set_attention
from t2v_runner.compiling import compile_blocks
from t2v_runner.device import Device


def tuned(pipeline: Any, execution: ModelExecution, folder: Path, device: Device) -> Any:
    """The pipeline itself; `folder` is the model's. Raises ModelNotLoadable."""
    if execution.attention is not None:
        set_attention(pipeline, execution.attention, device)
    if execution.compile:
        compile_blocks(pipeline, folder, device)
    return pipeline
