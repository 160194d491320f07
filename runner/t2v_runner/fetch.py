"""Get the bytes behind a media URL, from a public host or the media folder.

Knows nothing of images and videos. A host that resolves to any address outside the public
internet is refused, and the connection goes to the very address that was checked, so a name that
resolves anew in between gains nothing. Environment proxies are not used.
"""

import contextlib
import http.client
import os
import socket
import ssl
import stat
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urljoin, urlsplit

from t2v_api.web_address import (
    PORTS,
    AddressRefused,
    AllowedAddresses,
    WebAddress,
    check_literal,
    read_web_address,
)

from t2v_runner.errors import InitMediaRefused, InitMediaUnavailable
from t2v_runner.order import MediaRules

MAX_BYTES = 100 * 2**20
MAX_REDIRECTS = 5
TOTAL_SECONDS = 60.0
"""For everything, redirects included."""
CONNECT_SECONDS = 10.0
CHUNK_BYTES = 2**16
REDIRECTS = (301, 302, 303, 307, 308)
WORTH_A_RETRY = (408, 429)
HEADERS: Final = {"User-Agent": "text-to-video-operator", "Accept": "*/*"}

Resolver = Callable[[str], Sequence[str]]

ANYWHERE = MediaRules(folder=None, allowed=AllowedAddresses(ranges=("0.0.0.0/0", "::/0")))


@dataclass(frozen=True)
class _Redirect:
    location: str


class _AnotherAnswer(InitMediaRefused):
    """The server answered, and did not give the media."""

    def __init__(self, shown: str, status: int) -> None:
        advice = "the URL must give the media itself"
        super().__init__(f"{shown}: the server answered {status}; {advice}")
        self.status = status


def resolve_host(host: str) -> Sequence[str]:
    """Every address of `host`. The system's resolver keeps time limits of its own."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def fetch(url: str, rules: MediaRules, resolve: Resolver = resolve_host) -> bytes:
    """The body behind an http, https or file URL, at most `MAX_BYTES` long.

    Raises InitMediaRefused where another attempt would end the same, else InitMediaUnavailable.
    """
    if url.lower().startswith("file:"):
        return _read_file(url, rules)
    deadline = time.monotonic() + TOTAL_SECONDS
    for _ in range(MAX_REDIRECTS + 1):
        target = _parse(url, rules)
        answer = _get(target, rules, resolve, deadline)
        if isinstance(answer, bytes):
            return answer
        url = urljoin(url, answer.location)
    raise InitMediaRefused(f"{target.shown}: more than {MAX_REDIRECTS} redirects; name the end")


def fetch_link(link: str, name: str) -> bytes:
    """The body behind a link of the operator's to the file `name` of its store.

    It leads inside, so every address is taken, and no further: redirects are not followed. It is a
    right of its own, so messages say `name` instead. Raises InitMediaRefused where the file itself
    cannot be taken, else InitMediaUnavailable.
    """
    try:
        target = replace(read_web_address(link), shown=name)
    except AddressRefused:
        raise InitMediaUnavailable(f"{name}: the operator's link to it cannot be used") from None
    try:
        answer = _get(target, ANYWHERE, resolve_host, time.monotonic() + TOTAL_SECONDS)
    except _AnotherAnswer as error:
        raise InitMediaUnavailable(f"{name}: the store answered {error.status}") from None
    if isinstance(answer, _Redirect):
        raise InitMediaUnavailable(f"{name}: the store answered with a redirect")
    return answer


def _parse(url: str, rules: MediaRules) -> WebAddress:
    try:
        return check_literal(url, rules.allowed)
    except AddressRefused as error:
        raise InitMediaRefused(str(error)) from None


def _get(
    target: WebAddress, rules: MediaRules, resolve: Resolver, deadline: float
) -> bytes | _Redirect:
    expired = threading.Event()
    try:
        with _connection(target, rules, resolve, deadline, expired) as connection:
            connection.request("GET", target.path, headers=HEADERS)
            with contextlib.closing(connection.getresponse()) as response:
                answer = _answer(response, target)
    except ssl.SSLCertVerificationError as error:
        raise InitMediaRefused(
            f"{target.shown}: its certificate is not trusted: {error.verify_message}"
        ) from None
    except (OSError, http.client.HTTPException) as error:
        if expired.is_set() or isinstance(error, TimeoutError):
            raise _too_slow(target) from None
        what = getattr(error, "strerror", None) or type(error).__name__
        raise InitMediaUnavailable(f"{target.shown}: cannot be fetched: {what}") from None
    except (InitMediaUnavailable, InitMediaRefused):
        if expired.is_set():
            raise _too_slow(target) from None
        raise
    if expired.is_set():
        raise _too_slow(target)
    return answer


def _too_slow(target: WebAddress) -> InitMediaUnavailable:
    return InitMediaUnavailable(
        f"{target.shown}: too slow: not there within {TOTAL_SECONDS:g} s in all, "
        f"{CONNECT_SECONDS:g} s to connect"
    )


@contextlib.contextmanager
def _connection(
    target: WebAddress,
    rules: MediaRules,
    resolve: Resolver,
    deadline: float,
    expired: threading.Event,
) -> Iterator[http.client.HTTPConnection]:
    """A connection to a checked address that is cut when the time is over."""
    sock = _connect(target, _checked(target, rules, resolve), deadline)
    context = ssl.create_default_context() if target.scheme == "https" else None
    if context:
        sock = context.wrap_socket(sock, server_hostname=target.host, do_handshake_on_connect=False)

    def cut() -> None:
        expired.set()
        with contextlib.suppress(OSError):
            # Not SSLSocket.shutdown: that one takes the TLS layer away from under a reader.
            socket.socket.shutdown(sock, socket.SHUT_RDWR)

    watch = threading.Timer(max(0.0, deadline - time.monotonic()), cut)
    watch.daemon = True
    watch.start()
    connection = http.client.HTTPConnection(target.host, target.port)
    connection.default_port = PORTS[target.scheme]
    connection.auto_open = 0  # never connect by name: the name may resolve anew
    connection.sock = sock
    try:
        sock.settimeout(max(0.001, deadline - time.monotonic()))
        if isinstance(sock, ssl.SSLSocket):
            sock.do_handshake()
        yield connection
    finally:
        watch.cancel()
        connection.close()
        sock.close()


def _checked(target: WebAddress, rules: MediaRules, resolve: Resolver) -> Sequence[str]:
    addresses = resolve(target.host)
    if not addresses:
        raise InitMediaUnavailable(f"{target.shown}: {target.host} has no address")
    try:
        return target.checked(addresses, rules.allowed)
    except AddressRefused as error:
        raise InitMediaRefused(str(error)) from None


def _connect(target: WebAddress, addresses: Sequence[str], deadline: float) -> socket.socket:
    failure: OSError | None = None
    give_up = min(deadline, time.monotonic() + CONNECT_SECONDS)
    for address in addresses:
        left = give_up - time.monotonic()
        if left <= 0:
            break
        try:
            return socket.create_connection((address, target.port), timeout=left)
        except OSError as error:
            failure = error
    raise failure or TimeoutError()


def _answer(response: http.client.HTTPResponse, target: WebAddress) -> bytes | _Redirect:
    status = response.status
    location = response.getheader("Location")
    if status in REDIRECTS and location:
        return _Redirect(location)
    if status >= 500 or status in WORTH_A_RETRY:
        raise InitMediaUnavailable(f"{target.shown}: the server answered {status}")
    if not 200 <= status < 300:
        raise _AnotherAnswer(target.shown, status)
    expected = response.length
    body = _read_body(response, target)
    if expected is not None and len(body) < expected:
        raise InitMediaUnavailable(
            f"{target.shown}: the connection ended after {len(body)} of {expected} bytes"
        )
    if not body:
        raise InitMediaRefused(f"{target.shown}: the server answered {status} without a body")
    return body


def _read_body(response: http.client.HTTPResponse, target: WebAddress) -> bytes:
    if response.length is not None and response.length > MAX_BYTES:
        raise _too_large(target.shown, response.length)
    body = bytearray()
    while chunk := response.read1(CHUNK_BYTES):
        body += chunk
        if len(body) > MAX_BYTES:
            raise _too_large(target.shown, len(body))
    return bytes(body)


def _too_large(shown: str, size: int) -> InitMediaRefused:
    return InitMediaRefused(
        f"{shown}: {size} bytes or more; at most {MAX_BYTES} are taken: "
        "make it smaller, shorter, or compress it more"
    )


def _read_file(url: str, rules: MediaRules) -> bytes:
    try:
        parts = urlsplit(url)
    except ValueError:
        raise InitMediaRefused("the media URL cannot be read as a file URL") from None
    shown = f"file://{parts.path}"
    if rules.folder is None:
        raise InitMediaRefused(f"{shown}: file URLs are not allowed here; use http or https")
    if parts.netloc not in ("", "localhost"):
        raise InitMediaRefused(f"{shown}: a file URL has three slashes: file:///folder/file")
    try:
        path = Path(unquote(parts.path)).resolve(strict=True)
        if not path.is_relative_to(rules.folder.resolve(strict=True)):
            raise InitMediaRefused(f"{shown}: is not below the media folder")
        return _read_regular(path, shown)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        raise InitMediaRefused(f"{shown}: no such file") from None
    except PermissionError:
        raise InitMediaRefused(f"{shown}: may not be read") from None
    except (OSError, RuntimeError) as error:
        raise InitMediaUnavailable(f"{shown}: cannot be read: {error}") from None


def _read_regular(path: Path, shown: str) -> bytes:
    # Not blocking: to open a pipe would wait for its writer.
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise InitMediaRefused(f"{shown}: is not a regular file")
        if found.st_size > MAX_BYTES:
            raise _too_large(shown, found.st_size)
        with os.fdopen(handle, "rb", closefd=False) as file:
            return file.read(MAX_BYTES)
    finally:
        os.close(handle)
