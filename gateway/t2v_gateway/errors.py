"""What a client is told when it does not get what it asked for."""


class Refused(Exception):
    """Asked in a way that gets no video. `message` is for whoever asked."""

    def __init__(self, status: int, message: str, retry_after: int | None = None) -> None:
        """`status`: the HTTP status that says it best. `retry_after`: seconds."""
        super().__init__(message)
        self.status = status
        self.message = message
        self.retry_after = retry_after


class NotFound(Refused):
    """There is nothing of this name for this key: whether another key has it is not said."""

    def __init__(self, what: str) -> None:
        super().__init__(404, f"{what} was not found")


class Unavailable(Refused):
    """The cluster does not answer; nothing is wrong with the request."""

    def __init__(self, message: str = "the cluster does not answer; try again soon") -> None:
        super().__init__(503, message, retry_after=5)
