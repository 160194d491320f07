"""Downloads against a real HTTP server; refusals without a network."""

import os
import shlex
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from t2v_api.web_address import AllowedAddresses, is_public
from t2v_runner import fetch as fetching
from t2v_runner.errors import InitMediaRefused, InitMediaUnavailable
from t2v_runner.fetch import fetch, fetch_link
from t2v_runner.order import MediaRules

OPEN = MediaRules(folder=None, allowed=AllowedAddresses(ranges=("0.0.0.0/0", "::/0")))
GUARDED = MediaRules(folder=None)
BODY = b"the media"


class _Site(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        name, _, argument = path.strip("/").partition("/")
        getattr(self, f"_{name}")(argument or query)

    def _media(self, _: str) -> None:
        self._send(200, BODY)

    def _host(self, _: str) -> None:
        self._send(200, self.headers["Host"].encode())

    def _path(self, _: str) -> None:
        self._send(200, self.path.encode())

    def _status(self, code: str) -> None:
        self._send(int(code), b"no")

    def _empty(self, _: str) -> None:
        self._send(200, b"")

    def _hops(self, count: str) -> None:
        self._redirect("/media" if count == "1" else f"/hops/{int(count) - 1}")

    def _to(self, target: str) -> None:
        self._redirect(target)

    def _redirect(self, target: str) -> None:
        self.send_response(302)
        self.send_header("Location", target)
        self.end_headers()

    def _cut(self, _: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(BODY)

    def _endless(self, _: str) -> None:
        self.send_response(200)
        self.end_headers()
        for _count in range(100):
            self.wfile.write(b"x" * 1000)

    def _claims(self, size: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", size)
        self.end_headers()

    def _drip(self, _: str) -> None:
        self.send_response(200)
        self.end_headers()
        for _count in range(50):
            self.wfile.write(b"x")
            time.sleep(0.1)

    def _drip_headers(self, _: str) -> None:
        self.wfile.write(b"HTTP/1.0 200 OK\r\nX-Slow: ")
        for _count in range(50):
            self.wfile.write(b"x")
            time.sleep(0.1)

    def _send(self, code: int, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is what some tests are about."""


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    with _QuietServer(("127.0.0.1", 0), _Site) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_the_body_is_returned(site: str) -> None:
    assert fetch(f"{site}/media", OPEN) == BODY


def test_a_signed_query_arrives_as_it_is(site: str) -> None:
    assert fetch(f"{site}/path?sig=a%2Fb%3D&x=1", OPEN) == b"/path?sig=a%2Fb%3D&x=1"


def test_a_path_in_any_script_is_sent_as_utf8(site: str) -> None:
    assert fetch(f"{site}/path/ü", OPEN) == b"/path/%C3%BC"


def test_the_connection_goes_to_the_address_that_was_checked(site: str) -> None:
    url = site.replace("127.0.0.1", "media.example") + "/host"
    host = url.removeprefix("http://").removesuffix("/host")
    assert fetch(url, OPEN, lambda _: ["127.0.0.1"]).decode() == host


def test_the_next_address_is_tried_when_one_does_not_answer(site: str) -> None:
    url = site.replace("127.0.0.1", "media.example") + "/media"
    assert fetch(url, OPEN, lambda _: ["127.0.0.2", "127.0.0.1"]) == BODY


def test_environment_proxies_are_not_used(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert fetch(f"{site}/media", OPEN) == BODY


def test_five_redirects_are_followed(site: str) -> None:
    assert fetch(f"{site}/hops/5", OPEN) == BODY


def test_a_sixth_redirect_is_refused(site: str) -> None:
    with pytest.raises(InitMediaRefused, match="more than 5 redirects"):
        fetch(f"{site}/hops/6", OPEN)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_an_answer_that_stays_is_refused(site: str, status: int) -> None:
    with pytest.raises(InitMediaRefused, match=f"answered {status}"):
        fetch(f"{site}/status/{status}", OPEN)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
def test_an_answer_that_may_change_is_worth_a_retry(site: str, status: int) -> None:
    with pytest.raises(InitMediaUnavailable, match=f"answered {status}"):
        fetch(f"{site}/status/{status}", OPEN)


def test_a_connection_that_ends_early_is_worth_a_retry(site: str) -> None:
    with pytest.raises(InitMediaUnavailable, match="9 of 1000 bytes"):
        fetch(f"{site}/cut", OPEN)


def test_a_refused_connection_is_worth_a_retry() -> None:
    with pytest.raises(InitMediaUnavailable, match="refused"):
        fetch("http://127.0.0.1:9/", OPEN)


def test_a_host_that_does_not_resolve_is_worth_a_retry() -> None:
    def no_answer(host: str) -> list[str]:
        raise OSError(-3, "Temporary failure in name resolution")

    with pytest.raises(InitMediaUnavailable, match="name resolution"):
        fetch("http://media.example/", GUARDED, no_answer)


def test_an_empty_body_is_refused(site: str) -> None:
    with pytest.raises(InitMediaRefused, match="without a body"):
        fetch(f"{site}/empty", OPEN)


@pytest.mark.parametrize("path", ["endless", "claims/10001"], ids=["sent", "announced"])
def test_a_body_that_is_too_large_is_refused(
    site: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "MAX_BYTES", 10_000)
    with pytest.raises(InitMediaRefused, match="at most 10000"):
        fetch(f"{site}/{path}", OPEN)


@pytest.mark.parametrize("path", ["drip", "drip_headers"], ids=["body", "headers"])
def test_a_server_that_drips_is_cut_off(
    site: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "TOTAL_SECONDS", 0.4)
    start = time.monotonic()
    with pytest.raises(InitMediaUnavailable, match="too slow"):
        fetch(f"{site}/{path}", OPEN)
    assert time.monotonic() - start < 3


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "169.254.169.254",
        "10.1.2.3",
        "100.64.0.1",
        "0.0.0.0",
        "2130706433",
        "0x7f.1",
        "[::1]",
        "[::ffff:10.0.0.1]",
        "[64:ff9b::a00:1]",
        "[2002:a00:1::]",
        "[fe80::1]",
        "[fd00::1]",
    ],
)
def test_a_host_outside_the_public_internet_is_refused(host: str) -> None:
    with pytest.raises(InitMediaRefused, match="not an address of the public internet"):
        fetch(f"http://{host}/media", GUARDED)


def test_one_private_address_among_public_ones_is_refused() -> None:
    with pytest.raises(InitMediaRefused, match=r"10\.0\.0\.1"):
        fetch("http://media.example/", GUARDED, lambda _: ["8.8.8.8", "10.0.0.1"])


def test_a_redirect_to_a_private_address_is_refused(site: str) -> None:
    own = MediaRules(folder=None, allowed=AllowedAddresses(ranges=("127.0.0.1/32",)))
    with pytest.raises(InitMediaRefused, match=r"169\.254\.169\.254"):
        fetch(f"{site}/to?http://169.254.169.254/latest/meta-data", own)


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://media.example/a", "gopher://x/"])
def test_a_redirect_to_another_scheme_is_refused(site: str, target: str) -> None:
    with pytest.raises(InitMediaRefused, match="only http"):
        fetch(f"{site}/to?{target}", OPEN)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("64:ff9b::808:808", True),
        ("224.0.0.1", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("192.168.0.1", False),
        ("172.16.0.1", False),
        ("198.18.0.1", False),
        ("2001::1", False),
        ("64:ff9b:1::1", False),
        ("::7f00:1", False),
        ("fec0::1", False),
        ("ff0e::1", False),
        ("fe80::1%eth0", False),
    ],
)
def test_addresses_that_are_of_the_public_internet(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize(
    "url",
    [
        "http:///media",
        "http://host:99999/media",
        "http://[::1/media",
        "http://user:hunter2@media.example/media?token=hunter2",
        "http://" + "a" * 70 + ".example/",
    ],
)
def test_a_url_that_cannot_be_used_is_refused_without_its_secrets(url: str) -> None:
    with pytest.raises(InitMediaRefused) as refusal:
        fetch(url, GUARDED)
    assert "hunter2" not in str(refusal.value)


def test_messages_leave_out_the_query(site: str) -> None:
    with pytest.raises(InitMediaRefused) as refusal:
        fetch(f"{site}/status/404?X-Amz-Signature=hunter2", OPEN)
    assert "/status/404" in str(refusal.value)
    assert "hunter2" not in str(refusal.value)


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl to make a certificate")
def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    subprocess.run(
        shlex.split(
            "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=media.example "
            "-keyout key.pem -out cert.pem"
        ),
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    with _QuietServer(("127.0.0.1", 0), _Site) as server:
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"https://media.example:{server.server_port}/media"
        with pytest.raises(InitMediaRefused, match="certificate is not trusted"):
            fetch(url, OPEN, lambda _: ["127.0.0.1"])
        server.shutdown()


NAME, SECRET = "store://uploads/cat.png", "hunter2"


def test_a_link_of_the_operators_may_lead_inside_and_arrives_as_it_is(site: str) -> None:
    assert fetch_link(f"{site}/path?sig=a%2Fb%3D&x=1", NAME) == b"/path?sig=a%2Fb%3D&x=1"


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/to?/media&", "answered with a redirect"),
        ("/status/403?", "the store answered 403"),
        ("/status/404?", "the store answered 404"),
        ("/status/503?", "the server answered 503"),
        ("/cut?", "9 of 1000 bytes"),
        ("/drip?", "too slow"),
    ],
)
def test_a_link_that_does_not_give_the_file_is_worth_another_and_stays_a_secret(
    site: str, path: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "TOTAL_SECONDS", 0.4)
    with pytest.raises(InitMediaUnavailable, match=f"^{NAME}: .*{said}") as failure:
        fetch_link(f"{site}{path}{SECRET}", NAME)
    assert site not in str(failure.value)
    assert SECRET not in str(failure.value)


@pytest.mark.parametrize("link", ["", "ftp://s", "https://user:hunter2@s/", "http://127.0.0.1:9/"])
def test_a_link_that_leads_nowhere_is_worth_another_and_stays_a_secret(link: str) -> None:
    with pytest.raises(InitMediaUnavailable, match=f"^{NAME}: ") as failure:
        fetch_link(link, NAME)
    assert not any(part in str(failure.value) for part in (SECRET, "127.0.0.1", "ftp"))


@pytest.mark.parametrize("path", ["endless", "claims/10001", "empty"])
def test_a_file_of_the_store_keeps_the_same_bounds(
    site: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "MAX_BYTES", 10_000)
    with pytest.raises(InitMediaRefused, match=f"^{NAME}: "):
        fetch_link(f"{site}/{path}?{SECRET}", NAME)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "media"
    folder.mkdir()
    (folder / "a picture.png").write_bytes(BODY)
    (tmp_path / "secret").write_bytes(b"secret")
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "inside").symlink_to(folder / "a picture.png")
    os.mkfifo(folder / "pipe")
    return folder


@pytest.mark.parametrize("name", ["a%20picture.png", "inside"])
def test_a_file_below_the_media_folder_is_read(folder: Path, name: str) -> None:
    assert fetch(f"file://{folder}/{name}", MediaRules(folder)) == BODY


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../secret", "not below the media folder"),
        ("%2e%2e/secret", "not below the media folder"),
        ("link", "not below the media folder"),
        ("pipe", "not a regular file"),
        ("", "not a regular file"),
        ("missing", "no such file"),
        ("a%00b", "no such file"),
    ],
)
def test_another_file_is_refused(folder: Path, name: str, message: str) -> None:
    with pytest.raises(InitMediaRefused, match=message):
        fetch(f"file://{folder}/{name}", MediaRules(folder))


def test_file_urls_are_refused_without_a_media_folder(folder: Path) -> None:
    with pytest.raises(InitMediaRefused, match="not allowed"):
        fetch(f"file://{folder}/inside", GUARDED)


def test_a_file_on_another_host_is_refused(folder: Path) -> None:
    with pytest.raises(InitMediaRefused, match="three slashes"):
        fetch("file://media/inside", MediaRules(folder))


def test_a_file_that_is_too_large_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "MAX_BYTES", 4)
    with pytest.raises(InitMediaRefused, match="at most 4"):
        fetch(f"file://{folder}/inside", MediaRules(folder))
