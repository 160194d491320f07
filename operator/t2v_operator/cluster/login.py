"""Who this process is to the API server: the pod's service account, else what a kubeconfig says.

kopf brings what a connection needs to know (`ConnectionInfo`); its own logins know neither exec
plugins nor files that are named beside the kubeconfig. Knows nothing of requests.
"""

import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from kopf import ConnectionInfo

from t2v_operator.cluster.exec_plugin import run_exec_plugin
from t2v_operator.config import ConfigurationError

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
TOKEN_AGE = timedelta(minutes=1)
"""The kubelet writes another token long before one ends."""

Section = Mapping[str, Any]


@dataclass(frozen=True)
class Access:
    """All that a connection needs; the credentials in `info` may have an end."""

    info: ConnectionInfo = field(repr=False)
    tls_server_name: str | None = None
    """The name on the API server's certificate, where it is not that of the address."""


Login = Callable[[], Awaitable[Access]]
"""Access as of now: called again when the credentials end."""


def find_login(environment: Mapping[str, str] = os.environ, account: Path = ACCOUNT) -> Login:
    """The login of this process."""
    host = environment.get("KUBERNETES_SERVICE_HOST")
    port = environment.get("KUBERNETES_SERVICE_PORT")
    if host and port and (account / "token").exists():
        server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
        return partial(as_service_account, server, account)
    named = environment.get("KUBECONFIG") or str(Path("~/.kube/config").expanduser())
    return partial(as_kubeconfig_says, [Path(each) for each in named.split(os.pathsep) if each])


async def as_service_account(server: str, account: Path = ACCOUNT) -> Access:
    """Raises ConfigurationError when the pod's token cannot be read, or is empty."""
    try:
        token = (account / "token").read_text().strip()
    except OSError as error:
        raise ConfigurationError(f"{account / 'token'}: {error.strerror}") from None
    if not token:
        raise ConfigurationError(f"{account / 'token'} is empty")
    end = datetime.now(UTC) + TOKEN_AGE
    return Access(
        ConnectionInfo(server=server, ca_path=account / "ca.crt", token=token, expiration=end)
    )


async def as_kubeconfig_says(files: Sequence[Path]) -> Access:
    """The current context's. Raises ConfigurationError."""
    cluster, user = current_context(files)
    if "auth-provider" in user:
        name = user["auth-provider"].get("name")
        raise ConfigurationError(
            f"kubeconfig: the user logs in by the auth-provider {name}, which kubectl dropped for "
            "exec plugins: use one"
        )
    if command := user.get("exec"):
        user = {**user, **await run_exec_plugin(command)}
    try:
        return Access(
            ConnectionInfo(
                server=cluster["server"].rstrip("/"),
                insecure=cluster.get("insecure-skip-tls-verify"),
                proxy_url=cluster.get("proxy-url"),
                username=user.get("username"),
                password=user.get("password"),
                token=_token(user),
                expiration=user.get("expiration"),
                **_file_or_data(cluster, "certificate-authority", "ca"),
                **_file_or_data(user, "client-certificate", "certificate"),
                **_file_or_data(user, "client-key", "private_key"),
            ),
            tls_server_name=cluster.get("tls-server-name"),
        )
    except (OSError, LookupError, AttributeError) as error:
        raise ConfigurationError(f"kubeconfig: {type(error).__name__} {error}") from None


def current_context(files: Sequence[Path]) -> tuple[Section, Section]:
    """Cluster and user, from the files as kubectl reads them: the first to name a thing wins.

    Paths in them are absolute. Raises ConfigurationError.
    """
    documents = [_read(file) for file in files if file.exists()]
    if not documents:
        names = ", ".join(map(str, files))
        raise ConfigurationError(
            f"no cluster to talk to: this is no pod with a service account, and there is no {names}"
        )
    current = next(filter(None, (each.get("current-context") for each in documents)), None)
    context = _named(documents, "context", current)
    cluster = _named(documents, "cluster", context.get("cluster"))
    return cluster, _named(documents, "user", context["user"]) if context.get("user") else {}


def _read(file: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(file.read_text()) or {}
        for section in (each[kind] for kind in _PATHS for each in document.get(f"{kind}s") or ()):
            for name in (name for names in _PATHS.values() for name in names if section.get(name)):
                section[name] = str(file.parent / section[name])
            command = section.get("exec") or {}
            # A bare name is looked for on the path.
            if os.sep in command.get("command", ""):
                command["command"] = str(file.parent / command["command"])
    except (OSError, yaml.YAMLError, LookupError, TypeError, AttributeError) as error:
        # The error's own words may show a line with a token in it.
        raise ConfigurationError(f"{file} is no kubeconfig: {type(error).__name__}") from None
    return document


_PATHS = {
    "cluster": ("certificate-authority",),
    "user": ("client-certificate", "client-key", "tokenFile"),
}
"""What is relative to the file that says it."""


def _named(documents: Sequence[Section], kind: str, name: str | None) -> Section:
    for document in documents:
        for each in document.get(f"{kind}s") or ():
            if each.get("name") == name:
                section: Section = each.get(kind) or {}
                return section
    raise ConfigurationError(f"kubeconfig: there is no {kind} {name}")


def _token(user: Section) -> str | None:
    if "token" not in user and "tokenFile" in user:
        return Path(user["tokenFile"]).read_text().strip()
    token: str | None = user.get("token")
    return token


def _file_or_data(section: Section, name: str, ours: str) -> dict[str, Any]:
    """Data goes before a file."""
    if data := section.get(f"{name}-data"):
        return {f"{ours}_data": data}
    return {f"{ours}_path": section.get(name)}
