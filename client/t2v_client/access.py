"""What a connection needs to know of an API server and of who asks it."""

import base64
import ssl
import tempfile
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class ConnectionInfo:
    """Address and credentials. Each `..._data` is PEM, or that in base64; it goes with no path."""

    server: str
    """Its URL, without a slash at the end."""
    ca_path: str | Path | None = None
    ca_data: str | None = None
    insecure: bool | None = None
    """True: the server's certificate is not looked at."""
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    certificate_path: str | Path | None = None
    certificate_data: str | None = field(default=None, repr=False)
    private_key_path: str | Path | None = None
    private_key_data: str | None = field(default=None, repr=False)
    proxy_url: str | None = None
    expiration: datetime | None = None
    """When the credentials end."""

    def as_http_headers(self) -> dict[str, str]:
        """Who asks: the token, else name and password, else nothing."""
        if self.token:
            return {"Authorization": f"Bearer {self.token}"}
        if self.username and self.password:
            pair = f"{self.username}:{self.password}".encode()
            return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
        return {}

    def as_ssl_context(self) -> ssl.SSLContext:
        """Whom to believe, and the certificate to show. Raises OSError, ValueError."""
        authority = _pem(self.ca_data) if self.ca_data else None
        context = ssl.create_default_context(cafile=self.ca_path, cadata=authority)
        # ssl reads certificates to show from files alone; a read-only disk is not asked in vain.
        with tempfile.TemporaryDirectory() if self._has_data else nullcontext() as folder:
            certificate = _file(folder, "tls.crt", self.certificate_path, self.certificate_data)
            key = _file(folder, "tls.key", self.private_key_path, self.private_key_data)
            if certificate and key:
                context.load_cert_chain(certificate, key)
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    @property
    def _has_data(self) -> bool:
        return bool(self.certificate_data or self.private_key_data)


def _file(folder: str | None, name: str, path: str | Path | None, data: str | None) -> Path | None:
    if not data:
        return Path(path) if path else None
    assert folder
    file = Path(folder, name)
    file.touch(mode=0o600)
    file.write_text(_pem(data))
    return file


def _pem(data: str) -> str:
    return data if data.startswith("-----BEGIN ") else base64.b64decode(data).decode("ascii")
