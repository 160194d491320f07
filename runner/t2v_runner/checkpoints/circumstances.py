"""What has to be the same for a video to go on as it would have: then its frames are, byte by byte.

Whether that holds, a checkpoint is asked before anything of it is used.
"""

import hashlib
from typing import TYPE_CHECKING

from t2v_api.execution import ModelExecution
from t2v_api.profile import ModelProfile
from t2v_api.request import GenerationRequest

from t2v_runner.checkpoints.file import Circumstances
from t2v_runner.device import CPU, Device

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def circumstances_of(
    profile: ModelProfile,
    request: GenerationRequest,
    init_frames: "NDArray[np.uint8] | None",
    device: Device,
    fp8: bool,
) -> Circumstances:
    """By the names that a notice has for them. Where the components are changes no frame."""
    import diffusers
    import torch

    execution: ModelExecution = profile.execution
    is_on_cpu = device.name == CPU
    given = hashlib.sha256(init_frames.data).hexdigest() if init_frames is not None else "none"
    return {
        "request": request.digest(profile.revision),
        "init media": given,
        "device": CPU if is_on_cpu else torch.cuda.get_device_name(device.name),
        "number of GPUs": str(profile.resources.gpus),
        "dtype": f"{device.dtype} in 8 bits" if fp8 else str(device.dtype),
        "attention": str(execution.attention),
        "compiling": str(execution.compile),
        "PyTorch": torch.__version__,
        "diffusers": diffusers.__version__,
    }
