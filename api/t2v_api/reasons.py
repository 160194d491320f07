"""Every reason a video can fail, and the runner's exit codes. Named here, nowhere else."""

from enum import IntEnum, StrEnum


class ExitCode(IntEnum):
    """How the runner's container ends. The Job's podFailurePolicy reads these."""

    DONE = 0
    FAULT = 1
    """A fault of the runner itself: worth another attempt, and a bug report."""
    REQUEST_REFUSED = 2
    MODEL_REFUSED = 3
    OUT_OF_MEMORY = 4
    STORAGE_OR_NETWORK = 5
    INIT_MEDIA_REFUSED = 6
    STOPPED = 143


class Reason(StrEnum):
    """Why a video failed: the reason of the condition, of the event and of the failure record."""

    INVALID_SPEC = "InvalidSpec"
    MODEL_NOT_FOUND = "ModelNotFound"
    INVALID_REQUEST = "InvalidRequest"
    SCHEDULER_NOT_SUPPORTED = "SchedulerNotSupported"
    INIT_MEDIA_NOT_SUPPORTED = "InitMediaNotSupported"
    MODEL_NOT_LOADABLE = "ModelNotLoadable"
    OUT_OF_MEMORY = "OutOfMemory"
    STORAGE_FAILED = "StorageFailed"
    INIT_MEDIA_UNAVAILABLE = "InitMediaUnavailable"
    INIT_MEDIA_REFUSED = "InitMediaRefused"
    STOPPED = "Stopped"
    RUNNER_FAULT = "RunnerFault"
    RUNNER_VANISHED = "RunnerVanished"


EXIT_CODES: dict[Reason, ExitCode] = {
    Reason.INVALID_SPEC: ExitCode.REQUEST_REFUSED,
    Reason.MODEL_NOT_FOUND: ExitCode.REQUEST_REFUSED,
    Reason.INVALID_REQUEST: ExitCode.REQUEST_REFUSED,
    Reason.SCHEDULER_NOT_SUPPORTED: ExitCode.REQUEST_REFUSED,
    Reason.INIT_MEDIA_NOT_SUPPORTED: ExitCode.REQUEST_REFUSED,
    Reason.MODEL_NOT_LOADABLE: ExitCode.MODEL_REFUSED,
    Reason.OUT_OF_MEMORY: ExitCode.OUT_OF_MEMORY,
    Reason.STORAGE_FAILED: ExitCode.STORAGE_OR_NETWORK,
    Reason.INIT_MEDIA_UNAVAILABLE: ExitCode.STORAGE_OR_NETWORK,
    Reason.INIT_MEDIA_REFUSED: ExitCode.INIT_MEDIA_REFUSED,
    Reason.STOPPED: ExitCode.STOPPED,
    Reason.RUNNER_FAULT: ExitCode.FAULT,
    Reason.RUNNER_VANISHED: ExitCode.FAULT,
}
