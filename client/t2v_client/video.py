"""A video as the cluster knows it: a view of one TextToVideoJob's document.

It reads what is there and refuses nothing, so that it understands clusters of other versions.
`t2v_api.resource.TextToVideoJob` is the strict one.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from t2v_api.resource import Phase

ENDED = (Phase.SUCCEEDED, Phase.FAILED)


@dataclass(frozen=True)
class Video:
    """One TextToVideoJob."""

    document: dict[str, Any]
    """The whole resource, as plain JSON data."""

    @property
    def name(self) -> str:
        name: str = self.document["metadata"]["name"]
        return name

    @property
    def namespace(self) -> str:
        return str(self.document["metadata"].get("namespace", ""))

    @property
    def uid(self) -> str:
        return str(self.document["metadata"].get("uid", ""))

    @property
    def created(self) -> datetime | None:
        return _time(self.document["metadata"].get("creationTimestamp"))

    @property
    def spec(self) -> dict[str, Any]:
        """What was asked for, as the user wrote it."""
        return self.document.get("spec") or {}

    @property
    def status(self) -> dict[str, Any]:
        """What became of it; empty as long as no operator has seen it."""
        return self.document.get("status") or {}

    @property
    def phase(self) -> str:
        """One of `t2v_api.resource.Phase`, as the status says it."""
        return str(self.status.get("phase") or Phase.PENDING)

    @property
    def is_finished(self) -> bool:
        """Whether it has ended, and the operator has seen all that was asked for since then."""
        seen, wanted = self.status.get("observedGeneration"), self.document["metadata"]
        return self.phase in ENDED and (seen or 0) >= wanted.get("generation", 0)

    @property
    def has_succeeded(self) -> bool:
        return self.is_finished and self.phase == Phase.SUCCEEDED

    @property
    def model(self) -> str:
        return str(self.spec.get("modelId", ""))

    @property
    def prompt(self) -> str:
        return str(self.spec.get("prompt", ""))

    @property
    def seed(self) -> int | None:
        """The one that was drawn, once there is one."""
        seed: int | None = (self.status.get("resolved") or {}).get("seed", self.spec.get("seed"))
        return seed

    @property
    def progress(self) -> dict[str, Any]:
        """`t2v_api.progress.Progress` as JSON; empty while no runner has reported."""
        return self.status.get("progress") or {}

    @property
    def percent(self) -> int:
        """Of the whole way, 0 to 100."""
        return 100 if self.phase == Phase.SUCCEEDED else int(self.progress.get("percent", 0))

    @property
    def reason(self) -> str:
        """Why it is as it is, in one word; empty where nobody says."""
        for condition in self.status.get("conditions", ()):
            if condition.get("type") == "Ready":
                return str(condition.get("reason", ""))
        return ""

    @property
    def message(self) -> str:
        """What happens or happened, for people."""
        return str(self.status.get("message") or "")

    @property
    def url(self) -> str | None:
        """Where the MP4 is, until `link_expiry`."""
        return self.status.get("outputUrl")

    @property
    def urls(self) -> tuple[str, ...]:
        """Everything that was made: the MP4, then the poster."""
        return tuple(self.status.get("output") or ())

    @property
    def link_expiry(self) -> datetime | None:
        """Until when the links open. None: for ever."""
        return _time(self.status.get("linkExpiryTime"))

    @property
    def sha256(self) -> str | None:
        """Of the MP4, in hex."""
        digest: str | None = (self.status.get("video") or {}).get("sha256")
        return digest

    @property
    def generation_seconds(self) -> float | None:
        """From the runner's start to the finished video."""
        return self.status.get("generationTime")


def _time(text: Any) -> datetime | None:
    return datetime.fromisoformat(text) if isinstance(text, str) else None
