"""The Jobs and pods that live at a time, from the documents that a watch shows. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from t2v_operator.core.names import OUTPUT_URL_ANNOTATION, RESOURCE_ANNOTATION

Document = dict[str, Any]


@dataclass(frozen=True)
class Life:
    """A Job or a pod that is not over."""

    uid: str
    name: str
    resource: str
    folder: str
    """Where its video goes, for a Job: equal for equal requests."""
    is_leaving: bool


@dataclass
class Lives:
    """Of one kind. `wrong` says what lived at a time and must not."""

    kind: str
    wrong: list[str] = field(default_factory=list)
    makers: dict[str, set[str]] = field(default_factory=dict)
    """The resources whose Jobs wrote into a folder of the store."""
    gaps: int = 0
    """How often the watch could not go on where it was, and everything was listed anew."""
    _alive: dict[str, Life] = field(default_factory=dict)
    _ever: set[str] = field(default_factory=set)

    @property
    def count(self) -> int:
        """How many there ever were."""
        return len(self._ever)

    def seen(self, document: Document, is_gone: bool = False) -> None:
        """As it is now, or as it was when it went."""
        life = _life(document)
        self._ever.add(life.uid)
        if life.folder:
            self.makers.setdefault(life.folder, set()).add(life.resource)
        if is_gone or _is_over(document):
            self._alive.pop(life.uid, None)
            return
        if life.uid not in self._alive:
            self._judge(life)
        self._alive[life.uid] = life

    def listed(self, documents: Iterable[Document]) -> None:
        """All that there is; what is not among them has gone, nobody saw when."""
        found = list(documents)
        there = {each["metadata"]["uid"] for each in found}
        for uid in self._alive.keys() - there:
            del self._alive[uid]
        for each in sorted(found, key=_is_over, reverse=True):
            self.seen(each)

    def _judge(self, life: Life) -> None:
        for other in self._alive.values():
            if other.resource == life.resource:
                what = f"two {self.kind} at a time"
            elif other.folder and other.folder == life.folder and not other.is_leaving:
                what = f"two {self.kind} of equal requests at a time"
            else:
                continue
            self.wrong.append(
                f"{what}: {other.name} of {other.resource} and {life.name} of {life.resource}"
            )


def _life(document: Document) -> Life:
    metadata = document["metadata"]
    annotations = metadata.get("annotations") or {}
    return Life(
        uid=metadata["uid"],
        name=metadata["name"],
        resource=annotations.get(RESOURCE_ANNOTATION, metadata["name"]),
        folder=annotations.get(OUTPUT_URL_ANNOTATION, "").rpartition("/")[2],
        is_leaving="deletionTimestamp" in metadata,
    )


def _is_over(document: Document) -> bool:
    """Whether no process of it can run any more."""
    status = document.get("status") or {}
    if "containers" in document["spec"]:
        return status.get("phase") in ("Succeeded", "Failed")
    return any(
        condition["type"] in ("Complete", "Failed") and condition["status"] == "True"
        for condition in status.get("conditions") or ()
    )
