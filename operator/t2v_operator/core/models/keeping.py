"""What must stay in the model cache when room is made in it. Pure.

Whatever a ready VideoModel promises, and whatever a Job draws with whose pod may not have started
yet: one that runs is seen by its lock.
"""

from collections.abc import Iterable

from t2v_api.profile import ModelSource

from t2v_operator.core.models.observed import ObservedModel
from t2v_operator.core.observed import ObservedJob


def to_keep(models: Iterable[ObservedModel], jobs: Iterable[ObservedJob]) -> tuple[str, ...]:
    """As the cache names it: OWNER--NAME/COMMIT."""
    sources: set[ModelSource | None] = set()
    for model in models:
        promised = model.promised
        if promised:
            sources |= {promised.source, promised.motion_adapter}
    for job in jobs:
        if job.plan_text and not job.is_finished:
            sources |= set(job.plan_text.sources)
    return tuple(sorted(filter(None, map(_name, sources))))


def _name(source: ModelSource | None) -> str | None:
    if source is None or source.hub is None or not source.is_pinned:
        return None
    return f"{source.hub.replace('/', '--')}/{source.revision}"
