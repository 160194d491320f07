"""What can go wrong between the operator and the API server."""

from aiohttp import ClientError

from t2v_operator.core.decision import Action, Refusal
from t2v_operator.core.observed import ObservedJob

REFUSED = (400, 403, 404, 422)
"""The API server will give the same answer next time, unless somebody changes something."""


class ClusterError(Exception):
    """The API server refused a request."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"the API server answered {status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message

    def refusal(self, action: Action) -> Refusal:
        """The error as the core knows it."""
        return Refusal(action, self.message, is_final=self.status in REFUSED)


UNANSWERED = (ClientError, ClusterError, TimeoutError, OSError, ValueError, LookupError, TypeError)
"""What a request can end with: no answer, a refusal, or an answer of something in between."""


class ActionRefused(Exception):
    """The API server did not perform an action; worth telling on the status."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.complaint)
        self.refusal = refusal


class JobExists(Exception):
    """A Job of the name is there already, ours or somebody else's."""

    def __init__(self, job: ObservedJob) -> None:
        super().__init__(f"the Job {job.name} is there already")
        self.job = job


class NotLeader(Exception):
    """Another replica leads, or may lead by now: nothing may be written."""


class TryAgain(Exception):
    """The look has done what it could; it is worth another, later and later."""

    longest_seconds = 300.0
