"""Whom the API server sees, from a pod's files and from kubeconfigs."""

import asyncio
import base64
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from t2v_client.errors import LoginError
from t2v_client.login import TOKEN_AGE, Access, as_kubeconfig_says, find_login

IN_A_POD = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}
SERVER = "https://api.example.com:6443"
VERSION = "client.authentication.k8s.io/v1"
SECRET = "do-not-tell"


@pytest.fixture
def account(tmp_path: Path) -> Path:
    """What the kubelet mounts."""
    folder = tmp_path / "serviceaccount"
    folder.mkdir()
    (folder / "token").write_text("first\n")
    (folder / "ca.crt").write_text("-")
    return folder


def a_kubeconfig(file: Path, user: Any = None, **cluster: Any) -> Path:
    """With one context."""
    document = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": SERVER, **cluster}}],
        "users": [{"name": "u", "user": user or {}}],
    }
    file.write_text(yaml.safe_dump(document))
    return file


def access(*files: Path) -> Access:
    return asyncio.run(as_kubeconfig_says(files))


def test_a_pod_is_its_service_account_and_its_token_is_read_anew(account: Path) -> None:
    login = find_login(IN_A_POD, account)
    first = asyncio.run(login())
    assert first.info.server == "https://10.0.0.1:443"
    assert first.info.as_http_headers() == {"Authorization": "Bearer first"}
    assert first.info.ca_path == account / "ca.crt"
    assert first.info.expiration
    assert timedelta(0) < first.info.expiration - datetime.now(UTC) <= timedelta(minutes=1)
    (account / "token").write_text("second")
    assert asyncio.run(login()).info.token == "second"


def test_an_address_of_ipv6_has_brackets(account: Path) -> None:
    login = find_login(IN_A_POD | {"KUBERNETES_SERVICE_HOST": "fd00::1"}, account)
    assert asyncio.run(login()).info.server == "https://[fd00::1]:443"


def test_an_empty_token_is_not_sent(account: Path) -> None:
    (account / "token").write_text("\n")
    with pytest.raises(LoginError, match="token is empty"):
        asyncio.run(find_login(IN_A_POD, account)())


def test_a_pod_without_a_token_and_a_machine_ask_the_kubeconfig(
    account: Path, tmp_path: Path
) -> None:
    file = a_kubeconfig(tmp_path / "config", {"token": "mine"})
    (account / "token").unlink()
    for environment in ({}, IN_A_POD):
        login = find_login(environment | {"KUBECONFIG": str(file)}, account)
        found = asyncio.run(login())
        assert (found.info.server, found.info.token) == (SERVER, "mine")


def test_the_first_of_several_files_to_name_a_thing_wins(tmp_path: Path) -> None:
    first = tmp_path / "first"
    first.write_text(yaml.safe_dump({"users": [{"name": "u", "user": {"token": "one"}}]}))
    second = a_kubeconfig(tmp_path / "second", {"token": "two"})
    named = os.pathsep.join(map(str, (tmp_path / "not-there", first, second)))
    found = asyncio.run(find_login({"KUBECONFIG": named}, tmp_path)())
    assert (found.info.server, found.info.token) == (SERVER, "one")


def test_files_are_beside_the_kubeconfig_that_names_them(tmp_path: Path) -> None:
    user = {"client-certificate": "me.crt", "client-key": "/keys/me.key", "tokenFile": "token"}
    (tmp_path / "token").write_text("mine\n")
    file = a_kubeconfig(tmp_path / "config", user, **{"certificate-authority": "pki/ca.crt"})
    info = access(file).info
    assert (info.ca_path, info.certificate_path) == (
        str(tmp_path / "pki/ca.crt"),
        str(tmp_path / "me.crt"),
    )
    assert (info.private_key_path, info.token) == ("/keys/me.key", "mine")


def test_a_token_that_stands_in_a_file_is_read_again(tmp_path: Path) -> None:
    """Whoever wrote it writes another one before it ends."""
    (tmp_path / "token").write_text("mine\n")
    info = access(a_kubeconfig(tmp_path / "config", {"tokenFile": "token"})).info
    assert info.expiration
    assert info.expiration - datetime.now(UTC) <= TOKEN_AGE
    assert access(a_kubeconfig(tmp_path / "config", {"token": "mine"})).info.expiration is None


def test_data_goes_before_files_and_a_token_before_its_file(tmp_path: Path) -> None:
    user = {
        "client-certificate": "me.crt",
        "client-certificate-data": "Y2VydA==",
        "client-key": "me.key",
        "client-key-data": "a2V5",
        "token": "mine",
        "tokenFile": "not-there",
    }
    data = base64.b64encode(b"-----BEGIN ").decode()
    cluster = {"certificate-authority": "ca.crt", "certificate-authority-data": data}
    info = access(a_kubeconfig(tmp_path / "config", user, **cluster)).info
    assert (info.ca_path, info.certificate_path, info.private_key_path) == (None, None, None)
    assert (info.ca_data, info.certificate_data) == (data, "Y2VydA==")
    assert (info.private_key_data, info.token) == ("a2V5", "mine")


def test_the_rest_of_a_cluster_and_a_user_reaches_the_connection(tmp_path: Path) -> None:
    cluster = {
        "server": "https://api.example.com/clusters/one/",
        "insecure-skip-tls-verify": True,
        "proxy-url": "http://proxy:3128",
        "tls-server-name": "inside",
    }
    user = {"username": "me", "password": SECRET}
    found = access(a_kubeconfig(tmp_path / "config", user, **cluster))
    assert found.info.server == "https://api.example.com/clusters/one"
    assert (found.info.insecure, found.info.proxy_url) == (True, "http://proxy:3128")
    assert found.info.as_http_headers()["Authorization"].startswith("Basic ")
    assert found.tls_server_name == "inside"
    assert SECRET not in repr(found)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{}", "there is no context None"),
        ("current-context: gone", "there is no context gone"),
        (f"users: [{{name: u, user: {{token: {SECRET}}}\n\t", "is no kubeconfig: "),
        (f"users: [{SECRET}]", "is no kubeconfig: "),
        ("[here]", "is no kubeconfig: "),
    ],
    ids=["empty", "an unknown context", "no YAML", "no users", "a list"],
)
def test_what_is_no_kubeconfig_is_complained_of_without_a_secret(
    tmp_path: Path, text: str, complaint: str
) -> None:
    file = tmp_path / "config"
    file.write_text(text)
    with pytest.raises(LoginError, match=complaint) as error:
        access(file)
    assert SECRET not in str(error.value)


def test_without_any_file_it_is_said_where_one_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(LoginError, match=r"no cluster to talk to.*config"):
        access(tmp_path / "config")


def test_an_auth_provider_is_refused_and_not_passed_over(tmp_path: Path) -> None:
    file = a_kubeconfig(tmp_path / "config", {"auth-provider": {"name": "oidc"}})
    with pytest.raises(LoginError, match="auth-provider oidc"):
        access(file)


def a_plugin(folder: Path, script: str, **more: Any) -> Path:
    """A kubeconfig beside a program that a user's `exec` names by a relative path."""
    program = folder / "plugin"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    command = {"apiVersion": VERSION, "command": "./plugin", **more}
    return a_kubeconfig(folder / "config", {"exec": command})


def a_credential(**status: str) -> str:
    return json.dumps({"apiVersion": VERSION, "kind": "ExecCredential", "status": status})


def test_a_plugin_is_asked_and_its_answer_renewed_before_it_ends(tmp_path: Path) -> None:
    answer = a_credential(token="TOKEN", expirationTimestamp="2030-01-01T00:01:00Z")
    script = f"printf %s \"$KUBERNETES_EXEC_INFO\" > asked; echo '{answer}' | sed s/TOKEN/$WHO-$1/"
    file = a_plugin(
        tmp_path,
        f"cd {tmp_path}; {script}",
        args=["two"],
        env=[{"name": "WHO", "value": "one"}],
    )
    info = access(file).info
    assert info.token == "one-two"
    assert info.expiration == datetime(2030, 1, 1, tzinfo=UTC)
    asked = json.loads((tmp_path / "asked").read_text())
    assert (asked["apiVersion"], asked["kind"]) == (VERSION, "ExecCredential")


def test_a_plugin_may_answer_with_a_certificate(tmp_path: Path) -> None:
    answer = a_credential(clientCertificateData="CERT", clientKeyData="KEY")
    info = access(a_plugin(tmp_path, f"echo '{answer}'")).info
    assert (info.certificate_data, info.private_key_data, info.token) == ("CERT", "KEY", None)


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        (f"echo {SECRET}; exit 3", "ended with 3"),
        (f"echo {SECRET}", "gave no ExecCredential"),
        (f"echo '{a_credential(other=SECRET)}'", "gave no ExecCredential"),
        (
            f"echo '{a_credential(token=SECRET).replace('/v1', '/v2')}'",
            "answers in .*/v2",
        ),
    ],
    ids=["it fails", "no JSON", "no token", "another version"],
)
def test_a_plugin_that_gives_no_credentials_is_named_and_its_output_is_not_told(
    tmp_path: Path, script: str, complaint: str
) -> None:
    with pytest.raises(LoginError, match=complaint) as error:
        access(a_plugin(tmp_path, script))
    assert SECRET not in str(error.value)
    assert "plugin" in str(error.value)


def test_a_plugin_that_is_not_there_is_named(tmp_path: Path) -> None:
    file = a_kubeconfig(tmp_path / "config", {"exec": {"apiVersion": VERSION, "command": "no-one"}})
    with pytest.raises(LoginError, match="no-one cannot be run"):
        access(file)
