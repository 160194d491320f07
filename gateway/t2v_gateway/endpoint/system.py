"""The menu's addresses about the installation: what it has, and what its operators may do."""

from collections import Counter
from collections.abc import Awaitable, Callable
from importlib import metadata
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse
from t2v_api.api_key import Right
from t2v_api.resource import VERSION, Phase

from t2v_gateway.endpoint import answers, documents
from t2v_gateway.endpoint.addresses import PREFIX
from t2v_gateway.endpoint.asking import asked
from t2v_gateway.errors import Refused
from t2v_gateway.gateway import Gateway
from t2v_gateway.videos import Video

NOT_HERE = {
    "restart_server": (
        "there is no server to restart: each video is made by a process of its own, which is "
        "tried again where it fails; the operator and the gateway are restarted with kubectl "
        "rollout restart"
    ),
    "update_server": (
        "an installation is updated with helm upgrade, by somebody with rights in the cluster"
    ),
    "clear_cache": (
        "the model cache is not emptied by hand: before a model comes that needs the room, those "
        "go that no model and no video has any more; delete_model lets go of one"
    ),
    "update_s3": (
        "where videos are kept is set in the installation's configuration, for all of them"
    ),
}
"""What an operator may ask for that has no meaning on Kubernetes, and what has one."""
WAITING = (Phase.PENDING, Phase.QUEUED)


def add(routes: APIRouter, gateway: Gateway) -> None:
    """All of them."""

    @routes.post(f"{PREFIX}/system_details", **documents.menu(documents.Key))
    async def system_details(request: Request) -> JSONResponse:
        """The GPU pools, how many videos wait or are made, and the versions."""
        await asked(request, gateway)
        return JSONResponse(answers.done("the system", **_details(gateway)))

    @routes.post(f"{PREFIX}/clear_queue", **documents.menu(documents.Key))
    async def clear_queue(request: Request) -> JSONResponse:
        """Cancel the videos of the key's namespace that wait, whichever key they were made with.

        Each can still be fetched, as failed, and its webhook is told. What is being made goes on.
        Needs a key with the right `operate`.
        """
        ask = await asked(request, gateway, Right.OPERATE)
        waiting = [
            video
            for _, video in gateway.videos.store.items()
            if video.namespace == ask.key.namespace and video.key_id and _waits(video)
        ]
        gone = [video.id for video in waiting if await gateway.submitter.cancel(video)]
        return JSONResponse(answers.done("the queue was cleared", cancelled=sorted(gone)))

    for name, why_not in NOT_HERE.items():
        answer = _saying(why_not, gateway)
        routes.add_api_route(
            f"{PREFIX}/{name}", answer, name=name, methods=["POST"], **documents.menu(documents.Key)
        )


def _saying(why_not: str, gateway: Gateway) -> Callable[[Request], Awaitable[JSONResponse]]:
    async def not_here(request: Request) -> JSONResponse:
        """Says why it has no meaning here. Needs a key with the right `operate`."""
        await asked(request, gateway, Right.OPERATE)
        raise Refused(404, why_not)

    return not_here


def _waits(video: Video) -> bool:
    return not video.is_finished and not video.is_being_deleted and video.phase in WAITING


def _details(gateway: Gateway) -> dict[str, Any]:
    phases: Counter[str] = Counter()
    running: Counter[str] = Counter()
    for _, video in gateway.videos.store.items():
        if video.is_finished:
            continue
        phases[video.phase.value] += 1
        if video.phase is Phase.RUNNING:
            running[video.pool] += 1
    return {
        "pools": [
            {
                "name": pool.name,
                "gpu_resource": pool.gpu_resource,
                "gpu_memory": pool.gpu_memory,
                "running": running[pool.name],
            }
            for pool in gateway.config.pools
        ],
        "queue": {
            "waiting": sum(phases[phase.value] for phase in WAITING),
            "running": phases[Phase.RUNNING.value],
            "suspended": phases[Phase.SUSPENDED.value],
        },
        "versions": {"installation": metadata.version("text-to-video-operator"), "api": VERSION},
    }
