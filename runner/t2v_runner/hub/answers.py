"""What a hub's refusals mean for the user. The one place that knows the hub's errors."""

import contextlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from t2v_runner.errors import ModelNotLoadable, RunnerError, StorageFailed

if TYPE_CHECKING:
    from huggingface_hub.errors import HfHubHTTPError

SAID_CHARACTERS = 300
"""Of a hub's own words, in a message."""


@contextlib.contextmanager
def told_plainly(what: str, repository: str) -> Iterator[None]:
    """Raise ModelNotLoadable, or StorageFailed for what may be well later, in place of hub errors.

    `what` names the model and its revision.
    """
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    try:
        yield
    except HfHubHTTPError as error:
        raise _refusal(error, what, repository) from None
    except OfflineModeIsEnabled:
        raise StorageFailed(f"{what}: it is not here, and HF_HUB_OFFLINE forbids asking") from None
    except UnicodeEncodeError:
        raise ModelNotLoadable(
            f"{what}: HF_TOKEN has signs that no token has; write it anew, without what was "
            "copied along with it"
        ) from None
    except httpx2.HTTPError as error:
        raise StorageFailed(
            f"{what}: the hub cannot be reached: {type(error).__name__}: {error}"
        ) from None


def _refusal(error: "HfHubHTTPError", what: str, repository: str) -> RunnerError:
    from huggingface_hub import constants, errors, get_token

    status = error.response.status_code
    # Of a mirror's address, not what may stand in it to open it.
    page = f"{re.sub(r'//[^/@]*@', '//', constants.ENDPOINT)}/{repository}"
    token = get_token()
    opens = "the token in HF_TOKEN does not open it" if token else "no token in HF_TOKEN opens it"
    answer = f"{what}: the hub answered {status}"
    match error:
        case errors.GatedRepoError():
            return ModelNotLoadable(
                f"{answer}: it is gated, and {opens}: accept its licence at {page} and "
                "give the runner a token of that account in HF_TOKEN"
            )
        case errors.RepositoryNotFoundError():
            return ModelNotLoadable(
                f"{answer}: there is no such repository, or it is private and {opens}"
            )
        case errors.RevisionNotFoundError():
            return ModelNotLoadable(f"{answer}: there is no such revision; see {page}/commits")
    if status == 429:
        return StorageFailed(f"{answer}, too many requests; those with a token may be more")
    if status == 408 or status >= 500:
        return StorageFailed(answer)
    asked = error.response.url.host
    if asked != urlsplit(constants.ENDPOINT).hostname:
        return StorageFailed(f"{what}: {asked}, to which the hub sends for it, answered {status}")
    if status == 401 and token:
        return ModelNotLoadable(
            f"{answer}: it does not take the token in HF_TOKEN, which may have expired, "
            f"or may not read {page}"
        )
    if status in (401, 403):
        return ModelNotLoadable(
            f"{answer}: {opens}{_said(error)}; see {page}, where a licence may have to be accepted"
        )
    if status == 404:
        return ModelNotLoadable(
            f"{answer}: there is no such repository, revision or file, or it is private and {opens}"
        )
    return ModelNotLoadable(f"{answer}{_said(error)}")


def _said(error: "HfHubHTTPError") -> str:
    """What the hub itself says about it, on one line."""
    words = " ".join((error.server_message or "").split())
    text = "".join(filter(str.isprintable, words))[:SAID_CHARACTERS]
    return f" ({text})" if text else ""
