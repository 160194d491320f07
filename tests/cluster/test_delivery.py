"""A video's way to whoever asked for it, on a real cluster: store, links, report server, rights."""

import base64
import json
import os
import secrets
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import av
import httpx2
import pytest
import yaml
from harness.one_node import OneNodeCluster
from harness.pod_processes import kill_processes_of_pod
from harness.s3 import S3Server
from harness.waiting import wait_until
from installation import LONG, NODE_PORT, RELEASE, ROOT, SYSTEM, Installation, Workspace, a_manifest
from standardwebhooks import Webhook

from tests.browser import SAY, what_chromium_says

EXAMPLE = yaml.safe_load((ROOT / "examples" / "red-circle.yaml").read_text())

Document = dict[str, Any]


def get(url: str, **options: Any) -> httpx2.Response:
    return httpx2.get(url, trust_env=False, **options)


def ready(workspace: Workspace, name: str) -> Document:
    workspace.kubectl(
        "wait", "--for=condition=Ready", f"t2v/{name}", "--timeout=240s", timeout_seconds=250
    )
    return workspace.status(name)


def test_the_url_on_the_status_opens_as_it_stands(
    embedded: Installation, workspace: Workspace, tmp_path: Path
) -> None:
    name = f"opens-{secrets.token_hex(3)}"
    workspace.apply({**EXAMPLE, "metadata": {"name": name}})
    status = ready(workspace, name)
    video, poster, preview = (get(url) for url in status["output"])
    assert [each.headers["content-type"] for each in (video, poster, preview)] == [
        "video/mp4",
        "image/jpeg",
        "image/webp",
    ]
    assert len(video.content) == status["video"]["bytes"]
    part = get(status["outputUrl"], headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, video.content[100:200])
    (tmp_path / "video.mp4").write_bytes(video.content)
    with av.open(str(tmp_path / "video.mp4")) as container:
        assert len(list(container.decode(video=0))) == status["video"]["frames"]
    page = _page(status["outputUrl"], status["output"][1])
    assert what_chromium_says(page, tmp_path) == "64x64 sought to 1, then played to 2; poster 64"
    assert get(status["outputUrl"].partition("?")[0]).status_code == 403


def _page(video: str, poster: str) -> str:
    """Shows the poster, seeks in the video, then plays it to its end."""
    return f"""<!doctype html><img><video muted></video><script>
    {SAY}
    const image = document.querySelector("img"), video = document.querySelector("video");
    let sought;
    image.onerror = () => say("no poster");
    image.onload = () => {{ video.src = {json.dumps(video)}; }};
    video.onerror = () => say(`error ${{video.error.message}}`);
    video.onloadeddata = () => {{ video.currentTime = 1; }};
    video.onseeked = () => {{ sought = video.currentTime; video.play(); }};
    const size = () => `${{video.videoWidth}}x${{video.videoHeight}}`;
    video.onended = () => say(`${{size()}} sought to ${{sought}}, then ` +
      `played to ${{video.currentTime}}; poster ${{image.naturalWidth}}`);
    image.src = {json.dumps(poster)};
    </script>"""


def test_progress_reaches_the_status_while_the_video_is_made(
    embedded: Installation, workspace: Workspace
) -> None:
    name = f"told-{secrets.token_hex(3)}"
    workspace.apply(a_manifest(name, **LONG))
    status = workspace.wait_for(name, lambda s: bool(s.get("progress")), "told of")
    assert status["phase"] == "Running"
    assert status["progress"]["stage"] in ("start", "download", "load", "denoise", "decode")
    assert workspace.wait_for_phase(name, "Succeeded")["progress"]["percent"] == 100


def test_a_pod_holds_no_credential_but_its_own_token(
    embedded: Installation, workspace: Workspace
) -> None:
    name = f"bare-{secrets.token_hex(3)}"
    workspace.apply(a_manifest(name))
    ready(workspace, name)
    (pod,) = workspace.children("pods", name)
    spec = pod["spec"]
    kinds = {next(iter(set(volume) - {"name"})) for volume in spec["volumes"]}
    assert kinds <= {"emptyDir", "projected", "persistentVolumeClaim"}
    (projected,) = (each["projected"] for each in spec["volumes"] if "projected" in each)
    (source,) = projected["sources"]
    assert source["serviceAccountToken"]["audience"] == f"{RELEASE}.{SYSTEM}"
    assert spec["automountServiceAccountToken"] is False
    (container,) = spec["containers"]
    assert not any("valueFrom" in each for each in container["env"])
    text = json.dumps(pod)
    keys = json.loads(embedded.kubectl("get", "secret", f"{RELEASE}-store", "-o", "json"))["data"]
    certificate = json.loads(embedded.kubectl("get", "secret", f"{RELEASE}-report", "-o", "json"))
    for secret in (*keys.values(), certificate["data"]["tls.key"], certificate["data"]["ca.key"]):
        assert secret not in text
        assert base64.b64decode(secret).decode() not in text


def test_grants_are_for_the_pod_of_the_present_job_alone(
    embedded: Installation, workspace: Workspace
) -> None:
    name = f"grants-{secrets.token_hex(3)}"
    workspace.apply(a_manifest(name, prompt=f"a ball {name}", numInferenceSteps=50, numFrames=32))
    workspace.wait_for(name, lambda s: bool(s.get("progress")), "running")
    (pod,) = workspace.children("pods", name)
    audience, pod_name = f"{RELEASE}.{SYSTEM}", pod["metadata"]["name"]
    ask = _asking(embedded)
    token = _token(workspace, pod_name, audience)
    answer = ask(token)
    assert answer.status_code == 200, answer.text
    (grant,) = answer.json()["grants"]
    resource = workspace.get(name)
    assert f"/videos/{resource['metadata']['namespace']}/" in grant["url"]
    assert grant["url"].partition("?")[0].endswith("/video.mp4")
    other_key = grant["url"].replace("video.mp4?", "other.mp4?")
    assert httpx2.put(_reached(embedded, grant["url"]), content=b"xyz").status_code == 400
    assert httpx2.put(_reached(embedded, other_key), content=b"abc").status_code == 403

    other_audience = ask(_token(workspace, pod_name, "another"))
    reader = ask(_token(workspace, "reader", audience))
    unbound = ask(workspace.kubectl("create", "token", "default", f"--audience={audience}").strip())
    elsewhere = ask(_stores_token(embedded, audience))
    forged = ask("eyJhbGciOiJSUzI1NiJ9.e30.AAAA")
    answers = (other_audience, reader, unbound, elsewhere, forged)
    assert [each.status_code for each in answers] == [403] * 5
    for each in answers:
        assert "eyJ" not in each.text

    workspace.kubectl("delete", "t2v", name, "--wait=true")
    wait_until(lambda: ask(token).status_code == 403, "the token is worth nothing", 60)


def _token(workspace: Workspace, pod: str, audience: str) -> str:
    bound = ("--bound-object-kind=Pod", f"--bound-object-name={pod}")
    return workspace.kubectl("create", "token", "default", f"--audience={audience}", *bound).strip()


def _stores_token(embedded: Installation, audience: str) -> str:
    """Of a pod in another namespace."""
    pod = json.loads(embedded.kubectl("get", "pod", f"{RELEASE}-store-0", "-o", "json"))
    account, name = pod["spec"]["serviceAccountName"], pod["metadata"]["name"]
    bound = ("--bound-object-kind=Pod", f"--bound-object-name={name}")
    return embedded.kubectl("create", "token", account, f"--audience={audience}", *bound).strip()


def _asking(embedded: Installation) -> Any:
    """Asks a replica of the operator for a grant with a token."""
    secret = json.loads(embedded.kubectl("get", "secret", f"{RELEASE}-report", "-o", "json"))
    tls = ssl.create_default_context(cadata=base64.b64decode(secret["data"]["ca.crt"]).decode())
    host = f"{RELEASE}-report.{SYSTEM}.svc"
    service = json.loads(embedded.kubectl("get", "service", f"{RELEASE}-report", "-o", "json"))
    file = {"name": "video.mp4", "bytes": 3, "sha256": "0" * 64, "md5": "0" * 32}

    def ask(token: str) -> httpx2.Response:
        with httpx2.Client(verify=tls, trust_env=False) as client:
            request = client.build_request(
                "POST",
                f"https://{service['spec']['clusterIP']}/v1/uploads",
                headers={"Authorization": f"Bearer {token}", "Host": host},
                json={"files": [file]},
            )
            request.extensions["sni_hostname"] = host
            return client.send(request)

    return ask


def _reached(embedded: Installation, url: str) -> str:
    """The store's inner address as this machine reaches it."""
    address = f"http://{embedded.cluster.host_address()}:{NODE_PORT}"
    return url.replace(f"http://{RELEASE}-store.{SYSTEM}.svc:8080", address)


def test_a_store_that_is_away_during_the_upload_costs_no_second_run(
    embedded: Installation, workspace: Workspace
) -> None:
    name = f"away-{secrets.token_hex(3)}"
    with _store_away(embedded):
        workspace.apply(a_manifest(name))
        workspace.wait_for(
            name, lambda s: s.get("progress", {}).get("stage") == "upload", "uploading"
        )
        time.sleep(15)
    status = ready(workspace, name)
    assert status["attemptCount"] == 1
    assert len(get(status["outputUrl"]).content) == status["video"]["bytes"]


@contextmanager
def _store_away(embedded: Installation) -> Iterator[None]:
    embedded.kubectl("scale", "statefulset", f"{RELEASE}-store", "--replicas=0")
    selector = "app.kubernetes.io/name=text-to-video-store"
    embedded.kubectl("wait", "pod", "-l", selector, "--for=delete", "--timeout=60s")
    try:
        yield
    finally:
        embedded.kubectl("scale", "statefulset", f"{RELEASE}-store", "--replicas=1")
        embedded.kubectl("rollout", "status", f"statefulset/{RELEASE}-store", "--timeout=60s")


def test_equal_requests_use_one_gpu_and_a_lost_status_none(
    embedded: Installation, workspace: Workspace
) -> None:
    names = [f"twin-{each}-{secrets.token_hex(3)}" for each in "ab"]
    spec = {"prompt": f"a small blue square moving left {secrets.token_hex(4)}", "seed": 11}
    workspace.apply(*(a_manifest(name, **spec) for name in names))
    statuses = [ready(workspace, name) for name in names]
    jobs = [job for name in names for job in workspace.children("jobs", name)]
    assert len(jobs) == 1
    assert sorted(status.get("reused", False) for status in statuses) == [False, True]
    assert statuses[0]["video"] == statuses[1]["video"]
    assert all(get(status["outputUrl"]).status_code == 200 for status in statuses)

    workspace.kubectl("delete", "job", jobs[0]["metadata"]["name"])
    wiped = json.dumps([{"op": "remove", "path": "/status"}])
    workspace.kubectl("patch", "t2v", names[0], "--subresource=status", "--type=json", "-p", wiped)
    status = workspace.wait_for_phase(names[0], "Succeeded", seconds=60)
    assert get(status["outputUrl"]).status_code == 200
    assert workspace.children("jobs", names[0]) == []


def test_a_link_is_made_anew_on_demand(embedded: Installation, workspace: Workspace) -> None:
    name = f"link-{secrets.token_hex(3)}"
    workspace.apply(a_manifest(name))
    before = ready(workspace, name)["outputUrl"]
    time.sleep(1.1)
    words = ["-m", "t2v_operator", "link", name, "-n", workspace.namespace]
    environment = {**os.environ, "KUBECONFIG": str(embedded.cluster.kubeconfig)}
    done = subprocess.run(
        [sys.executable, *words], env=environment, capture_output=True, text=True, check=True
    )
    link = done.stdout.strip()
    assert link != before
    assert get(link).content == get(before).content
    assert workspace.status(name)["outputUrl"] == link
    missing = subprocess.run(
        [sys.executable, *words[:3], "no-such-video"],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert (missing.returncode, missing.stdout) == (1, "")
    assert missing.stderr.startswith("Error from server (NotFound): ")


def test_a_node_port_gives_links_their_address_by_itself(
    embedded: Installation, workspace: Workspace, tmp_path: Path
) -> None:
    name = f"at-node-{secrets.token_hex(3)}"
    with _address_of_the_service(embedded, tmp_path / "values.json", "NodePort"):
        workspace.apply(a_manifest(name))
        url = ready(workspace, name)["outputUrl"]
        assert f":{NODE_PORT}/videos/{workspace.namespace}/" in url
        assert get(url).headers["content-type"] == "video/mp4"


def test_a_video_waits_for_a_load_balancer_that_comes_late(
    embedded: Installation, workspace: Workspace, tmp_path: Path
) -> None:
    name = f"late-{secrets.token_hex(3)}"
    with _address_of_the_service(embedded, tmp_path / "values.json", "LoadBalancer"):
        workspace.apply(a_manifest(name, prompt=f"a large red circle {name}"))
        job = f"job/{workspace.wait_for(name, lambda s: 'jobName' in s, 'begun')['jobName']}"
        workspace.kubectl("wait", "--for=condition=Complete", job, "--timeout=180s")
        wait_until(lambda: "finished videos wait" in embedded.logs(), "its link is waited for", 30)
        assert workspace.status(name)["phase"] != "Succeeded"
        address = embedded.cluster.host_address()
        balancer = json.dumps({"status": {"loadBalancer": {"ingress": [{"ip": address}]}}})
        service = ("service", f"{RELEASE}-store", "--subresource=status", "--type=merge")
        embedded.kubectl("patch", *service, "-p", balancer)
        # It is asked for every ten seconds.
        url = workspace.wait_for_phase(name, "Succeeded", seconds=90)["outputUrl"]
        assert url.startswith(f"http://{address}:8080/videos/")
        wait_until(lambda: _is_open(url), "the balancer's address opens", 30)


@contextmanager
def _address_of_the_service(embedded: Installation, values: Path, kind: str) -> Iterator[None]:
    """Nobody says what links begin with, until the block ends."""
    service = {"type": kind, "nodePort": NODE_PORT, "port": 8080}
    embedded.upgrade(values, {"store": {"service": service}}, storage={"kind": "embedded"})
    try:
        yield
    finally:
        embedded.upgrade(values, **embedded.embedded())


def test_one_video_is_made_from_another_that_is_in_the_store(
    embedded: Installation, workspace: Workspace
) -> None:
    first, second = (f"{each}-{secrets.token_hex(3)}" for each in ("first", "second"))
    workspace.apply(a_manifest(first))
    digest = ready(workspace, first)["outputUrl"].partition("?")[0].split("/")[-2]
    media = f"store://{digest}/video.mp4"
    workspace.apply(a_manifest(second, initVideo=media, strength=0.5))
    status = ready(workspace, second)
    assert status["resolved"]["initVideo"] == media
    assert len(get(status["outputUrl"]).content) == status["video"]["bytes"]
    (pod,) = workspace.children("pods", second)
    log = workspace.kubectl("logs", pod["metadata"]["name"])
    assert "signature=" not in log, "links and grants are rights"


def test_init_media_that_is_not_in_the_store_is_refused_at_once(
    embedded: Installation, workspace: Workspace
) -> None:
    name, media = f"missing-{secrets.token_hex(3)}", "store://uploads/missing.png"
    workspace.apply(a_manifest(name, initImage=media))
    status = workspace.wait_for_phase(name, "Failed")
    assert status["conditions"][0]["reason"] == "InitMediaRefused"
    assert status["message"] == f"{media} is not in the store of namespace {workspace.namespace}"
    assert [attempt["exitCode"] for attempt in status["attempts"]] == [6]


def test_files_go_with_their_resource_where_it_says_so(
    embedded: Installation, workspace: Workspace
) -> None:
    names = [f"goes-{each}-{secrets.token_hex(3)}" for each in ("first", "last")]
    spec = {"seed": 12, "outputPolicy": "Delete", "prompt": f"a ball {secrets.token_hex(4)}"}
    workspace.apply(*(a_manifest(name, **spec) for name in names))
    urls = [ready(workspace, name)["outputUrl"] for name in names]
    workspace.kubectl("delete", "t2v", names[0], "--timeout=60s")
    assert get(urls[0]).status_code == 200, "another resource has the same video"
    workspace.kubectl("delete", "t2v", names[1], "--timeout=60s")
    assert get(urls[1]).status_code == 404


def test_after_its_ttl_a_video_goes_and_what_flux_keeps_stays_without_files(
    embedded: Installation, workspace: Workspace
) -> None:
    plain, kept = (f"ttl-{each}-{secrets.token_hex(3)}" for each in ("plain", "kept"))
    label = {"kustomize.toolkit.fluxcd.io/name": "films"}
    for name, labels in ((plain, {}), (kept, label)):
        manifest = a_manifest(name, seed=13, prompt=f"a ball {secrets.token_hex(4)}")
        manifest["metadata"]["labels"] = labels
        workspace.apply(manifest)
    urls = [ready(workspace, name)["outputUrl"] for name in (plain, kept)]
    assert [get(url).status_code for url in urls] == [200, 200]
    for name in (plain, kept):
        workspace.patch(name, outputTtlSeconds=5)
    workspace.kubectl("wait", f"t2v/{plain}", "--for=delete", "--timeout=60s")
    status = workspace.wait_for(kept, lambda s: "outputRemovedTime" in s, "its files are gone", 60)
    assert [get(url).status_code for url in urls] == [404, 404]
    assert (status["phase"], status["output"], status.get("outputUrl")) == ("Succeeded", [], None)
    workspace.kubectl("wait", "--for=condition=Ready", f"t2v/{kept}", "--timeout=10s")
    (job,) = workspace.children("jobs", kept)
    workspace.kubectl("delete", "job", job["metadata"]["name"])
    time.sleep(5)
    assert workspace.children("jobs", kept) == []
    assert workspace.status(kept) == status


def test_videos_and_links_outlive_an_uninstall(
    embedded: Installation, workspace: Workspace, tmp_path: Path
) -> None:
    name = f"kept-{secrets.token_hex(3)}"
    workspace.apply(a_manifest(name))
    status = ready(workspace, name)
    before = get(status["outputUrl"]).content
    embedded.cluster.helm("uninstall", RELEASE, "--namespace", SYSTEM, "--wait")
    with pytest.raises(httpx2.TransportError):  # refused, or dropped, by what the port leads to
        get(status["outputUrl"])
    embedded.upgrade(tmp_path / "values.json", **embedded.embedded())
    wait_until(lambda: _is_open(status["outputUrl"]), "the old link opens again", 30)
    assert get(workspace.status(name)["outputUrl"]).content == before
    assert get(status["outputUrl"]).content == before


def _is_open(url: str) -> bool:
    try:
        return get(url).status_code == 200
    except httpx2.TransportError:
        return False  # the node's port is opened a moment after the store is ready


def test_a_bucket_gets_its_files_by_grants_alone(
    installation: Installation, workspace: Workspace, s3: S3Server, tmp_path: Path
) -> None:
    """Which refuses every file at first: it is not there."""
    bucket, name = f"videos-{secrets.token_hex(3)}", f"bucket-{secrets.token_hex(3)}"
    with _bucket(installation, s3, bucket, tmp_path):
        workspace.apply(a_manifest(name))
        status = workspace.wait_for(
            name, lambda s: "reason" in (s.get("attempts") or [{}])[0], "refused", 240
        )
        assert status["attempts"][0]["reason"] == "StorageFailed"
        assert status["attempts"][0]["exitCode"] == 5
        assert "the video could not be uploaded" in status["attempts"][0]["message"]
        assert status["phase"] == "Running", "its GPU is still held"
        s3.make_bucket(bucket)
        status = ready(workspace, name)
        (pod,) = workspace.children("pods", name)
        log = workspace.kubectl("logs", pod["metadata"]["name"])
    assert '"stage":"upload"' in log
    assert '"stage":"denoise"' not in log, "the video was there already"
    (container,) = pod["status"]["containerStatuses"]
    assert status["attemptCount"] == container["restartCount"] + 1
    video = get(status["outputUrl"])
    assert (video.status_code, video.headers["content-type"]) == (200, "video/mp4")
    assert len(video.content) == status["video"]["bytes"]
    part = get(status["outputUrl"], headers={"Range": "bytes=0-9"})
    assert (part.status_code, part.content) == (206, video.content[:10])
    assert s3.access_key in status["outputUrl"], "a presigned URL names its key, not its secret"
    for place in (json.dumps(pod), json.dumps(workspace.get(name)), installation.logs()):
        assert s3.secret_key not in place
    stored = {path.name for path in (s3.folder / bucket).rglob("*") if path.is_file()}
    assert {"video.mp4", "poster.jpg", "preview.webp", "result.json"} <= stored


@contextmanager
def _bucket(installation: Installation, s3: S3Server, bucket: str, folder: Path) -> Iterator[None]:
    """Videos go to a bucket, for which the operator alone has credentials."""
    secret = f"bucket-{secrets.token_hex(3)}"
    installation.kubectl(
        *("create", "secret", "generic", secret),
        f"--from-literal=AWS_ACCESS_KEY_ID={s3.access_key}",
        f"--from-literal=AWS_SECRET_ACCESS_KEY={s3.secret_key}",
    )
    options = {"endpoint": s3.endpoint, "region": s3.region}
    storage = {"kind": "s3", "bucket": bucket, "options": options}
    chart = {"envFrom": [{"secretRef": {"name": secret}}]}
    with installation.configured(folder / "values.json", chart=chart, storage=storage):
        yield


@contextmanager
def a_receiver(
    address: str,
) -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]], list[int | Callable[[], int]]]]:
    """A URL on this machine, what it got, and what it answers: the last answer for ever."""
    got: list[tuple[dict[str, str], bytes]] = []
    answers: list[int | Callable[[], int]] = [204]

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append(({name.lower(): value for name, value in self.headers.items()}, body))
            answer = answers[0] if len(answers) == 1 else answers.pop(0)
            self.send_response(answer if isinstance(answer, int) else answer())
            self.send_header("Location", "http://169.254.169.254/latest/meta-data/")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            return

    server = ThreadingHTTPServer((address, 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://{address}:{server.server_port}/hook", got, answers
    finally:
        server.shutdown()
        server.server_close()


def test_whoever_asked_by_webhook_is_told_although_the_operator_is_killed(
    installation: Installation, workspace: Workspace, tmp_path: Path
) -> None:
    address = installation.cluster.host_address()
    allowed = {"ranges": [f"{address}/32"]}
    name = f"hook-{secrets.token_hex(3)}"
    with (
        a_receiver(address) as (url, got, answers),
        installation.configured(tmp_path / "values.json", allowedAddresses=allowed),
    ):
        answers[:] = [503, 302, 204]
        workspace.apply(a_manifest(name, webhook=url, trackId="order 7"))
        workspace.wait_for(name, lambda s: bool(s.get("webhook")), "told in vain", 240)
        installation.kill()
        status = workspace.wait_for(
            name, lambda s: "deliveredTime" in s.get("webhook", {}), "delivered", 120
        )
        assert status["phase"] == "Succeeded"
        assert [c["status"] for c in status["conditions"] if c["type"] == "WebhookDelivered"] == [
            "True"
        ]
        assert len({headers["webhook-id"] for headers, _ in got}) == 1
        secret = json.loads(
            installation.kubectl("get", "secret", f"{RELEASE}-webhooks", "-o", "json")
        )["data"]["current"]
        headers, body = got[-1]
        told = Webhook(base64.b64decode(secret).decode()).verify(body, headers)
        assert told["track_id"] == "order 7"
        assert told["output"] == status["output"]
        assert told["id"] == status["id"]

        with a_receiver(address) as (other, heard, _):
            workspace.patch(name, webhook=other)
            wait_until(lambda: len(heard) == 1, "the other URL is told", 60)
            workspace.wait_for(name, lambda s: s["webhook"]["attempts"] == 1, "told once more")
            assert len(workspace.children("jobs", name)) == 1


def test_what_the_operator_told_as_it_died_is_told_again(
    installation: Installation, workspace: Workspace, tmp_path: Path
) -> None:
    if not isinstance(installation.cluster, OneNodeCluster):
        pytest.skip("the operator's processes are known on a one-node cluster of the harness")
    address = installation.cluster.host_address()
    allowed = {"ranges": [f"{address}/32"]}
    name = f"again-{secrets.token_hex(3)}"
    with (
        a_receiver(address) as (url, got, answers),
        installation.configured(tmp_path / "values.json", allowedAddresses=allowed),
    ):
        uids = [pod["metadata"]["uid"] for pod in installation.pods()]

        def take_it_and_kill_the_operator() -> int:
            for uid in uids:
                kill_processes_of_pod(uid, "t2v_operator")
            return 204

        answers[:] = [take_it_and_kill_the_operator, 204]
        workspace.apply(a_manifest(name, webhook=url))
        workspace.wait_for(
            name, lambda s: "deliveredTime" in s.get("webhook", {}), "delivered", 240
        )
        first, second = (headers["webhook-id"] for headers, _ in got)
        assert first == second


def test_a_webhook_that_leads_inside_is_refused_before_a_job_is_made(workspace: Workspace) -> None:
    name = f"inside-{secrets.token_hex(3)}"
    workspace.apply(a_manifest(name, webhook="http://169.254.169.254/hook"))
    status = workspace.wait_for_phase(name, "Failed")
    assert status["conditions"][0]["reason"] == "WebhookRefused"
    assert workspace.children("jobs", name) == []
