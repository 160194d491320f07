"""Where the endpoint is, and the links to it that stand in answers."""

import re

from starlette.requests import Request

from t2v_gateway.settings import GatewaySettings

PREFIX = "/api/v1/enterprise"
"""Of the document."""
NEWER = "/api/v6/video"
"""Where the same vendor's newer documents have text2video, img2video and fetch
(https://docs.modelslab.com/video-api/fetch-video)."""

HOST = re.compile(r"([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:\d{1,5})?", re.ASCII)


def fetch_url(request: Request, video_id: int, settings: GatewaySettings) -> str:
    """What answers how far the video is.

    A Host header is whatever its sender likes: one that is no host gets an address without any.
    """
    path = f"{PREFIX}/fetch/{video_id}"
    if settings.public_url:
        return f"{settings.public_url}{path}"
    host = request.headers.get("host", "")
    return f"{request.url.scheme}://{host}{path}" if HOST.fullmatch(host) else path
