"""What a decision says: actions to perform, a status to write, a time to look again. Data only."""

from dataclasses import dataclass
from typing import Any

from t2v_api.resource import TextToVideoJobStatus

from t2v_operator.core.balancing import Work
from t2v_operator.core.enhancing import Question
from t2v_operator.core.job import Manifest

LOOK_AGAIN_SECONDS = 300.0
"""How often something is looked at that waits, though nothing was seen to change."""


@dataclass(frozen=True)
class CreateJob:
    """Make the Job."""

    manifest: Manifest


@dataclass(frozen=True)
class PatchJob:
    """Change what of a Job may change: a merge patch."""

    name: str
    patch: dict[str, Any]


@dataclass(frozen=True)
class PatchWorkload:
    """Let Kueue hold a Job, or let it go on."""

    name: str
    is_active: bool


@dataclass(frozen=True)
class DeleteJob:
    """Remove the Job and its pods; it is gone when they are."""

    name: str
    uid: str


@dataclass(frozen=True)
class ReplacePod:
    """Give up a pod whose node does not answer, so that the Job controller makes another."""

    name: str
    uid: str


Action = CreateJob | PatchJob | PatchWorkload | DeleteJob | ReplacePod


@dataclass(frozen=True)
class Refusal:
    """An action that the API server did not perform."""

    action: Action
    complaint: str
    """In the API server's words."""
    is_final: bool
    """It will say the same next time, unless somebody changes something."""


@dataclass(frozen=True)
class Decision:
    """What to do, then what to say, then when to look again."""

    status: TextToVideoJobStatus | None
    """None: leave it as it is."""
    actions: tuple[Action, ...] = ()
    again_seconds: float | None = None
    """None: when something changes."""
    rests_on_absence: bool = False
    """Something is missing: a cache that lags would show the same."""
    work: Work | None = None
    """What it adds to a pool, before that is to be seen."""
    question: Question | None = None
    """What a language model is to be asked; the next look knows the answer."""

    @property
    def must_be_confirmed(self) -> bool:
        """Whether it cannot be undone, so that a look at the API server itself comes first."""
        undoing = any(isinstance(each, DeleteJob | ReplacePod) for each in self.actions)
        return undoing or self.rests_on_absence

    @property
    def removes_a_job(self) -> bool:
        return any(isinstance(each, DeleteJob) for each in self.actions)

    @property
    def makes_a_job(self) -> bool:
        return any(isinstance(each, CreateJob) for each in self.actions)
