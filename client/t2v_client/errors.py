"""Everything that can go wrong for whoever asks a cluster, in kubectl's words where it has some."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any


class T2vError(Exception):
    """The root of all of them. Its text is for people."""


class LoginError(T2vError, ValueError):
    """Nothing says which cluster is meant or who asks, or it cannot be used."""


class Unreachable(T2vError):
    """The API server, or what serves the videos, does not answer."""


class ServerError(T2vError):
    """The API server answered with a refusal."""

    def __init__(self, status: int, reason: str, message: str, kind: str = "") -> None:
        super().__init__(_in_kubectls_words(reason or str(status), message, kind))
        self.status = status
        """Of HTTP."""
        self.reason = reason
        """In one word: NotFound, Forbidden, Invalid."""
        self.message = message


class NotFound(ServerError):
    """There is no such resource, or the CustomResourceDefinition is not installed."""


class AlreadyExists(ServerError):
    """A resource of the name is there."""


class Conflict(ServerError):
    """Somebody else changed it meanwhile."""


class Forbidden(ServerError):
    """Whoever asks may not do that."""


class Unauthorized(ServerError):
    """The API server does not know who asks."""


class Invalid(ServerError):
    """The resource breaks a rule of its CustomResourceDefinition."""


class VideoFailed(T2vError):
    """The video was waited for and has failed."""

    def __init__(self, name: str, reason: str, message: str) -> None:
        super().__init__(f"{name} has failed: {reason}: {message}")
        self.name = name
        self.reason = reason
        """One of `t2v_api.reasons.Reason`."""


class VideoGone(T2vError):
    """The video was waited for and was deleted."""


class NothingToDo(T2vError):
    """The video has come too far, or not far enough, for what is asked."""


class NoVideo(T2vError):
    """There is no file of it: not yet, not any more, or not where it can be fetched from."""


class NoLog(T2vError):
    """No pod of the video is there: it has not begun, or its finished Job was removed."""


class DownloadFailed(T2vError):
    """What serves the videos refused, or what came is not what was made."""


KINDS: Mapping[str, type[ServerError]] = {
    "NotFound": NotFound,
    "AlreadyExists": AlreadyExists,
    "Conflict": Conflict,
    "Forbidden": Forbidden,
    "Unauthorized": Unauthorized,
    "Invalid": Invalid,
}


def server_error(status: int, phrase: str, answer: Any) -> ServerError:
    """From the API server's answer, a `Status` where it speaks itself, text where a proxy does."""
    if not isinstance(answer, dict) or "message" not in answer:
        # Of a kind whose API group is not installed it says 404 in plain text.
        error = NotFound if status == HTTPStatus.NOT_FOUND else ServerError
        return error(status, phrase, str(answer)[:300])
    reason = answer.get("reason") or ""
    kind = (answer.get("details") or {}).get("kind", "")
    return KINDS.get(reason, ServerError)(status, reason, answer["message"], kind)


def _in_kubectls_words(reason: str, message: str, kind: str) -> str:
    if reason == "Invalid" and '" is invalid' in message:
        # 'TextToVideoJob.textto.video "x" is invalid: …', in which kubectl leaves the group out.
        return f"The {kind or message.split('.')[0]} {message.partition(' ')[2]}"
    if reason == "Unauthorized":
        return "error: You must be logged in to the server (Unauthorized)"
    return f"Error from server ({reason}): {message}"
