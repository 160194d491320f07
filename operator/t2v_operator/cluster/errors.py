"""What can go wrong between the operator and the API server."""

from t2v_operator.core.decision import Action, Refusal

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


class ActionRefused(Exception):
    """The API server did not perform an action; worth telling on the status."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.complaint)
        self.refusal = refusal


class NotLeader(Exception):
    """Another replica leads, or may lead by now: nothing may be written."""


class TryAgain(Exception):
    """The look has done what it could; it is worth another, later and later."""

    longest_seconds = 300.0
