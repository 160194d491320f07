"""The runner's error tree. Each knows its reason; `t2v_api.reasons` knows the exit code."""

import errno

from t2v_api.reasons import Reason
from t2v_api.result import MESSAGE_CHARACTERS

from t2v_runner.out_of_memory import is_out_of_memory


class RunnerError(Exception):
    """No video, for a reason that the user is told."""

    reason = Reason.RUNNER_FAULT

    def __init__(self, message: str) -> None:
        super().__init__(message[:MESSAGE_CHARACTERS])


class RequestRefused(RunnerError):
    """The request asks for what this model or this runner cannot do."""

    reason = Reason.INVALID_REQUEST


class SchedulerNotSupported(RequestRefused):
    """The scheduler would draw garbage with this model."""

    reason = Reason.SCHEDULER_NOT_SUPPORTED


class InitMediaNotSupported(RequestRefused):
    """This model has no way to start from an image or video."""

    reason = Reason.INIT_MEDIA_NOT_SUPPORTED


class ModelNotLoadable(RunnerError):
    """The model's files are missing, broken, or not safe to load."""

    reason = Reason.MODEL_NOT_LOADABLE


class ModelNotInCache(RunnerError):
    """The model should have been prefetched, and the cache, which is read-only, has it not."""

    reason = Reason.MODEL_NOT_IN_CACHE


class GpuNotAvailable(RunnerError):
    """A GPU was asked for, and there is none here."""

    reason = Reason.GPU_NOT_AVAILABLE


class OutOfMemory(RunnerError):
    """The device's memory does not hold this request."""

    reason = Reason.OUT_OF_MEMORY


class StorageFailed(RunnerError):
    """The video could not be written or uploaded, or the model not downloaded."""

    reason = Reason.STORAGE_FAILED


class InitMediaUnavailable(RunnerError):
    """The init media could not be had now; another attempt may succeed."""

    reason = Reason.INIT_MEDIA_UNAVAILABLE


class InitMediaRefused(RunnerError):
    """The init media is missing, unreadable, too large, or not to be fetched at all."""

    reason = Reason.INIT_MEDIA_REFUSED


class Stopped(RunnerError):
    """Somebody asked the runner to stop."""

    reason = Reason.STOPPED


def known(error: BaseException) -> RunnerError | None:
    """The runner's own error that `error` is, or that it comes from."""
    if isinstance(error, RunnerError):
        return error
    if is_out_of_memory(error):
        return OutOfMemory(
            "this machine's memory does not hold this request: "
            "fewer frames or a smaller size need less"
        )
    # FFmpeg's errors have an errno too, but are not always OSErrors.
    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
        return StorageFailed(f"no space left on the device: {error}")
    cause = error.__cause__ or error.__context__
    return known(cause) if cause is not None else None
