"""Every reason that a status can have, and the runner's exit codes. Named here, nowhere else."""

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
    MODEL_NOT_IN_CACHE = "ModelNotInCache"
    """The pod's cache of prefetched models has it not: another node's may, or may soon again."""
    GPU_NOT_AVAILABLE = "GpuNotAvailable"
    """The model asks for a GPU, and the runner sees none in its pod."""
    OUT_OF_MEMORY = "OutOfMemory"
    """No way to run it fits the GPU's memory, seen before the start or in the run; or the container
    reached its own limit."""
    STORAGE_FAILED = "StorageFailed"
    INIT_MEDIA_UNAVAILABLE = "InitMediaUnavailable"
    INIT_MEDIA_REFUSED = "InitMediaRefused"
    WEBHOOK_REFUSED = "WebhookRefused"
    """The webhook's URL leads where nobody may be called."""
    POOL_NEEDS_KEY = "PoolNeedsKey"
    """The GPU pool needs an API key, or one that opens it."""
    KEY_REFUSED = "KeyRefused"
    """The API key is not known, was revoked, or is not for this namespace or request."""
    STOPPED = "Stopped"
    RUNNER_FAULT = "RunnerFault"
    RUNNER_VANISHED = "RunnerVanished"
    DISRUPTED = "Disrupted"
    """The pod was evicted; `maxDisruptions` bounds how often it, and what follows, is survived."""
    PREEMPTED = "Preempted"
    """The scheduler took the pod's place for one of a higher priority."""
    NODE_LOST = "NodeLost"
    """The pod's node does not answer any more; the pod was given up and replaced."""
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    START_DEADLINE_EXCEEDED = "StartDeadlineExceeded"
    """The pod had a node, and its container did not start there."""
    QUEUE_DEADLINE_EXCEEDED = "QueueDeadlineExceeded"
    """No GPU was free for longer than `queueDeadlineSeconds`."""
    JOB_DELETED = "JobDeleted"
    """Somebody deleted the Job while it was needed."""
    CANCELLED = "Cancelled"
    """`spec.cancel` is true: nobody wants the video any more."""


class Waiting(StrEnum):
    """Why a video is not there yet: the reason of the conditions until it has ended."""

    REQUEST_CHANGED = "RequestChanged"
    """The Job of the earlier request is being removed."""
    RETRYING = "Retrying"
    """`retryToken` asks for it once more; the Job that failed is being removed."""
    JOB_NAME_TAKEN = "JobNameTaken"
    """A Job that belongs to something else has the name that ours must have."""
    JOB_NOT_CREATED = "JobNotCreated"
    """The API server refused the Job."""
    JOB_NOT_CHANGED = "JobNotChanged"
    """The API server refused a change of the Job."""
    LARGER_POOL = "LargerPool"
    """The GPU's memory did not hold the video; its Job is made anew in a pool that has more."""
    FREER_POOL = "FreerPool"
    """The video would wait for less long in another pool; its Job is made anew there."""
    QUOTA_EXCEEDED = "QuotaExceeded"
    """A ResourceQuota of the namespace is full."""
    NOT_ANSWERED = "NotAnswered"
    """The API server, or a webhook that it asks, could not answer; it is tried again."""
    UNKNOWN_FIELD = "UnknownField"
    """The spec has a field that this version of the operator does not know."""
    JOB_BEING_DELETED = "JobBeingDeleted"
    NO_POD = "NoPod"
    """The Job controller has made no pod yet."""
    UNSCHEDULABLE = "Unschedulable"
    STARTING = "Starting"
    """The pod has a node; its container does not run yet."""
    NODE_LOST = "NodeLost"
    """The pod's node does not answer; the pod is replaced if that goes on."""
    RESTARTING = "Restarting"
    """The runner ended in a way that is worth a retry; it is started again in its pod."""
    RUNNING = "Running"
    SUSPENDED = "Suspended"
    WAITING_IN_QUEUE = "WaitingInQueue"
    """Kueue has not admitted the Job yet."""
    PREEMPTED = "Preempted"
    """Kueue took the GPU back for something else; the Job is in its queue again."""
    ENHANCING_PROMPT = "EnhancingPrompt"
    """A language model is asked for a better prompt; its Job is made when the answer is there."""
    SAME_VIDEO = "SameVideo"
    """Another resource makes the very same video just now; this one takes it when it is there."""
    QUEUE_NOT_AVAILABLE = "QueueNotAvailable"
    """The resource names a queue, or a priority in it, that cannot be used."""
    KEY_NOT_AVAILABLE = "KeyNotAvailable"
    """The Secret with the API key that the resource names is missing, or may not be read."""
    MODEL_NOT_READY = "ModelNotReady"
    """The VideoModel that the resource names is still being fetched, or cannot be used."""


class ModelReason(StrEnum):
    """Why a VideoModel is ready, or is not: the reason of its conditions."""

    AVAILABLE = "Available"
    """Videos can be made with it."""
    PREFETCHING = "Prefetching"
    """Its files are on their way into the model cache."""
    MISSING_IN_CACHE = "MissingInCache"
    """A video's pod did not find it in the model cache, where it was: it is fetched again."""
    IN_USE = "InUse"
    """It is being deleted, and goes when the last Job that uses it has ended."""
    NAME_TAKEN = "NameTaken"
    """The operator's configuration has a model of this name, which goes before it."""
    INVALID_SPEC = "InvalidSpec"
    NO_MODEL_CACHE = "NoModelCache"
    """It is to be fetched, and the operator's configuration has no place for it."""
    IMAGES_NOT_SUPPORTED = "ImagesNotSupported"
    """It comes from an image, and the cluster's pods cannot mount one."""
    NO_NODE = "NoNode"
    """It is to be fetched onto nodes, and none of their pools is there yet."""
    JOB_NOT_CREATED = "JobNotCreated"
    """The API server refused the Job that fetches it."""
    PREFETCH_FAILED = "PrefetchFailed"
    """The Job that fetches it has failed for good."""


SUCCEEDED = "Succeeded"
"""The conditions' reason when the video is there."""

REASONS = frozenset({SUCCEEDED, *Reason, *Waiting})
"""Every reason that the conditions can have."""


EXIT_CODES: dict[Reason, ExitCode] = {
    Reason.INVALID_SPEC: ExitCode.REQUEST_REFUSED,
    Reason.MODEL_NOT_FOUND: ExitCode.REQUEST_REFUSED,
    Reason.INVALID_REQUEST: ExitCode.REQUEST_REFUSED,
    Reason.SCHEDULER_NOT_SUPPORTED: ExitCode.REQUEST_REFUSED,
    Reason.INIT_MEDIA_NOT_SUPPORTED: ExitCode.REQUEST_REFUSED,
    Reason.MODEL_NOT_LOADABLE: ExitCode.MODEL_REFUSED,
    Reason.MODEL_NOT_IN_CACHE: ExitCode.FAULT,
    Reason.GPU_NOT_AVAILABLE: ExitCode.FAULT,
    Reason.OUT_OF_MEMORY: ExitCode.OUT_OF_MEMORY,
    Reason.STORAGE_FAILED: ExitCode.STORAGE_OR_NETWORK,
    Reason.INIT_MEDIA_UNAVAILABLE: ExitCode.STORAGE_OR_NETWORK,
    Reason.INIT_MEDIA_REFUSED: ExitCode.INIT_MEDIA_REFUSED,
    Reason.WEBHOOK_REFUSED: ExitCode.REQUEST_REFUSED,
    Reason.POOL_NEEDS_KEY: ExitCode.REQUEST_REFUSED,
    Reason.KEY_REFUSED: ExitCode.REQUEST_REFUSED,
    Reason.STOPPED: ExitCode.STOPPED,
    Reason.RUNNER_FAULT: ExitCode.FAULT,
    Reason.RUNNER_VANISHED: ExitCode.FAULT,
    Reason.DISRUPTED: ExitCode.STOPPED,
    Reason.PREEMPTED: ExitCode.STOPPED,
    Reason.NODE_LOST: ExitCode.STOPPED,
    Reason.DEADLINE_EXCEEDED: ExitCode.STOPPED,
    Reason.START_DEADLINE_EXCEEDED: ExitCode.STOPPED,
    Reason.QUEUE_DEADLINE_EXCEEDED: ExitCode.STOPPED,
    Reason.JOB_DELETED: ExitCode.STOPPED,
    Reason.CANCELLED: ExitCode.STOPPED,
}
