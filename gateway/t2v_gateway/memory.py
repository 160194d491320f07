"""What bodies may take of the process's memory, all requests together."""

from starlette.types import ASGIApp, Receive, Scope, Send

from t2v_gateway.errors import Refused

SMALL_BYTES = 128 * 1024
"""A body up to this size needs no key before it comes, and some room is left for such ones."""
COPIES = 3
"""Of a body, at most at a time: as it came, as its text, and as the attributes in it."""
WIDE_COPIES = 9
"""Of one that becomes a text with letters beyond ASCII: each may take four bytes."""
LARGE_SHARE = 0.8
"""Of all the room is for bodies that are larger than that."""
RETRY_SECONDS = 5
SHARE = "t2v.share"


class Room:
    """So many bytes, and how many of them are taken."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.taken = 0

    def may_take(self, more: int, is_large: bool) -> bool:
        return self.taken + more <= self.largest(is_large)

    def largest(self, is_large: bool) -> int:
        """What one body may take where there is no other."""
        return int(self._most * LARGE_SHARE) if is_large else self._most


class Share:
    """What one request's body takes of the room."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._size = 0
        self._taken = 0

    def take(self, more: int, besides: int = 0) -> None:
        """For so many bytes more of the body, each with its copies. Raises Refused.

        `besides`: what its copies take beyond that.
        """
        self._size += more
        is_large = self._size > SMALL_BYTES
        counted = more * COPIES + besides * (WIDE_COPIES - COPIES)
        if not self._room.may_take(counted, is_large):
            if self._taken + counted > self._room.largest(is_large):
                raise Refused(413, "the body takes more memory than there is")
            raise Refused(503, "too many bodies come at once; try again soon", RETRY_SECONDS)
        self._room.taken += counted
        self._taken += counted

    def give_back(self) -> None:
        """The body is not held any more."""
        self._room.taken -= self._taken
        self._size = self._taken = 0


class Sharing:
    """Gives each request a share, and takes it back at its end."""

    def __init__(self, app: ASGIApp, room: Room) -> None:
        self._app = app
        self._room = room

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        share = Share(self._room)
        scope[SHARE] = share
        try:
            await self._app(scope, receive, send)
        finally:
            share.give_back()
