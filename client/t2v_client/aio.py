"""The client for asyncio programs: one method for each thing that can be done with videos."""

import asyncio
import re
import uuid
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self, Unpack

from t2v_api.resource import API_VERSION, GROUP, PLURAL, Phase

from t2v_client.api import MERGE_PATCH, Api, Document
from t2v_client.asking import Fields, a_video
from t2v_client.connection import connect
from t2v_client.downloading import LinkRefused, fetch
from t2v_client.errors import NoLog, NotFound, NoVideo, Unreachable, VideoFailed, VideoGone
from t2v_client.login import Login, find_login, find_namespace
from t2v_client.steering import cancelling, retrying
from t2v_client.video import Video
from t2v_client.watching import Change, Happening, list_all, watch

RENEW_LINKS_ANNOTATION = f"{GROUP}/renew-links"
"""Another value than before asks the operator for new links."""
LINK_SECONDS = 30.0
"""How long the operator may take to make one."""
NAME = re.compile(r"[a-z0-9]([-.a-z0-9]*[a-z0-9])?")
"""Of anything in a cluster that is asked for here."""
EVERYWHERE = ""
"""The namespace that stands for all of them, in `list` and `watch`."""


class AsyncClient:
    """The videos of a cluster. Every method raises ServerError and Unreachable.

        async with AsyncClient() as client:
            path = await client.generate("a red circle", model="tiny-shapes", seed=7)

    `context`, `kubeconfig`: as kubectl's options; without them a pod's service account is taken,
    else the current context. `namespace`: default of all methods; without it the context's.
    Entering it raises LoginError.
    """

    def __init__(
        self,
        *,
        namespace: str | None = None,
        context: str | None = None,
        kubeconfig: str | Path | None = None,
        login: Login | None = None,
    ) -> None:
        self._login = login or find_login(context=context, kubeconfig=kubeconfig)
        self._namespace = namespace
        self._kubeconfig = (context, kubeconfig)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        named = self._namespace
        self.namespace = find_namespace(*self._kubeconfig) if named is None else named
        connection = await self._stack.enter_async_context(connect(self._login))
        self.api = Api(connection)
        """For what has no method here: plain requests to the API server."""
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._stack.aclose()

    async def generate(
        self,
        prompt: str,
        *,
        model: str,
        name: str | None = None,
        namespace: str | None = None,
        folder: str | Path = ".",
        on_change: Callable[[Video], None] = lambda _: None,
        **fields: Unpack[Fields],
    ) -> Path:
        """Make a video and fetch it: the path of the MP4 in `folder`.

        `on_change` is told of every step. The resource stays on the cluster. Raises ContractError,
        VideoFailed, VideoGone, NoVideo, DownloadFailed.
        """
        asked = a_video(prompt, model=model, name=name, **fields)
        made = await self.submit(asked, namespace=namespace)
        ended = await self.wait(made.name, namespace=namespace, on_change=on_change)
        if not ended.has_succeeded:
            raise VideoFailed(ended.name, ended.reason, ended.message)
        return await self.download(ended, folder)

    async def submit(
        self,
        document: Mapping[str, Any],
        *,
        namespace: str | None = None,
        dry_run: bool = False,
    ) -> Video:
        """Make a TextToVideoJob of a manifest's document. Raises AlreadyExists, Invalid.

        The namespace: the argument's, else the document's, else the client's. `dry_run`: the API
        server checks it and keeps nothing.
        """
        place = namespace or document["metadata"].get("namespace") or self.namespace
        metadata = {**document["metadata"], "namespace": place}
        body = {**document, "metadata": metadata}
        # An unknown field is refused, not dropped.
        params = {"fieldValidation": "Strict"} | ({"dryRun": "All"} if dry_run else {})
        return Video(await self.api.ask("POST", self._path(place), params, body))

    async def get(self, name: str, *, namespace: str | None = None) -> Video:
        """Raises NotFound."""
        return Video(await self.api.ask("GET", self._path(namespace, name)))

    async def list(self, *, namespace: str | None = None, labels: str = "") -> list[Video]:
        """The videos of a namespace, the oldest first. `labels`: a selector such as `film=7`."""
        found, _ = await list_all(self.api, self._path(namespace), _selectors(labels))
        return sorted(found, key=lambda each: each.document["metadata"]["creationTimestamp"])

    async def watch(
        self, *names: str, namespace: str | None = None, labels: str = ""
    ) -> AsyncGenerator[Change, None]:
        """Every change of the videos of these names, or of all, for ever; first what is there."""
        selectors = _selectors(labels, names[0] if len(names) == 1 else "")
        async with aclosing(watch(self.api, self._path(namespace), selectors)) as changes:
            async for change in changes:
                if not names or change.video.name in names:
                    yield change

    async def wait(
        self,
        name: str,
        *,
        namespace: str | None = None,
        on_change: Callable[[Video], None] = lambda _: None,
    ) -> Video:
        """The video once it has succeeded or failed. Raises NotFound, VideoGone."""
        await self.get(name, namespace=namespace)
        async with aclosing(self.watch(name, namespace=namespace)) as changes:
            async for change in changes:
                if change.happening is Happening.DELETED:
                    raise VideoGone(f"{name} was deleted before it was finished")
                on_change(change.video)
                if change.video.is_finished:
                    return change.video
        raise AssertionError("a watch ends with an error alone")

    async def cancel(self, name: str, *, namespace: str | None = None) -> Video:
        """End it; the resource stays, as Failed with reason Cancelled.

        Raises NotFound, NothingToDo.
        """
        return await self._steer(name, namespace, cancelling)

    async def retry(self, name: str, *, namespace: str | None = None) -> Video:
        """Run a failed or cancelled one again. Raises NotFound, NothingToDo."""
        return await self._steer(name, namespace, retrying)

    async def delete(self, name: str, *, namespace: str | None = None) -> None:
        """Delete the resource; `spec.outputPolicy` says what becomes of the files.

        Raises NotFound.
        """
        await self.api.ask("DELETE", self._path(namespace, name))

    async def link(self, name: str, *, namespace: str | None = None) -> str:
        """A new link to a finished video. Raises NotFound, NoVideo, Unreachable."""
        return (await self._renewed(name, namespace)).url or ""

    async def download(self, video: Video | str, target: str | Path = ".") -> Path:
        """Fetch the MP4 of a finished video: to `target`, or `target/NAME.mp4` if that is a folder.

        A link whose time is over is renewed. Raises NotFound, NoVideo, DownloadFailed.
        """
        if isinstance(video, str):
            video = await self.get(video)
        _must_have_a_file(video)
        target = Path(target)
        is_file = target.suffix == ".mp4" and not target.is_dir()
        file = target if is_file else target / f"{video.name}.mp4"
        if video.link_expiry and video.link_expiry <= datetime.now(UTC):
            video = await self._renewed(video.name, video.namespace)
        assert video.url
        try:
            return await fetch(video.url, file, video.sha256)
        except LinkRefused:
            fresh = await self.link(video.name, namespace=video.namespace)
            return await fetch(fresh, file, video.sha256)

    async def logs(
        self, name: str, *, namespace: str | None = None, follow: bool = False
    ) -> AsyncGenerator[str, None]:
        """The lines of the latest runner's log: progress as JSON, else text. Raises NoLog."""
        video = await self.get(name, namespace=namespace)
        pod = await self._latest_pod(video)
        path = f"/api/v1/namespaces/{video.namespace}/pods/{pod}/log"
        lines = self.api.lines(path, {"follow": "true"} if follow else {})
        async with aclosing(lines):
            async for line in lines:
                yield line.decode(errors="replace")

    async def events(self, video: Video) -> Sequence[dict[str, Any]]:
        """The Events that tell its story, the oldest first, as the API server has them."""
        selector = f"involvedObject.uid={video.uid}"
        path = f"/api/v1/namespaces/{video.namespace}/events"
        found = await self.api.ask("GET", path, {"fieldSelector": selector})
        return sorted(found["items"], key=lambda each: each.get("lastTimestamp") or "")

    def _path(self, namespace: str | None = None, name: str | None = None) -> str:
        """Of one video, or of all. Raises NotFound for what cannot be a name."""
        place = self.namespace if namespace is None else namespace
        for each in (*([place] if place else []), *([] if name is None else [name])):
            _must_be_a_name(each)
        within = f"/namespaces/{place}" if place else ""
        collection = f"/apis/{API_VERSION}{within}/{PLURAL}"
        return collection if name is None else f"{collection}/{name}"

    async def _steer(
        self, name: str, namespace: str | None, spec_for: Callable[[Document], Document]
    ) -> Video:
        path = self._path(namespace, name)
        body = {"spec": spec_for(await self.api.ask("GET", path))}
        # With an older CustomResourceDefinition the field would be dropped silently.
        strict = {"fieldValidation": "Strict"}
        return Video(await self.api.ask("PATCH", path, strict, body, MERGE_PATCH))

    async def _renewed(self, name: str, namespace: str | None) -> Video:
        _must_have_a_file(await self.get(name, namespace=namespace))
        asked = uuid.uuid4().hex
        body = {"metadata": {"annotations": {RENEW_LINKS_ANNOTATION: asked}}}
        await self.api.ask("PATCH", self._path(namespace, name), None, body, MERGE_PATCH)
        try:
            async with (
                asyncio.timeout(LINK_SECONDS),
                aclosing(self.watch(name, namespace=namespace)) as changes,
            ):
                async for change in changes:
                    if change.video.status.get("linkRenewal") == asked:
                        return change.video
        except TimeoutError:
            pass
        raise Unreachable(f"no new link within {LINK_SECONDS:g} s: does the operator run?")

    async def _latest_pod(self, video: Video) -> str:
        if job := video.status.get("jobName"):
            selector = {"labelSelector": f"batch.kubernetes.io/job-name={job}"}
            path = f"/api/v1/namespaces/{video.namespace}/pods"
            pods = (await self.api.ask("GET", path, selector))["items"]
            pods.sort(key=lambda each: each["metadata"]["creationTimestamp"])
            if pods:
                return str(pods[-1]["metadata"]["name"])
        raise NoLog(
            f"{video.name} is {video.phase} and has no pod: it has not begun, or its Job was "
            "removed with its log (ttlSecondsAfterFinished)"
        )


def _selectors(labels: str, name: str = "") -> dict[str, str]:
    by_label = {"labelSelector": labels} if labels else {}
    return by_label | ({"fieldSelector": f"metadata.name={name}"} if name else {})


def _must_be_a_name(name: str) -> None:
    """An empty one would stand for all videos, one with a slash for other things."""
    if not NAME.fullmatch(name):
        raise NotFound(404, "NotFound", f'nothing can be called "{name}"')


def _must_have_a_file(video: Video) -> None:
    if video.status.get("outputRemovedTime"):
        raise NoVideo(f"{video.name}: {video.message}")
    if video.phase != Phase.SUCCEEDED or not video.url:
        raise NoVideo(f"{video.name} is {video.phase}: it has no video")
