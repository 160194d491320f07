"""What was wrong in the end. Pure: from what was seen, one line for each thing."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chaos.videos import Fate, Video

Document = dict[str, Any]


@dataclass(frozen=True)
class Evidence:
    """What is known when everything is back and has come to rest."""

    videos: Sequence[Video]
    resources: Sequence[Document]
    """All that there are."""
    told: Mapping[str, int]
    """How often a webhook came, by trackId."""
    opened: Mapping[str, str]
    """The sha256 of what a resource's link opens, by the resource's name; else what was wrong."""
    stored: Mapping[str, Sequence[str]]
    """The files in the store, by folder."""
    makers: Mapping[str, set[str]]
    """The names of the resources whose Jobs wrote into a folder."""
    frames: Mapping[tuple[str, int], str]
    """The sha256 of the frames that a request has when nothing disturbs it."""
    seen: Sequence[str] = field(default=())
    """What was wrong on the way: two at a time, a part that did not go or come back."""

    def of(self, video: Video) -> list[Document]:
        """Its resources: one, or none once it is deleted."""
        return [each for each in self.resources if each["spec"].get("trackId") == video.name]


def judge(evidence: Evidence) -> list[str]:
    """Empty where all is right."""
    complaints = (rule(evidence, video) for rule in RULES for video in evidence.videos)
    return [
        *evidence.seen,
        *(line for lines in complaints for line in lines),
        *left_in_the_store(evidence),
    ]


def is_settled(evidence_of: Callable[[Video], Iterable[Document]], videos: Sequence[Video]) -> bool:
    """Whether nothing is left to wait for: each has ended and told, or has gone."""
    for video in videos:
        found = list(evidence_of(video))
        if video.fate is Fate.DELETED:
            if found:
                return False
        elif not found or not all(_has_ended(each.get("status") or {}) for each in found):
            return False
    return True


def _has_ended(status: Document) -> bool:
    is_told = "deliveredTime" in (status.get("webhook") or {})
    return status.get("phase") in ("Succeeded", "Failed") and is_told


def _there_once(evidence: Evidence, video: Video) -> Iterator[str]:
    wanted = 0 if video.fate is Fate.DELETED else 1
    found = [each["metadata"]["name"] for each in evidence.of(video)]
    if len(found) != wanted:
        yield f"{video.name}: {wanted} resource wanted, there are {len(found)}: {found}"


def _ended_well(evidence: Evidence, video: Video) -> Iterator[str]:
    if video.fate is Fate.DELETED:
        return
    for resource in evidence.of(video):
        status = resource.get("status") or {}
        reason = next((str(each["reason"]) for each in status.get("conditions") or ()), "")
        is_given_up = video.fate is Fate.CANCELLED and reason == "Cancelled"
        if status.get("phase") != "Succeeded" and not is_given_up:
            yield f"{video.name}: {status.get('phase')}, {reason}: {status.get('message')}"


def _told_by_webhook(evidence: Evidence, video: Video) -> Iterator[str]:
    if video.fate is not Fate.DELETED and not evidence.told.get(video.name):
        yield f"{video.name}: no webhook came"


def _link_opens(evidence: Evidence, video: Video) -> Iterator[str]:
    """Nothing was uploaded for a simulated one."""
    for resource in evidence.of(video):
        video_file = (resource.get("status") or {}).get("video")
        opened = evidence.opened.get(resource["metadata"]["name"], "it was not tried")
        if video.is_real and video_file and opened != video_file["sha256"]:
            yield f"{video.name}: its link does not open the video: {opened}"


def _frames_are_the_same(evidence: Evidence, video: Video) -> Iterator[str]:
    if not video.has_reference:
        return
    wanted = evidence.frames.get(video.request)
    for resource in evidence.of(video):
        made = (resource.get("status") or {}).get("video") or {}
        if made and made.get("framesSha256") != wanted:
            yield f"{video.name}: frames {made.get('framesSha256')}, undisturbed {wanted}"


RULES: tuple[Callable[[Evidence, Video], Iterator[str]], ...] = (
    _there_once,
    _ended_well,
    _told_by_webhook,
    _link_opens,
    _frames_are_the_same,
)


def left_in_the_store(evidence: Evidence) -> Iterator[str]:
    """Whose resource is gone asked for its files to go as well."""
    there = {each["metadata"]["name"] for each in evidence.resources}
    for folder, files in evidence.stored.items():
        makers = evidence.makers.get(folder, set())
        if not makers & there:
            whose = ", ".join(sorted(makers)) or "nobody that was seen"
            yield f"left in the store by {whose}: {folder}: {', '.join(files)}"
