"""What a kubeconfig's user shows: a token, a name with a password, or a certificate."""

import asyncio
import base64
import ssl
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientError, ClientTimeout, web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from t2v_client.access import ConnectionInfo
from t2v_client.connection import connect
from t2v_client.login import Access
from t2v_operator.delivery.certificates import make_certificate

SERVER = "https://api.example.com"
OF_THE_SERVER = make_certificate(["localhost"], datetime.now(UTC))


def a_users() -> tuple[bytes, bytes]:
    """A certificate that signs itself, and its key, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "alice")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))  # a whole test run takes more than an hour
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(pem), private


CERTIFICATE, KEY = a_users()


@pytest.mark.parametrize(
    ("user", "headers"),
    [
        ({"token": "t"}, {"Authorization": "Bearer t"}),
        ({"username": "a", "password": "b"}, {"Authorization": "Basic YTpi"}),
        ({"token": "t", "username": "a", "password": "b"}, {"Authorization": "Bearer t"}),
        ({}, {}),
    ],
    ids=["token", "password", "both", "nothing"],
)
def test_headers(user: dict[str, str], headers: dict[str, str]) -> None:
    assert ConnectionInfo(server=SERVER, **user).as_http_headers() == headers


def test_secrets_are_not_shown() -> None:
    info = ConnectionInfo(
        server=SERVER,
        token="do-not-tell",
        password="do-not-tell",
        private_key_data="do-not-tell",
        certificate_data="do-not-tell",
    )
    assert "do-not-tell" not in repr(info)


def encoded(pem: bytes) -> str:
    return base64.b64encode(pem).decode()


@pytest.mark.parametrize("kind", ["data", "plain data", "files", "none"])
def test_a_certificate_is_shown_and_its_key_is_left_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    certificate.write_bytes(CERTIFICATE)
    key.write_bytes(KEY)
    users: dict[str, Any] = {
        "data": {
            "certificate_data": encoded(CERTIFICATE),
            "private_key_data": encoded(KEY),
        },
        "plain data": {
            "certificate_data": CERTIFICATE.decode(),
            "private_key_data": KEY.decode(),
        },
        "files": {"certificate_path": certificate, "private_key_path": key},
        "none": {},
    }
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_pem = tmp_path / "server.pem"
    server_pem.write_bytes(OF_THE_SERVER.certificate + OF_THE_SERVER.key)
    context.load_cert_chain(server_pem)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=CERTIFICATE.decode())

    async def answer(_: web.Request) -> web.Response:
        return web.json_response({})

    async def status() -> int:
        app = web.Application()
        app.router.add_get("/", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        server = f"https://localhost:{runner.addresses[0][1]}"
        info = ConnectionInfo(
            server=server, ca_data=encoded(OF_THE_SERVER.authority), **users[kind]
        )

        async def login() -> Access:
            return Access(info)

        try:
            async with connect(login) as connection:
                got = await connection.request("GET", "/", None, "text/x", ClientTimeout(10))
                got.release()
                return got.status
        finally:
            await runner.cleanup()

    if kind == "none":
        with pytest.raises((ClientError, OSError)):
            asyncio.run(status())
    else:
        assert asyncio.run(status()) == 200
    assert list(scratch.iterdir()) == []
