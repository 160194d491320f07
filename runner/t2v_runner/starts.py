"""Whether a model's weights can start as its profile says. Reads configurations, no weights."""

from pathlib import Path

from t2v_api.profile import ModelProfile

from t2v_runner.errors import ModelNotLoadable
from t2v_runner.families import adapter_of


def check_starts(folder: Path, profile: ModelProfile) -> None:
    """Raises ModelNotLoadable, before anything is loaded."""
    try:
        own = adapter_of(profile.family).starts(folder)
    except (OSError, ValueError, KeyError) as error:
        raise ModelNotLoadable(f"{folder}: {type(error).__name__}: {error}") from None
    beyond = [start for start in profile.all_starts if start not in own]
    if beyond:
        raise ModelNotLoadable(
            f"{folder}: model {profile.id} is to start from {', '.join(profile.all_starts)}; its "
            f"weights do not from {', '.join(beyond)}: write 'starts: [{', '.join(own)}]' into its "
            "profile, or fewer of them"
        )
