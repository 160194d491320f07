"""Certificates and keys for one cluster, made with openssl.

Nothing here knows Kubernetes' programs.
"""

from pathlib import Path

from harness.commands import Words, run

_DAYS = "365"
_ELLIPTIC_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


class CertificateAuthority:
    """An authority with all its files in one folder: `ca.crt`, and `NAME.crt`, `NAME.key`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, mode=0o700)
        # openssl's own configuration would mark every certificate as an authority.
        self._configuration = folder / "openssl.cnf"
        self._configuration.write_text("[req]\ndistinguished_name = name\n[name]\n")
        self._make("ca", "/CN=test-cluster", ["basicConstraints=critical,CA:TRUE"])

    def issue_client(self, name: str, user: str, group: str | None = None) -> None:
        """A certificate that Kubernetes reads as `user` (CN) in `group` (O)."""
        subject = f"/O={group}/CN={user}" if group else f"/CN={user}"
        self._issue(name, subject, ["extendedKeyUsage=clientAuth"])

    def issue_server(self, name: str, alternative_names: list[str]) -> None:
        """A server's certificate for names such as `DNS:localhost` and `IP:127.0.0.1`."""
        names = f"subjectAltName={','.join(alternative_names)}"
        self._issue(name, f"/CN={name}", ["extendedKeyUsage=serverAuth", names])

    def make_key_pair(self, name: str) -> None:
        """An RSA key (`NAME.key`) and its public half (`NAME.pub`), for signing tokens."""
        key = self.folder / f"{name}.key"
        run(["openssl", "genrsa", "-out", key, "2048"])
        run(["openssl", "rsa", "-in", key, "-pubout", "-out", self.folder / f"{name}.pub"])

    def _issue(self, name: str, subject: str, extensions: list[str]) -> None:
        authority = ["-CA", str(self.folder / "ca.crt"), "-CAkey", str(self.folder / "ca.key")]
        self._make(name, subject, ["basicConstraints=critical,CA:FALSE", *extensions], authority)

    def _make(
        self, name: str, subject: str, extensions: list[str], authority: list[str] | None = None
    ) -> None:
        added = [word for extension in extensions for word in ("-addext", extension)]
        files: Words = ["-keyout", self.folder / f"{name}.key", "-out", self.folder / f"{name}.crt"]
        request: Words = ["openssl", "req", "-x509", "-config", self._configuration, "-days", _DAYS]
        run([*request, *_ELLIPTIC_KEY, "-subj", subject, *added, *files, *(authority or [])])
