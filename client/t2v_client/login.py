"""Who this process is to the API server: the pod's service account, else what a kubeconfig says.

Knows exec plugins, and files that are named beside the kubeconfig. Knows nothing of requests.
"""

import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from t2v_client.access import ConnectionInfo
from t2v_client.errors import LoginError
from t2v_client.exec_plugin import run_exec_plugin

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


def find_login(
    environment: Mapping[str, str] = os.environ,
    account: Path = ACCOUNT,
    *,
    context: str | None = None,
    kubeconfig: str | Path | None = None,
) -> Login:
    """The login of this process; of the named context or file, where one is named."""
    host = environment.get("KUBERNETES_SERVICE_HOST")
    port = environment.get("KUBERNETES_SERVICE_PORT")
    is_named = context or kubeconfig
    if not is_named and host and port and (account / "token").exists():
        server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
        return partial(as_service_account, server, account)
    return partial(as_kubeconfig_says, kubeconfigs(environment, kubeconfig), context)


def find_namespace(
    context: str | None = None,
    kubeconfig: str | Path | None = None,
    environment: Mapping[str, str] = os.environ,
    account: Path = ACCOUNT,
) -> str:
    """Where this process is at home: the context's namespace, the pod's, else `default`.

    Raises LoginError.
    """
    if not context and not kubeconfig and (account / "namespace").exists():
        return (account / "namespace").read_text().strip()
    files = kubeconfigs(environment, kubeconfig)
    documents = [_read(file) for file in files if file.exists()]
    chosen = context or _current(documents)
    if not context and not chosen:
        return "default"
    namespace: str = _named(documents, "context", chosen).get("namespace") or "default"
    return namespace


def kubeconfigs(
    environment: Mapping[str, str] = os.environ, named: str | Path | None = None
) -> list[Path]:
    """The files to read: the one that is named, else those of KUBECONFIG, else the home's."""
    if named:
        return [Path(named)]
    places = environment.get("KUBECONFIG") or str(Path("~/.kube/config").expanduser())
    return [Path(each) for each in places.split(os.pathsep) if each]


async def as_service_account(server: str, account: Path = ACCOUNT) -> Access:
    """Raises LoginError when the pod's token cannot be read, or is empty."""
    try:
        token = (account / "token").read_text().strip()
    except OSError as error:
        raise LoginError(f"{account / 'token'}: {error.strerror}") from None
    if not token:
        raise LoginError(f"{account / 'token'} is empty")
    end = datetime.now(UTC) + TOKEN_AGE
    return Access(
        ConnectionInfo(server=server, ca_path=account / "ca.crt", token=token, expiration=end)
    )


async def as_kubeconfig_says(files: Sequence[Path], context: str | None = None) -> Access:
    """The context's, or the current one's. Raises LoginError."""
    cluster, user = current_context(files, context)
    if "auth-provider" in user:
        name = user["auth-provider"].get("name")
        raise LoginError(
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
                expiration=_end(user),
                **_file_or_data(cluster, "certificate-authority", "ca"),
                **_file_or_data(user, "client-certificate", "certificate"),
                **_file_or_data(user, "client-key", "private_key"),
            ),
            tls_server_name=cluster.get("tls-server-name"),
        )
    except (OSError, LookupError, AttributeError) as error:
        raise LoginError(f"kubeconfig: {type(error).__name__} {error}") from None


def current_context(files: Sequence[Path], name: str | None = None) -> tuple[Section, Section]:
    """Cluster and user of the context `name`, or of the current one.

    The files are read as kubectl reads them: the first to name a thing wins.
    Paths in them are absolute. Raises LoginError.
    """
    documents = [_read(file) for file in files if file.exists()]
    if not documents:
        names = ", ".join(map(str, files))
        raise LoginError(
            f"no cluster to talk to: this is no pod with a service account, and there is no {names}"
        )
    context = _named(documents, "context", name or _current(documents))
    cluster = _named(documents, "cluster", context.get("cluster"))
    return cluster, _named(documents, "user", context["user"]) if context.get("user") else {}


def _current(documents: Sequence[Section]) -> str | None:
    return next(filter(None, (each.get("current-context") for each in documents)), None)


def _read(file: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(file.read_text())
        document = {} if document is None else document
        for section in (each[kind] for kind in _PATHS for each in document.get(f"{kind}s") or ()):
            for name in (name for names in _PATHS.values() for name in names if section.get(name)):
                section[name] = str(file.parent / section[name])
            command = section.get("exec") or {}
            # A bare name is looked for on the path.
            if os.sep in command.get("command", ""):
                command["command"] = str(file.parent / command["command"])
    except (OSError, yaml.YAMLError, LookupError, TypeError, AttributeError) as error:
        # The error's own words may show a line with a token in it.
        raise LoginError(f"{file} is no kubeconfig: {type(error).__name__}") from None
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
    raise LoginError(f"kubeconfig: there is no {kind} {name}")


def _token(user: Section) -> str | None:
    if "token" not in user and "tokenFile" in user:
        return Path(user["tokenFile"]).read_text().strip()
    token: str | None = user.get("token")
    return token


def _end(user: Section) -> datetime | None:
    """A file's token is read again in time, as that of a pod's service account is."""
    if "token" not in user and "tokenFile" in user:
        return datetime.now(UTC) + TOKEN_AGE
    end: datetime | None = user.get("expiration")
    return end


def _file_or_data(section: Section, name: str, ours: str) -> dict[str, Any]:
    """Data goes before a file."""
    if data := section.get(f"{name}-data"):
        return {f"{ours}_data": data}
    return {f"{ours}_path": section.get(name)}
