"""What a person reads where a video is not there: what happened, and what to do about it."""

from dataclasses import dataclass

from t2v_api.reasons import Reason, Waiting


@dataclass(frozen=True)
class Hint:
    """`title`: what happened. `advice`: what to do."""

    title: str
    advice: str


AGAIN = "Try it again."
ASK = "Ask whoever runs this installation."
UNKNOWN = Hint("It failed", "The message says more. Trying it again may help.")

HINTS: dict[str, Hint] = {
    Reason.INVALID_SPEC: Hint(
        "The request is malformed", "Ask again with this form: it checks every value."
    ),
    Reason.MODEL_NOT_FOUND: Hint(
        "There is no such model", "Choose another one; it may have been removed meanwhile."
    ),
    Reason.INVALID_REQUEST: Hint(
        "The model cannot draw this", "Change the value that the message names and ask again."
    ),
    Reason.SCHEDULER_NOT_SUPPORTED: Hint(
        "The model cannot use this scheduler",
        "Choose another one, or let the nearest that fits be taken.",
    ),
    Reason.INIT_MEDIA_NOT_SUPPORTED: Hint(
        "The model cannot start from this",
        "Remove the image or video, or choose a model that can.",
    ),
    Reason.MODEL_NOT_LOADABLE: Hint(
        "The model could not be loaded", f"Its files are wrong or missing. {ASK}"
    ),
    Reason.MODEL_NOT_IN_CACHE: Hint(
        "The model's files were not there", f"They may be on their way. {AGAIN}"
    ),
    Reason.GPU_NOT_AVAILABLE: Hint("No GPU was seen", f"A node lacks its GPU. {ASK}"),
    Reason.OUT_OF_MEMORY: Hint(
        "It needs more memory than a GPU here has",
        "Ask for a smaller size or fewer frames, or choose a smaller model.",
    ),
    Reason.STORAGE_FAILED: Hint(
        "The video could not be stored", f"The store did not take it. {AGAIN}"
    ),
    Reason.INIT_MEDIA_UNAVAILABLE: Hint(
        "The image or video to start from did not come",
        "See whether its address opens for everybody, then try again.",
    ),
    Reason.INIT_MEDIA_REFUSED: Hint(
        "The image or video to start from cannot be used",
        "It may be too large, of another kind, or at a private address. Take another one.",
    ),
    Reason.WEBHOOK_REFUSED: Hint(
        "The webhook leads where nobody may be called", "Give a public address, or none."
    ),
    Reason.POOL_NEEDS_KEY: Hint(
        "Your key opens no GPU pool for it", f"{ASK} A key has to name the pool."
    ),
    Reason.KEY_REFUSED: Hint(
        "Its key is not valid", "It was revoked, or is for another namespace. Sign in with another."
    ),
    Reason.STOPPED: Hint("It was stopped", AGAIN),
    Reason.RUNNER_FAULT: Hint(
        "The program that draws had a fault", f"{AGAIN} If it fails once more, report it."
    ),
    Reason.RUNNER_VANISHED: Hint("The program that draws was gone", AGAIN),
    Reason.DISRUPTED: Hint(
        "It was interrupted too often", "The cluster needed the room. Try again at another time."
    ),
    Reason.PREEMPTED: Hint("It had to make room for something more urgent", AGAIN),
    Reason.NODE_LOST: Hint("The machine that drew it was lost", AGAIN),
    Reason.DEADLINE_EXCEEDED: Hint(
        "It took longer than it may", "Ask for fewer steps or frames, or a smaller size."
    ),
    Reason.START_DEADLINE_EXCEEDED: Hint(
        "It did not start in time", f"An image or a volume may be missing. {ASK}"
    ),
    Reason.QUEUE_DEADLINE_EXCEEDED: Hint(
        "No GPU was free in time", "Try again when fewer videos wait."
    ),
    Reason.JOB_DELETED: Hint("Somebody deleted its Job", AGAIN),
    Reason.CANCELLED: Hint("It was cancelled", AGAIN),
}

WAITING: dict[str, str] = {
    Waiting.REQUEST_CHANGED: "The earlier request is being removed",
    Waiting.RETRYING: "It is tried once more",
    Waiting.JOB_NAME_TAKEN: "Something else has its name",
    Waiting.JOB_NOT_CREATED: "The cluster refused it",
    Waiting.JOB_NOT_CHANGED: "The cluster refused a change",
    Waiting.LARGER_POOL: "It moves to larger GPUs",
    Waiting.FREER_POOL: "It moves to a pool that is less busy",
    Waiting.QUOTA_EXCEEDED: "The quota is full",
    Waiting.NOT_ANSWERED: "The cluster does not answer",
    Waiting.UNKNOWN_FIELD: "A field is unknown",
    Waiting.JOB_BEING_DELETED: "Its Job is being deleted",
    Waiting.NO_POD: "Getting ready",
    Waiting.UNSCHEDULABLE: "Waits for a GPU",
    Waiting.STARTING: "Starting",
    Waiting.NODE_LOST: "Its machine does not answer",
    Waiting.RESTARTING: "Tries once more",
    Waiting.RUNNING: "Running",
    Waiting.SUSPENDED: "Suspended",
    Waiting.WAITING_IN_QUEUE: "In the queue",
    Waiting.PREEMPTED: "Back in the queue",
    Waiting.ENHANCING_PROMPT: "The prompt is being enhanced",
    Waiting.SAME_VIDEO: "The same video is being made already",
    Waiting.QUEUE_NOT_AVAILABLE: "Its queue cannot be used",
    Waiting.KEY_NOT_AVAILABLE: "Its key cannot be read",
    Waiting.MODEL_NOT_READY: "The model is on its way",
}
