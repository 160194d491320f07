"""What a hub's refusals mean for the user. The one place that knows the hub's errors."""

import contextlib
from collections.abc import Iterator

from t2v_runner.errors import ModelNotLoadable, RunnerError, StorageFailed


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
    except httpx2.HTTPError as error:
        raise StorageFailed(
            f"{what}: the hub cannot be reached: {type(error).__name__}: {error}"
        ) from None


def _refusal(error: Exception, what: str, repository: str) -> RunnerError:
    from huggingface_hub import constants, errors, get_token

    assert isinstance(error, errors.HfHubHTTPError)
    status = error.response.status_code
    page = f"{constants.ENDPOINT}/{repository}"
    token = "the token in HF_TOKEN" if get_token() else "no token in HF_TOKEN"
    answer = f"{what}: the hub answered {status}"
    match error:
        case errors.GatedRepoError():
            return ModelNotLoadable(
                f"{answer}: it is gated, and {token} opens it: accept its licence at {page} and "
                "give the runner a token of that account in HF_TOKEN"
            )
        case errors.RepositoryNotFoundError():
            return ModelNotLoadable(
                f"{answer}: there is no such repository, or it is private and {token} opens it"
            )
        case errors.RevisionNotFoundError():
            return ModelNotLoadable(f"{answer}: there is no such revision; see {page}/commits")
    if status == 401:
        return ModelNotLoadable(f"{answer}: it does not know {token}; it may have expired")
    if status == 429:
        return StorageFailed(f"{answer}, too many requests; those with a token may be more")
    if status == 408 or status >= 500:
        return StorageFailed(answer)
    return ModelNotLoadable(answer)
