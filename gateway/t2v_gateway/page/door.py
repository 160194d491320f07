"""Who may come in: signing in with a key, the cookie, and what each request must show."""

import hmac
import time
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from t2v_api.api_key import ApiKey, digest_of, fingerprint_of

from t2v_gateway.errors import Refused
from t2v_gateway.gateway import Gateway
from t2v_gateway.page.guards import Attempts, is_encrypted, is_from_here
from t2v_gateway.page.sessions import SESSION_SECONDS, Session, Sessions

TOKEN_HEADER = "x-t2v-token"  # noqa: S105
PURPOSE = "sessions of the page"


class Door:
    """The page's way in."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._sessions = Sessions(gateway.submitter.derived_key(PURPOSE))
        self._attempts = Attempts()

    def sign_in(self, request: Request, text: str) -> Session:
        """Raises Refused."""
        self._check_origin(request)
        address = request.client.host if request.client else ""
        try:
            key = self._gateway.callers.known(text or None)
        except Refused as refused:
            # Behind a proxy all have one address: who has a key is not kept out by who has none.
            if refused.status == 401:
                self._attempts.check(address)
                self._attempts.failed(address)
            raise
        return self._sessions.begin(key.id, fingerprint_of(digest_of(text)), time.time())

    def session(self, request: Request) -> Session | None:
        """Whose browser this is; None where nobody is signed in, or the key is gone."""
        session = self._read(request)
        if session is None:
            return None
        try:
            self.key(session)
        except Refused:
            return None
        return session

    def key(self, session: Session, counts: bool = False) -> ApiKey:
        """What the session's key opens now. Raises Refused."""
        callers = self._gateway.callers
        return callers.known_by_id(session.key_id, session.fingerprint, counts=counts)

    def reader(self, request: Request) -> tuple[Session, ApiKey]:
        """Who reads: no other site's script. Raises Refused."""
        if request.headers.get("sec-fetch-site") not in (None, "same-origin"):
            raise _foreign()
        session = self._read(request)
        if session is None:
            raise Refused(401, "sign in")
        return session, self.key(session)

    def writer(self, request: Request) -> ApiKey:
        """Who changes something: it counts among what the key may ask. Raises Refused."""
        self._check_origin(request)
        session = self._read(request)
        if session is None:
            raise Refused(401, "sign in")
        self.check_token(session, request.headers.get(TOKEN_HEADER, ""))
        return self.key(session, counts=True)

    def leaver(self, request: Request, token: str) -> None:
        """Who signs out. Raises Refused."""
        self._check_origin(request)
        if session := self._read(request):
            self.check_token(session, token)

    def check_token(self, session: Session, token: str) -> None:
        """Raises Refused where it is not the one that our page was given."""
        if not hmac.compare_digest(token.encode(), session.form_token.encode()):
            raise _foreign()

    def set_cookie(self, request: Request, response: Response, session: Session | None) -> None:
        """None: it is taken away."""
        keep: dict[str, Any] = {
            "path": "/",
            "secure": self._is_encrypted(request),
            "httponly": True,
            "samesite": "strict",
        }
        if session:
            response.set_cookie(
                self._cookie(request), session.token, max_age=SESSION_SECONDS, **keep
            )
        else:
            response.delete_cookie(self._cookie(request), **keep)

    def _read(self, request: Request) -> Session | None:
        token = request.cookies.get(self._cookie(request), "")
        return self._sessions.read(token, time.time())

    def _cookie(self, request: Request) -> str:
        """A browser takes a cookie with this prefix over https alone, from this very host alone."""
        return "__Host-t2v" if self._is_encrypted(request) else "t2v"

    def _is_encrypted(self, request: Request) -> bool:
        return is_encrypted(request, self._gateway.settings.public_url)

    def _check_origin(self, request: Request) -> None:
        if not is_from_here(request, self._gateway.settings.public_url):
            raise _foreign()


def _foreign() -> Refused:
    return Refused(403, "this did not come from this page; load it again")
