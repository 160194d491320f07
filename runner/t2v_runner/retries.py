"""How often this container may be started again in its pod: Kubernetes itself sets no bound.

The kubelet starts it again after exit code 5 (`restartPolicyRules`), so a pod's scratch folder,
and in it the video or half of a download, is still there. The count stands in that folder too.
"""

import logging
from collections.abc import Mapping
from pathlib import Path

from t2v_api.progress import Stage
from t2v_api.reasons import ExitCode
from t2v_api.result import GenerationFailure

from t2v_runner.checkpoints.course import has_checkpoint
from t2v_runner.publish import left_behind

COUNT = ".retries"
"""One byte for each."""
BEFORE_DENOISING = (Stage.START, Stage.DOWNLOAD, Stage.LOAD)

logger = logging.getLogger(__name__)


def code_to_end_with(failure: GenerationFailure, environment: Mapping[str, str]) -> ExitCode:
    """The failure's own code, unless a retry would cost denoising again, or is one too many.

    T2V_RETRIES says how many there may be.
    """
    code, allowed = failure.exit_code, int(environment.get("T2V_RETRIES", "0"))
    if code is not ExitCode.STORAGE_OR_NETWORK or not allowed:
        return code
    has_begun, folder = failure.stage not in BEFORE_DENOISING, Path(environment["T2V_OUTPUT_DIR"])
    if has_begun and left_behind(folder) is None and not has_checkpoint(folder):
        return ExitCode.FAULT
    count = Path(environment["HOME"]) / COUNT
    try:
        with count.open("ab") as file:
            file.write(b"+")
            file.flush()
            begun = file.tell()
    except OSError as error:
        # A folder that takes no byte more would fail the retry as well.
        logger.warning("no retry in this pod: %s: %s", count, error.strerror)
        return ExitCode.FAULT
    return code if begun <= allowed else ExitCode.FAULT
