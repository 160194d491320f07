"""The operator's errors that a user can see."""

from t2v_api.reasons import Reason


class RequestRefused(Exception):
    """The resource is well-formed, but no video can be made of it as it is."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
