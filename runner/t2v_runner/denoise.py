"""Run the pipeline: the call's arguments, progress and stopping between steps, frames out."""

import functools
import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from t2v_api.family import ModelFamily
from t2v_api.progress import Stage
from t2v_api.request import GenerationRequest

from t2v_runner.errors import RequestRefused, RunnerError
from t2v_runner.reporter import Reporter
from t2v_runner.scheduler import build_scheduler

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Frames = NDArray[np.uint8]
