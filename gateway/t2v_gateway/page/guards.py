"""What keeps other sites, and whoever guesses keys, out of the page."""

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.requests import Request

from t2v_gateway.errors import Refused

MOST_FAILURES = 10
"""Wrong keys from one address, at once."""
FORGIVEN_SECONDS = 30.0
"""After each of these one more is allowed."""
MOST_ADDRESSES = 10_000


def is_from_here(request: Request, public_url: str | None) -> bool:
    """Whether our own page asks, as the browser says: no script of another site can claim it."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site not in (None, "same-origin"):
        return False
    if origin is None:
        return site == "same-origin"
    ours = {request.headers.get("host", ""), urlsplit(public_url or "").netloc} - {""}
    return _host(origin) in ours


def is_encrypted(request: Request, public_url: str | None) -> bool:
    """Whether the browser speaks https, perhaps with something before the gateway."""
    return request.url.scheme == "https" or (public_url or "").startswith("https://")


class Attempts:
    """How many wrong keys came from where."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failed: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """By address: how many wrong keys are not forgiven, and when that was reckoned."""

    def check(self, address: str) -> None:
        """Raises Refused where too many came from there."""
        left = self._failures(_network(address)) - MOST_FAILURES + 1
        if left > 0:
            wait = max(1, round(left * FORGIVEN_SECONDS))
            raise Refused(429, f"too many wrong keys; try again in {wait} s", retry_after=wait)

    def failed(self, address: str) -> None:
        """One more wrong key."""
        network = _network(address)
        self._failed[network] = self._failures(network) + 1, self._clock()
        self._failed.move_to_end(network)
        while len(self._failed) > MOST_ADDRESSES:
            self._failed.popitem(last=False)

    def _failures(self, network: str) -> float:
        count, since = self._failed.get(network, (0.0, 0.0))
        return max(0.0, count - (self._clock() - since) / FORGIVEN_SECONDS)


def _host(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def _network(address: str) -> str:
    """Who has one address of IPv6 has 2^64 of them."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    return str(ipaddress.ip_network(f"{address.partition('%')[0]}/64", strict=False))
