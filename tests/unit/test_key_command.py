"""`t2v key`: what is printed where, what is made, what is listed, what is gone."""

import base64
from contextlib import nullcontext

import pytest
import yaml
from aiohttp import ClientConnectionError
from t2v_api.api_key import KEY_LABEL, Right, digest_of, id_of
from t2v_client import connection as connection_module
from t2v_operator.cli.main import main
from t2v_operator.cluster import client as client_module
from t2v_operator.cluster.errors import ClusterError
from t2v_operator.cluster.kinds import SECRETS
from t2v_operator.core.key_secret import read_key_secret

from tests.unit.api_keys import ID, SYSTEM, TEXT, a_key_secret
from tests.unit.cluster.api_server import ApiServer

CREATE = ("key", "create", "--name", "alice", "--namespace", "team-a")
DRY_RUN = ("--dry-run=client", "-o", "yaml")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> ApiServer:
    """The cluster that kubectl talks to."""
    server = ApiServer()

    monkeypatch.setattr(connection_module, "connect", nullcontext)
    monkeypatch.setattr(client_module, "Client", lambda *_: server)
    return server


def test_create_prints_the_key_alone_and_keeps_its_digest(
    server: ApiServer, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--pool", "fast", "--pool", "slow", "--jobs-in-flight", "3", "--right", "models")
    quota = ("--requests-per-minute", "60", "--gpu-seconds-per-day", "7200.5")
    assert main((*CREATE, *options, *quota)) == 0
    printed, told = capsys.readouterr()
    text = printed.strip()
    (secret,) = server.all_of(SECRETS)
    held = read_key_secret(secret)
    assert (held.key.id, held.digest) == (id_of(text), digest_of(text))
    assert secret["metadata"]["namespace"] == SYSTEM
    assert (held.key.name, held.key.namespace) == ("alice", "team-a")
    assert held.key.pools == ("fast", "slow")
    assert held.key.rights == (Right.MODELS,)
    quota_kept = held.key.quota.document()
    assert quota_kept == {"jobsInFlight": 3, "requestsPerMinute": 60, "gpuSecondsPerDay": 7200.5}
    assert held.key.created
    assert text not in told
    assert text not in str(secret)


def test_a_dry_run_prints_the_secret_and_makes_nothing(
    server: ApiServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main((*CREATE, *DRY_RUN, "-n", "video")) == 0
    printed, told = capsys.readouterr()
    text = told.split()[-1]
    secret = yaml.safe_load(printed)
    held = read_key_secret(secret)
    assert (held.key.id, held.digest) == (id_of(text), digest_of(text))
    assert (secret["kind"], secret["metadata"]["namespace"]) == ("Secret", "video")
    assert held.key.rights == (Right.USE,)
    assert text not in printed
    kept = "".join(base64.b64decode(each).decode() for each in secret["data"].values())
    assert text not in kept
    assert server.all_of(SECRETS) == []


def test_keys_are_where_the_command_is_told(server: ApiServer) -> None:
    assert main((*CREATE, "--keys-namespace", "keys")) == 0
    (secret,) = server.all_of(SECRETS)
    assert secret["metadata"]["namespace"] == "keys"
    assert main(("key", "revoke", secret["metadata"]["labels"][KEY_LABEL])) == 2
    where = ("--keys-namespace", "keys")
    assert main(("key", "revoke", *where, secret["metadata"]["labels"][KEY_LABEL])) == 0
    assert server.all_of(SECRETS) == []


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        pytest.param(("--dry-run=client",), "-o yaml", id="a dry run without a format"),
        pytest.param(("-o", "yaml"), "--dry-run=client", id="a format without a dry run"),
        pytest.param(("--jobs-in-flight", "0"), "jobs_in_flight", id="no job at all"),
        pytest.param(("--pool", "Fast"), "pools", id="no pool's name"),
        pytest.param(("--namespace", "Team_A"), "namespace", id="no namespace's name"),
    ],
)
def test_a_wrong_wish_makes_nothing(
    server: ApiServer, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], complaint: str
) -> None:
    assert main((*CREATE, *words)) == 2
    printed, told = capsys.readouterr()
    assert complaint in told
    assert "t2v_" not in printed + told
    assert server.all_of(SECRETS) == []


def test_a_key_that_could_not_be_kept_is_not_printed(
    server: ApiServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.refusals["create", "secrets"] = ClusterError(403, "Forbidden", "no rights")
    assert main(CREATE) == 2
    printed, told = capsys.readouterr()
    assert printed == ""
    assert "no rights" in told
    assert "t2v_" not in told


def test_a_cluster_that_does_not_answer_is_named(
    server: ApiServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.refusals["create", "secrets"] = ClientConnectionError("no route")
    assert main(CREATE) == 5
    printed, told = capsys.readouterr()
    assert (printed, "no route" in told) == ("", True)


def test_list_shows_neither_keys_nor_digests(
    server: ApiServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.put(SECRETS, a_key_secret())
    server.put(SECRETS, a_key_secret(name="damaged") | {"data": {}})
    server.put(SECRETS, {"metadata": {"name": "other", "namespace": SYSTEM}})
    assert main(("key", "list")) == 0
    printed, told = capsys.readouterr()
    header, row = printed.splitlines()
    assert header.split() == ["ID", "NAME", "NAMESPACE", "POOLS", "RIGHTS", "CREATED"]
    assert row.split() == [ID, "alice", "default", "fast,slow", "use", "-"]
    assert "damaged" in told
    assert "other" not in told
    assert digest_of(TEXT) not in printed + told


def test_revoke_deletes_the_secret_of_that_id_alone(
    server: ApiServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.put(SECRETS, a_key_secret())
    server.put(SECRETS, a_key_secret(key_id="ba9876543210"))
    assert main(("key", "revoke", ID)) == 0
    (left,) = server.all_of(SECRETS)
    assert left["metadata"]["name"] == "api-key-ba9876543210"
    assert main(("key", "revoke", ID)) == 2
    assert f"there is no API key {ID}" in capsys.readouterr().err
