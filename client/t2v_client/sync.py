"""The client for programs without asyncio: the same methods, each waits for its end."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar, Unpack

from t2v_client.aio import AsyncClient
from t2v_client.asking import Fields
from t2v_client.video import Video
from t2v_client.watching import Change

T = TypeVar("T")


class Client:
    """The videos of a cluster; `AsyncClient` says what each method does and raises.

        with Client() as client:
            path = client.generate("a red circle", model="tiny-shapes", seed=7)

    For one thread. Where an event loop runs already, use `AsyncClient`.
    """

    def __init__(
        self,
        *,
        namespace: str | None = None,
        context: str | None = None,
        kubeconfig: str | Path | None = None,
    ) -> None:
        self._client = AsyncClient(namespace=namespace, context=context, kubeconfig=kubeconfig)
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        try:
            self._run(self._client.__aenter__())
        except BaseException:
            self._runner.close()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        try:
            self._run(self._client.__aexit__())
        finally:
            self._runner.close()

    @property
    def namespace(self) -> str:
        """The default of all methods."""
        return self._client.namespace

    def generate(
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
        """Make a video and fetch it: the path of the MP4 in `folder`."""
        made = self._client.generate(
            prompt,
            model=model,
            name=name,
            namespace=namespace,
            folder=folder,
            on_change=on_change,
            **fields,
        )
        return self._run(made)

    def submit(
        self,
        document: Mapping[str, Any],
        *,
        namespace: str | None = None,
        dry_run: bool = False,
    ) -> Video:
        """Make a TextToVideoJob of a manifest's document."""
        return self._run(self._client.submit(document, namespace=namespace, dry_run=dry_run))

    def get(self, name: str, *, namespace: str | None = None) -> Video:
        """The video as it is now."""
        return self._run(self._client.get(name, namespace=namespace))

    def list(self, *, namespace: str | None = None, labels: str = "") -> list[Video]:
        """The videos of a namespace, the oldest first."""
        return self._run(self._client.list(namespace=namespace, labels=labels))

    def watch(
        self, *names: str, namespace: str | None = None, labels: str = ""
    ) -> Iterator[Change]:
        """Every change of the videos of these names, or of all, for ever."""
        return self._each(self._client.watch(*names, namespace=namespace, labels=labels))

    def wait(
        self,
        name: str,
        *,
        namespace: str | None = None,
        on_change: Callable[[Video], None] = lambda _: None,
    ) -> Video:
        """The video once it has succeeded or failed."""
        return self._run(self._client.wait(name, namespace=namespace, on_change=on_change))

    def cancel(self, name: str, *, namespace: str | None = None) -> Video:
        """End it; the resource stays."""
        return self._run(self._client.cancel(name, namespace=namespace))

    def retry(self, name: str, *, namespace: str | None = None) -> Video:
        """Run a failed or cancelled one again."""
        return self._run(self._client.retry(name, namespace=namespace))

    def delete(self, name: str, *, namespace: str | None = None) -> None:
        """Delete the resource."""
        self._run(self._client.delete(name, namespace=namespace))

    def link(self, name: str, *, namespace: str | None = None) -> str:
        """A new link to a finished video."""
        return self._run(self._client.link(name, namespace=namespace))

    def download(self, video: Video | str, target: str | Path = ".") -> Path:
        """Fetch the MP4 of a finished video."""
        return self._run(self._client.download(video, target))

    def logs(
        self, name: str, *, namespace: str | None = None, follow: bool = False
    ) -> Iterator[str]:
        """The lines of the latest runner's log."""
        return self._each(self._client.logs(name, namespace=namespace, follow=follow))

    def _run(self, asked: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(asked)

    def _each(self, asked: AsyncGenerator[T, None]) -> Iterator[T]:
        async def following() -> T:
            return await anext(asked)

        try:
            while True:
                yield self._run(following())
        except StopAsyncIteration:
            return
        finally:
            self._run(asked.aclose())
