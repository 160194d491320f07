"""Make videos on a cluster from Python: `AsyncClient` for asyncio programs, `Client` for others.

    with Client() as client:
        path = client.generate("a red circle moving right", model="tiny-shapes", seed=7)

It asks the API server that kubectl asks, as whom kubectl asks, and needs nothing but that.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from t2v_client.aio import EVERYWHERE, AsyncClient
    from t2v_client.asking import Fields, a_video
    from t2v_client.errors import (
        AlreadyExists,
        Conflict,
        DownloadFailed,
        Forbidden,
        Invalid,
        LoginError,
        NoLog,
        NotFound,
        NothingToDo,
        NoVideo,
        ServerError,
        T2vError,
        Unauthorized,
        Unreachable,
        VideoFailed,
        VideoGone,
    )
    from t2v_client.sync import Client
    from t2v_client.video import Video
    from t2v_client.watching import Change, Happening

__all__ = [
    "EVERYWHERE",
    "AlreadyExists",
    "AsyncClient",
    "Change",
    "Client",
    "Conflict",
    "DownloadFailed",
    "Fields",
    "Forbidden",
    "Happening",
    "Invalid",
    "LoginError",
    "NoLog",
    "NoVideo",
    "NotFound",
    "NothingToDo",
    "ServerError",
    "T2vError",
    "Unauthorized",
    "Unreachable",
    "Video",
    "VideoFailed",
    "VideoGone",
    "a_video",
]

_PLACES = (
    "t2v_client.errors",
    "t2v_client.video",
    "t2v_client.asking",
    "t2v_client.watching",
    "t2v_client.aio",
    "t2v_client.sync",
)


def __getattr__(name: str) -> Any:
    """Import what is asked for, once it is: an error's class needs no HTTP client."""
    if name in __all__:
        for place in _PLACES:
            if hasattr(module := import_module(place), name):
                return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
