"""The addresses of the OpenAI Videos API."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Response, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import Request
from t2v_api.api_key import ApiKey
from t2v_api.resource import Phase, TextToVideoJobSpec

from t2v_gateway.endpoint.asking import refuse_keys_in_the_address
from t2v_gateway.errors import NotFound, Refused
from t2v_gateway.gateway import Gateway
from t2v_gateway.openai import answers, catalogue, content
from t2v_gateway.openai.answers import VideoAnswer, VideoDeleted, VideoList
from t2v_gateway.openai.document import body_of
from t2v_gateway.openai.errors import BadParameter, ErrorAnswer, InOpenAiForm
from t2v_gateway.openai.reading import read_parameters
from t2v_gateway.openai.requests import CreateVideo, RemixVideo, remix_in, spec_of
from t2v_gateway.repeating import repeated
from t2v_gateway.submitting import Once
from t2v_gateway.videos import Place, Video, is_of

PREFIX = "/v1"
MOST_WORD_CHARACTERS = 256
POLL_MILLISECONDS = {Phase.RUNNING: 1000}
POLL_QUEUED_MILLISECONDS = 3000
"""How often the client's `poll` asks."""

REFUSALS: dict[int | str, dict[str, Any]] = {
    401: {"model": ErrorAnswer, "description": "No key, or none that is valid"},
    403: {"model": ErrorAnswer, "description": "The key may not do that"},
    429: {"model": ErrorAnswer, "description": "Too often or too much; see Retry-After"},
    503: {"model": ErrorAnswer, "description": "The cluster or the store does not answer"},
    "4XX": {"model": ErrorAnswer, "description": "Refused; the error says why"},
}
NOT_FOUND: dict[int | str, dict[str, Any]] = {
    404: {"model": ErrorAnswer, "description": "This key has no such video"}
}
CONTENT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file, where the gateway gives it itself",
        "content": {
            kind: {"schema": {"type": "string", "format": "binary"}}
            for kind in ("video/mp4", "image/jpeg")
        },
    },
    206: {"description": "The part of it that was asked for"},
    304: {"description": "It is as it was"},
    307: {"description": "Where the file is"},
    404: {"model": ErrorAnswer, "description": "No such video, or no such file of it yet"},
}
ABSENT = {
    "edits": "an edit of a video",
    "extensions": "an extension of a video",
    "characters": "a character",
}


def router(gateway: Gateway) -> APIRouter:
    """All of them."""
    routes = APIRouter(prefix=PREFIX, route_class=InOpenAiForm, responses=REFUSALS, tags=["OpenAI"])
    bearer = HTTPBearer(auto_error=False, description="A key of this installation")

    async def caller(
        request: Request,
        given: Annotated[HTTPAuthorizationCredentials | None, Security(bearer)],
    ) -> ApiKey:
        refuse_keys_in_the_address(request)
        return gateway.callers.known(given.credentials if given else None)

    Caller = Annotated[ApiKey, Depends(caller)]  # noqa: N806

    def answer(video: Video, response: Response) -> VideoAnswer:
        if not video.is_finished:
            wait = POLL_MILLISECONDS.get(video.phase, POLL_QUEUED_MILLISECONDS)
            response.headers["openai-poll-after-ms"] = str(wait)
        return about(video)

    def about(video: Video) -> VideoAnswer:
        spec = video.spec
        return answers.about(video, catalogue.model_of(gateway, spec.model_id) if spec else None)

    async def own(key: ApiKey, video_id: str) -> Video:
        """The key's video of this id. Raises NotFound."""
        number = answers.number_in(video_id)
        video = await gateway.videos.own(key, number) if number is not None else None
        if video is not None and not video.is_being_deleted:
            return video
        raise NotFound(f"video {video_id[:80]!r}")

    def place(key: ApiKey, video_id: str) -> Place:
        number = answers.number_in(video_id)
        found = gateway.videos.place_of(key, number) if number is not None else None
        if found is None:
            raise BadParameter(f"after: video {video_id[:80]!r} was not found", "after")
        return found

    def used_up(key: ApiKey) -> Refused | None:
        """Why no new video is made for the key: then nothing is kept for one either."""
        try:
            with gateway.callers.may_make_one(key):
                return None
        except Refused as refused:
            return refused

    async def made(
        request: Request,
        key: ApiKey,
        spec: TextToVideoJobSpec,
        refused: Refused | None = None,
        labels: Mapping[str, str] = MappingProxyType({}),
    ) -> Video:
        """`refused`: why none may be made but one of before."""

        @contextmanager
        def permit() -> Iterator[None]:
            if refused:
                raise refused
            with gateway.callers.may_make_one(key):
                yield

        return await gateway.submitter.submit(
            key, spec, _once(request, spec), permit=permit, labels=labels
        )

    @routes.post("/videos", openapi_extra=body_of(CreateVideo))
    async def create_video(request: Request, response: Response, key: Caller) -> VideoAnswer:
        """Make a video."""
        parameters = await read_parameters(request, gateway.settings, with_image=True)
        refused = used_up(key)
        spec = await spec_of(parameters, key, gateway, keeps_image=refused is None)
        return answer(await made(request, key, spec, refused), response)

    @routes.get("/videos")
    async def list_videos(
        key: Caller,
        after: Annotated[str | None, Query(description="The last id of the page before")] = None,
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
        order: Annotated[Literal["asc", "desc"], Query(description="By time")] = "desc",
    ) -> VideoList:
        """The videos that were made with this key, a page of them."""
        mine = (video for video in gateway.videos.of_key(key) if is_of(key, video))
        found = [video for video in mine if not video.is_being_deleted]
        found.sort(key=lambda video: video.place, reverse=order == "desc")
        if after is not None:
            # It may have been deleted meanwhile: who deletes page by page does so.
            last = place(key, after)
            found = [v for v in found if (v.place < last if order == "desc" else v.place > last)]
        page = found[:limit]
        return VideoList(
            data=[about(video) for video in page],
            first_id=answers.id_of(page[0]) if page else None,
            last_id=answers.id_of(page[-1]) if page else None,
            has_more=limit < len(found),
        )

    @routes.get("/videos/{video_id}", responses=NOT_FOUND)
    async def retrieve_video(video_id: str, response: Response, key: Caller) -> VideoAnswer:
        """How far a video is."""
        return answer(await own(key, video_id), response)

    @routes.delete("/videos/{video_id}", responses=NOT_FOUND)
    async def delete_video(video_id: str, key: Caller) -> VideoDeleted:
        """Delete a video with its files, or stop it where it is not finished."""
        video = await own(key, video_id)
        await gateway.submitter.delete(video)
        return VideoDeleted(id=answers.id_of(video))

    @routes.get("/videos/{video_id}/content", response_class=Response, responses=CONTENT)
    async def download_content(
        request: Request,
        video_id: str,
        key: Caller,
        variant: content.Variant = content.Variant.VIDEO,
    ) -> Response:
        """The video's MP4, or its poster."""
        return await content.answer(request, await own(key, video_id), variant, gateway)

    @routes.post("/videos/{video_id}/remix", responses=NOT_FOUND, openapi_extra=body_of(RemixVideo))
    async def remix_video(
        request: Request, video_id: str, response: Response, key: Caller
    ) -> VideoAnswer:
        """Make a finished video anew from another prompt: same seed, same everything else."""
        parameters = await read_parameters(request, gateway.settings)
        video = await own(key, video_id)
        status, spec = video.resource.status, video.spec
        if video.phase is not Phase.SUCCEEDED or status is None or spec is None:
            raise BadParameter(
                f"{answers.id_of(video)} is {answers.STATUSES[video.phase]}; only a completed "
                "video can be remixed", "video_id",
            )  # fmt: skip
        seed = status.resolved.seed if status.resolved else spec.seed
        changed = repeated(spec, prompt=remix_in(parameters).prompt, seed=seed)
        labels = {answers.REMIXED_FROM_LABEL: answers.id_of(video)}
        return answer(await made(request, key, changed, labels=labels), response)

    async def not_offered(request: Request, key: Caller) -> Response:
        what = ABSENT[request.url.path.rpartition("/")[2]]
        raise BadParameter(f"{what} is not offered here", None, "not_offered", 404)

    for name in ABSENT:
        routes.add_api_route(
            f"/videos/{name}", not_offered, methods=["POST"], include_in_schema=False
        )
    catalogue.add_routes(routes, gateway, caller)
    return routes


def _once(request: Request, spec: TextToVideoJobSpec) -> Once | None:
    """What tells a repeated request, and that the same was asked before."""
    word = request.headers.get("idempotency-key", "").strip()
    if not word:
        return None
    if len(word) > MOST_WORD_CHARACTERS:
        raise Refused(400, f"Idempotency-Key has more than {MOST_WORD_CHARACTERS} characters")
    return Once(f"idempotency-key {word}", "", spec.whole_hash)
