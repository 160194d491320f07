"""The page's half in the gateway: who may come in, what is told, what is refused and how."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx2
import orjson
import pytest
import yaml
from fastapi import FastAPI
from t2v_api.api_key import KEY_LABEL, ApiKey, NewKey, Quota
from t2v_api.reasons import Reason, Waiting
from t2v_api.resource import REQUEST_FIELDS, TextToVideoJobSpec
from t2v_gateway.errors import Refused
from t2v_gateway.page.addresses import STATIC, router
from t2v_gateway.page.asked import Wrong, problems_in, spec_of
from t2v_gateway.page.cards import card_of
from t2v_gateway.page.details import details_of, manifest_of
from t2v_gateway.page.gallery import page_of
from t2v_gateway.page.glance import Glance, opened_pools
from t2v_gateway.page.guards import MOST_FAILURES, Attempts
from t2v_gateway.page.headers import media_sources
from t2v_gateway.page.hints import HINTS, WAITING
from t2v_gateway.page.sessions import SESSION_SECONDS, Session, Sessions
from t2v_gateway.page.stream import MOST_STREAMS, Streams
from t2v_gateway.repeating import FIELDS, repeated
from t2v_gateway.videos import Video
from t2v_operator.cluster.kinds import RESOURCES
from t2v_operator.config import OperatorConfig, load_config
from t2v_operator.core.request import resolve

from tests.unit.builders import a_config, a_config_of_pools, a_config_with_a_store, a_resource
from tests.unit.gateway.world import World, a_world

HERE = {"Origin": "http://gateway", "Sec-Fetch-Site": "same-origin"}
FAILED = {"type": "Ready", "status": "False", "lastTransitionTime": "2026-01-01T00:00:00Z"}
PROMPT = {"modelId": "tiny-shapes", "prompt": "a red circle"}


def in_a_world(test: Callable[[World], Awaitable[None]], **settings: Any) -> None:
    async def run() -> None:
        async with a_world(**settings) as world:
            await test(world)

    asyncio.run(run())


async def sign_in(world: World, key: NewKey | None = None, **headers: str) -> httpx2.Response:
    data = {"key": (key or world.key).text}
    return await world.client.post("/page/sign-in", data=data, headers=HERE | headers)


async def token_of(world: World) -> dict[str, str]:
    """What the page sends with all that changes something."""
    page = (await world.client.get("/")).text
    found = re.search(r'<meta name="token" content="([^"]+)">', page)
    assert found
    return HERE | {"X-T2V-Token": found[1]}


async def ask(world: World, **fields: Any) -> Video:
    """A video of the world's key."""
    key = world.keys.find(world.key.text)
    assert key
    return await world.gateway.submitter.submit(key, TextToVideoJobSpec.parse(PROMPT | fields))


def the_key(world: World) -> ApiKey:
    key = world.keys.find(world.key.text)
    assert key
    return key


# Coming in


def test_the_cookie_is_the_browsers_alone_and_does_not_hold_the_key() -> None:
    async def test(world: World) -> None:
        answer = await sign_in(world)
        assert answer.status_code == 303
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("t2v=")
        assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
        assert "Secure" not in cookie
        assert world.key.text not in cookie
        assert world.key.text.split("_")[2] not in cookie
        assert "Your videos" in (await world.client.get("/")).text

    in_a_world(test)


def test_over_https_no_plain_connection_and_no_other_host_gets_the_cookie() -> None:
    async def test(world: World) -> None:
        answer = await sign_in(world, Origin="https://videos.example.com")
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("__Host-t2v=")
        assert "Secure" in cookie.split("; ")

    in_a_world(test, public_url="https://videos.example.com")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param({}, 303, id="our own page"),
        pytest.param({"Sec-Fetch-Site": "cross-site"}, 403, id="another site"),
        pytest.param({"Sec-Fetch-Site": "same-site"}, 403, id="a sibling of our host"),
        pytest.param({"Origin": "https://evil.example.com"}, 403, id="another origin"),
        pytest.param({"Origin": "http://gateway.evil.example.com"}, 403, id="a longer name"),
        pytest.param({"Origin": "null"}, 403, id="an origin that is hidden"),
        pytest.param({"Origin": "http://["}, 403, id="an origin that is none"),
    ],
)
def test_only_our_own_page_signs_in(headers: dict[str, str], status: int) -> None:
    async def test(world: World) -> None:
        assert (await sign_in(world, **headers)).status_code == status

    in_a_world(test)


def test_who_does_not_say_where_the_form_was_does_not_come_in() -> None:
    async def test(world: World) -> None:
        answer = await world.client.post("/page/sign-in", data={"key": world.key.text})
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers

    in_a_world(test)


def test_a_wrong_key_is_told_and_not_repeated() -> None:
    async def test(world: World) -> None:
        answer = await world.client.post("/page/sign-in", data={"key": "<b>"}, headers=HERE)
        assert answer.status_code == 401
        assert "The key is not valid." in answer.text
        assert "<b>" not in answer.text
        empty = await world.client.post("/page/sign-in", data={"key": ""}, headers=HERE)
        assert "Paste your key first." in empty.text

    in_a_world(test)


def test_many_wrong_keys_have_to_wait_and_a_right_one_has_not() -> None:
    """Behind an Ingress everybody has its address."""

    async def test(world: World) -> None:
        for _ in range(MOST_FAILURES):
            wrong = await world.client.post("/page/sign-in", data={"key": "t2v"}, headers=HERE)
            assert wrong.status_code == 401
        wrong = await world.client.post("/page/sign-in", data={"key": "t2v"}, headers=HERE)
        assert wrong.status_code == 429
        assert int(wrong.headers["retry-after"]) > 0
        assert (await sign_in(world)).status_code == 303

    in_a_world(test)


def test_attempts_are_forgiven_in_time_and_counted_by_network() -> None:
    now = 1000.0
    attempts = Attempts(lambda: now)
    for _ in range(MOST_FAILURES):
        attempts.failed("2001:db8::1")
    attempts.check("2001:db8:0:1::1")
    with pytest.raises(Refused):
        attempts.check("2001:db8::ffff")
    now += 31
    attempts.check("2001:db8::1")


def test_a_session_ends_and_cannot_be_made_up() -> None:
    sessions = Sessions(b"s" * 32)
    session = sessions.begin("0123456789ab", "f" * 16, now=1000)
    assert sessions.read(session.token, 1000 + SESSION_SECONDS - 1) == session
    assert sessions.read(session.token, 1000 + SESSION_SECONDS) is None
    assert Sessions(b"t" * 32).read(session.token, 1000) is None
    other = session.token.replace("0123456789ab", "ba9876543210")
    for made_up in (
        "",
        ".",
        "...",
        other,
        session.token[:-1],
        session.token + "é",
        session.token * 9,
    ):
        assert sessions.read(made_up, 1000) is None
    assert sessions.begin("0123456789ab", "f" * 16, now=1000).form_token != session.form_token


def test_a_revoked_key_opens_nothing_any_more() -> None:
    async def test(world: World) -> None:
        await sign_in(world)
        headers = await token_of(world)
        world.keys.revoke(world.key)
        assert "Your key" in (await world.client.get("/")).text
        assert (await world.client.get("/page/api/videos")).status_code == 401
        made = await world.client.post("/page/api/videos", json=PROMPT, headers=headers)
        assert made.status_code == 401

    in_a_world(test)


def test_a_session_ends_with_the_key_that_was_shown_though_another_has_its_id() -> None:
    async def test(world: World) -> None:
        await sign_in(world)
        headers = await token_of(world)
        world.keys.replace(world.key)
        assert world.keys.by_id(world.key.id)
        assert "Your key" in (await world.client.get("/")).text
        assert (await world.client.get("/page/api/videos")).status_code == 401
        assert (await world.client.get("/page/api/events")).status_code == 401
        made = await world.client.post("/page/api/videos", json=PROMPT, headers=headers)
        assert made.status_code == 401

    in_a_world(test)


def test_signing_out_takes_the_cookie_away() -> None:
    async def test(world: World) -> None:
        await sign_in(world)
        token = (await token_of(world))["X-T2V-Token"]
        stay = await world.client.post("/page/sign-out", data={"token": "x"}, headers=HERE)
        assert stay.status_code == 403
        out = await world.client.post("/page/sign-out", data={"token": token}, headers=HERE)
        assert out.status_code == 303
        assert "Your key" in (await world.client.get("/")).text

    in_a_world(test)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/page/api/form"),
        ("GET", "/page/api/models/tiny-shapes"),
        ("GET", "/page/api/events"),
        ("GET", "/page/api/videos"),
        ("GET", "/page/api/videos/1"),
        ("POST", "/page/api/videos"),
        ("POST", "/page/api/videos/1/again"),
        ("DELETE", "/page/api/videos/1"),
    ],
)
def test_nothing_is_told_or_done_for_somebody_who_is_not_signed_in(method: str, path: str) -> None:
    async def test(world: World) -> None:
        answer = await world.client.request(method, path, headers=HERE)
        assert answer.status_code == 401

    in_a_world(test)


@pytest.mark.parametrize(
    "wrong", [{"X-T2V-Token": "x"}, {"Sec-Fetch-Site": "cross-site"}, {"X-T2V-Token": ""}]
)
def test_nothing_is_changed_without_the_pages_own_token(wrong: dict[str, str]) -> None:
    async def test(world: World) -> None:
        await sign_in(world)
        headers = await token_of(world) | wrong
        video = await ask(world)
        path = f"/page/api/videos/{video.id}"
        asked = [
            await world.client.post("/page/api/videos", json=PROMPT, headers=headers),
            await world.client.post(f"{path}/again", json={}, headers=headers),
            await world.client.delete(path, headers=headers),
        ]
        assert [answer.status_code for answer in asked] == [403] * 3
        assert world.videos == [video]
        assert world.server.count("delete", RESOURCES) == 0

    in_a_world(test)


# What browsers are told to refuse


def test_every_answer_has_the_pages_headers_and_no_script_stands_in_the_page() -> None:
    async def test(world: World) -> None:
        await sign_in(world)
        for path in ("/", "/page/static/page.js", "/page/api/form", "/page/api/videos/1"):
            said = (await world.client.get(path)).headers
            assert "default-src 'self'" in said["content-security-policy"]
            assert "unsafe" not in said["content-security-policy"]
            assert said["x-content-type-options"] == "nosniff"
            assert said["cache-control"] == ("no-cache" if "static" in path else "no-store")
        page = (await world.client.get("/")).text
        assert re.findall(r"<script(?![^>]* src=)", page) == []
        assert re.findall(r"<style|\sstyle=|\son[a-z]+=", page) == []
        assert re.findall(r"""(?:src|href)=["'](?:https?:)?//""", page) == []

    in_a_world(test)


def a_storage(**storage: Any) -> OperatorConfig:
    document = load_config(None).document()
    report = {"url": "https://report.t2v-system.svc"}
    return OperatorConfig.parse(document | {"storage": storage, "reportServer": report})


@pytest.mark.parametrize(
    ("config", "sources"),
    [
        pytest.param(a_config_with_a_store(), "https://videos.example.com", id="embedded"),
        pytest.param(
            a_storage(kind="embedded", service="store"), "https: http:", id="behind a Service"
        ),
        pytest.param(a_storage(kind="s3", bucket="b"), "https: http:", id="signed by a cloud"),
        pytest.param(
            a_storage(kind="s3", bucket="b", url="https://cdn.example.com/v"),
            "https://cdn.example.com",
            id="a bucket that something serves",
        ),
        pytest.param(
            a_storage(kind="volume", claimName="v", url="file:///videos"),
            "https: http:",
            id="files",
        ),
    ],
)
def test_media_come_from_the_store(config: OperatorConfig, sources: str) -> None:
    assert media_sources(config) == sources


def test_the_pages_files_are_kept_by_browsers_as_long_as_they_are_the_same() -> None:
    async def test(world: World) -> None:
        first = await world.client.get("/page/static/page.css")
        assert first.headers["content-type"].startswith("text/css")
        known = {"If-None-Match": first.headers["etag"]}
        assert (await world.client.get("/page/static/page.css", headers=known)).status_code == 304
        for name in ("app.html", "..%2Faddresses.py", "none.js"):
            assert (await world.client.get(f"/page/static/{name}")).status_code == 404

    in_a_world(test)


def test_the_page_is_no_part_of_the_openapi_document() -> None:
    async def test(world: World) -> None:
        app = FastAPI()
        app.include_router(router(world.gateway))
        assert app.openapi()["paths"] == {}

    in_a_world(test)


def test_the_page_can_be_left_out() -> None:
    async def test(world: World) -> None:
        assert (await world.client.get("/")).status_code == 404
        assert (await world.client.get("/page/static/page.js")).status_code == 404

    in_a_world(test, page=False)


# Asking for videos


def test_what_the_form_says_becomes_a_resource() -> None:
    async def test(world: World) -> None:
        await sign_in(world)
        fields = PROMPT | {
            "width": " 128 ",
            "height": "",
            "guidanceScale": "2,5",
            "seed": str(2**63 - 1),
        }
        more = {"enhancePrompt": False, "loras": [{"source": "tiny-shapes-bars", "weight": 0.5}]}
        headers = await token_of(world)
        answer = await world.client.post("/page/api/videos", json=fields | more, headers=headers)
        assert answer.status_code == 201
        (video,) = world.videos
        assert answer.json() == card_of(video)
        wanted = PROMPT | more | {"width": 128, "guidanceScale": 2.5, "seed": 2**63 - 1}
        assert video.spec == TextToVideoJobSpec.parse(wanted)
        assert video.key_id == world.key.id

    in_a_world(test)


def test_the_same_request_sent_twice_makes_one_video() -> None:
    async def test(world: World) -> None:
        await sign_in(world)
        headers = await token_of(world) | {"Idempotency-Key": "7"}
        first = await world.client.post("/page/api/videos", json=PROMPT, headers=headers)
        again = await world.client.post("/page/api/videos", json=PROMPT, headers=headers)
        assert first.json()["id"] == again.json()["id"]
        assert len(world.videos) == 1

    in_a_world(test)


@pytest.mark.parametrize(
    ("fields", "field", "says"),
    [
        ({"prompt": ""}, "prompt", "is required"),
        ({"prompt": "  "}, "prompt", "must not be blank"),
        ({"prompt": "x" * 4097}, "prompt", "4096"),
        ({"modelId": "tiny-shape"}, "modelId", "did you mean 'tiny-shapes'?"),
        ({"width": "seven"}, "width", "must be a whole number, not 'seven'"),
        ({"width": "70"}, "width", "70"),
        ({"width": "1024"}, "width", "this model draws at most 512"),
        ({"numFrames": "1.5"}, "numFrames", "whole number"),
        ({"numFrames": "33"}, "numFrames", "at most 32"),
        ({"fps": "61"}, "fps", "60"),
        ({"guidanceScale": "high"}, "guidanceScale", "must be a number"),
        ({"guidanceScale": "21"}, "guidanceScale", "20"),
        ({"seed": str(2**63)}, "seed", "9223372036854775807"),
        ({"seed": "-1"}, "seed", "0"),
        ({"scheduler": "Euler"}, "scheduler", "EulerDiscreteScheduler"),
        (
            {"scheduler": "DDIMInverseScheduler", "schedulerPolicy": "Strict"},
            "scheduler",
            "cannot be used",
        ),
        ({"initImage": "file:///etc/passwd"}, "initImage", "must be an address"),
        ({"initImage": "\n FILE:///etc/passwd"}, "initImage", "must be an address"),
        ({"initImage": "cat.png"}, "initImage", "pattern"),
        ({"strength": "0.5"}, "strength", "goes with an 'initImage' or 'initVideo'"),
        ({"endImage": "https://e.com/a.png"}, "endImage", "cannot"),
        ({"loras": [{"source": "nothing"}]}, "loras", "nothing"),
        ({"mode": "Redraw"}, "mode", "Redraw"),
        ({"speed": "Warp"}, "speed", "Warp"),
        ({"enhancePrompt": "maybe"}, "enhancePrompt", "boolean"),
    ],
)
def test_what_cannot_be_drawn_is_told_by_the_field(
    fields: dict[str, Any], field: str, says: str
) -> None:
    async def test(world: World) -> None:
        await sign_in(world)
        headers = await token_of(world)
        answer = await world.client.post("/page/api/videos", json=PROMPT | fields, headers=headers)
        assert answer.status_code == 400
        (problem,) = answer.json()["problems"]
        assert problem["field"] == field
        assert says in problem["message"]
        assert world.videos == []

    in_a_world(test)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"7", b"{", b"\xff", b'{"prompt": {}}', b'{"": null}']
)
def test_a_body_of_any_kind_is_refused_with_words(body: bytes) -> None:
    async def test(world: World) -> None:
        await sign_in(world)
        headers = await token_of(world)
        answer = await world.client.post("/page/api/videos", content=body, headers=headers)
        assert answer.status_code == 400
        assert answer.json()["message"]

    in_a_world(test)


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(Wrong) as refused:
        spec_of({"modelId": "m", "width": "wide", "fps": "99", "pool": "gold"})
    assert {each["field"] for each in refused.value.problems} == {"prompt", "width", "fps", None}


def test_the_form_knows_all_that_makes_a_video_and_nothing_of_the_cluster() -> None:
    aliases = {str(TextToVideoJobSpec.model_fields[name].alias) for name in REQUEST_FIELDS}
    assert FIELDS - aliases == {"loadBalancer"}
    assert aliases - FIELDS == set()
    html = (STATIC / "app.html").read_text()
    assert {name for name in FIELDS if f'data-field="{name}"' not in html} == set()


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ("width is 70; this model needs a multiple of 8, try 64", "width"),
        (
            "model wan-i2v (Wan) cannot draw from the prompt alone; it can draw on from a first "
            "frame ('initImage')",
            "initImage",
        ),
        ("give one of 'initImage' and 'initVideo', not both", "initImage"),
        ("mode Restyle has no last frame; remove 'endImage', or choose mode FirstFrame", "mode"),
    ],
)
def test_a_refusal_is_about_the_field_that_it_names(message: str, field: str) -> None:
    assert problems_in(message) == [{"field": field, "message": message}]


def test_a_refusal_without_a_field_is_told_as_it_is() -> None:
    message = "this key may ask 3 times a minute"
    assert problems_in(message) == [{"field": None, "message": message}]


def test_a_quota_holds_on_the_page_too() -> None:
    async def test(world: World) -> None:
        key, _ = world.keys.add(quota=Quota(jobs_in_flight=1))
        await sign_in(world, key)
        headers = await token_of(world)
        first = await world.client.post("/page/api/videos", json=PROMPT, headers=headers)
        second = await world.client.post("/page/api/videos", json=PROMPT, headers=headers)
        assert (first.status_code, second.status_code) == (201, 429)
        assert second.headers["retry-after"] == "30"

    in_a_world(test)


def test_an_answer_that_was_lost_is_given_again_though_the_quota_is_used_up() -> None:
    async def test(world: World) -> None:
        key, _ = world.keys.add(quota=Quota(jobs_in_flight=1))
        await sign_in(world, key)
        headers = await token_of(world) | {"Idempotency-Key": "7"}
        first = await world.client.post("/page/api/videos", json=PROMPT, headers=headers)
        again = await world.client.post("/page/api/videos", json=PROMPT, headers=headers)
        assert (first.status_code, again.status_code) == (201, 201)
        assert first.json()["id"] == again.json()["id"]

    in_a_world(test)


def test_again_is_the_same_request_or_one_with_another_seed() -> None:
    async def test(world: World) -> None:
        await sign_in(world)
        video = await ask(world, seed=7, width=128)
        headers = await token_of(world)
        path = f"/page/api/videos/{video.id}/again"
        same = (await world.client.post(path, json={"seed": "same"}, headers=headers)).json()
        other = (await world.client.post(path, json={"seed": "other"}, headers=headers)).json()
        made = {str(each.id): each.spec for each in world.videos}
        assert made[same["id"]] == video.spec
        assert made[other["id"]].seed != 7
        assert made[other["id"]].width == 128

    in_a_world(test)


def test_again_takes_nothing_that_a_caller_could_not_have_asked_for() -> None:
    asked = PROMPT | {"seed": 7, "trackId": "order 7"}
    others = {"pool": "gold", "priorityClassName": "first", "keySecretRef": {"name": "somebodys"}}
    others |= {"webhook": "https://evil.example.com/hook"}
    spec = TextToVideoJobSpec.parse(asked | others)
    assert repeated(spec, seed=8) == TextToVideoJobSpec.parse(asked | {"seed": 8})


# Whose videos


def test_other_keys_videos_are_as_if_they_were_not_there() -> None:
    async def test(world: World) -> None:
        other, _ = world.keys.add(namespace="films")
        await sign_in(world, other)
        headers = await token_of(world)
        video = await ask(world)
        for video_id in (str(video.id), "1", "9" * 30, "one", "-1"):
            path = f"/page/api/videos/{video_id}"
            answers = [
                await world.client.get(path),
                await world.client.post(f"{path}/again", json={}, headers=headers),
                await world.client.delete(path, headers=headers),
            ]
            assert [each.status_code for each in answers] == [404] * 3
            assert {each.json()["message"] for each in answers} == {
                f"video {video_id[:20]} was not found"
            }
        assert (await world.client.get("/page/api/videos")).json()["videos"] == []
        assert world.videos == [video]

    in_a_world(test)


def test_a_keys_label_in_another_namespace_shows_nothing() -> None:
    """Whoever may write resources there can put any key's id on them."""

    async def test(world: World) -> None:
        await sign_in(world)
        metadata = {"name": "v", "namespace": "elsewhere", "labels": {KEY_LABEL: world.key.id}}
        document = {"metadata": metadata, "spec": PROMPT}
        world.gateway.videos.store.event("ADDED", world.server.put(RESOURCES, document), None)
        (video,) = world.videos
        assert (await world.client.get("/page/api/videos")).json()["videos"] == []
        assert (await world.client.get(f"/page/api/videos/{video.id}")).status_code == 404

    in_a_world(test)


def test_one_deletes_ones_own() -> None:
    async def test(world: World) -> None:
        await sign_in(world)
        video = await ask(world)
        path = f"/page/api/videos/{video.id}"
        answer = await world.client.delete(path, headers=await token_of(world))
        assert answer.status_code == 204
        assert world.server.all_of(RESOURCES) == []

    in_a_world(test)


# The gallery


async def many(world: World, count: int) -> list[Video]:
    """The newest first."""
    videos = []
    for number in range(count):
        video = await ask(world)
        document = world.server.objects[RESOURCES, *video.key]
        document["metadata"]["creationTimestamp"] = f"2026-01-01T00:{number // 2:02}:00Z"
        world.change(video)
        videos.append(world.gateway.videos.get(video.key) or video)
    return sorted(videos, key=lambda video: (video.created, video.id), reverse=True)


def test_the_newest_come_first_page_by_page_and_each_once() -> None:
    async def test(world: World) -> None:
        await sign_in(world)
        videos = await many(world, 7)
        seen, before = [], ""
        while before is not None:
            path = f"/page/api/videos?limit=3&before={before}"
            page = (await world.client.get(path)).json()
            seen += [each["id"] for each in page["videos"]]
            before = page["next"]
        assert seen == [str(video.id) for video in videos]

    in_a_world(test)


def test_only_what_is_on_the_page_is_read() -> None:
    async def test(world: World) -> None:
        for video in (await many(world, 20))[5:]:
            world.gateway.videos.store._kept[video.key] = replace(video, document=b"unread")
        page = page_of(world.gateway, the_key(world), "all", "", 5)
        assert len(page["videos"]) == 5

    in_a_world(test)


def test_the_gallery_is_filtered() -> None:
    async def test(world: World) -> None:
        await sign_in(world)
        ready, failed, working = [await ask(world) for _ in range(3)]
        world.succeed(ready)
        world.fail(failed, "it failed")
        for show, videos in {"ready": {ready}, "failed": {failed}, "working": {working}}.items():
            page = (await world.client.get(f"/page/api/videos?show={show}")).json()
            assert {each["id"] for each in page["videos"]} == {str(each.id) for each in videos}
        assert (await world.client.get("/page/api/videos?show=others")).status_code == 400

    in_a_world(test)


@pytest.mark.parametrize("before", ["x", "~", "2026~x", "2026~" + "9" * 400])
def test_a_place_that_is_none_is_refused(before: str) -> None:
    async def test(world: World) -> None:
        await sign_in(world)
        assert (await world.client.get(f"/page/api/videos?before={before}")).status_code == 400

    in_a_world(test)


def test_a_card_says_how_far_a_video_is() -> None:
    async def test(world: World) -> None:
        video = await ask(world)
        assert card_of(video)["stage"] == "Waits for its turn"
        conditions = [FAILED | {"reason": "Unschedulable"}]
        message = "0/3 nodes have a GPU"
        estimate = {"seconds": 90, "completionTime": "2026-01-01T00:10:00Z"}
        world.change(
            video, phase="Queued", conditions=conditions, message=message, estimate=estimate
        )
        queued = card_of(world.videos[0])
        assert (queued["stage"], queued["percent"]) == ("Waits for a GPU", None)
        assert (queued["eta"], queued["expected"]) == (None, 90)
        assert queued["due"] == "2026-01-01T00:10:00+00:00"
        assert queued["note"] == "0/3 nodes have a GPU"
        progress = {"stage": "denoise", "step": 10, "steps": 25, "percent": 42, "etaSeconds": 5.5}
        world.change(
            video, phase="Running", progress=progress | {"updatedTime": "2026-01-01T00:00:00Z"}
        )
        running = card_of(world.videos[0])
        assert (running["stage"], running["percent"]) == ("Drawing, step 10 of 25", 42)
        assert running["eta"] == 5.5

    in_a_world(test)


def test_a_failed_card_says_why_and_what_to_do() -> None:
    async def test(world: World) -> None:
        video = await ask(world)
        conditions = [FAILED | {"reason": "OutOfMemory"}]
        world.change(video, phase="Failed", message="it needs 96 GiB", conditions=conditions)
        card = card_of(world.videos[0])
        assert card["message"] == "it needs 96 GiB"
        assert "memory" in card["title"]
        assert "smaller" in card["advice"]

    in_a_world(test)


def test_a_ready_card_has_the_files_that_are_there() -> None:
    async def test(world: World) -> None:
        video = await ask(world)
        urls = [f"https://s.example.com/v/{name}?sig=1" for name in ("video.mp4", "poster.jpg")]
        world.change(video, phase="Succeeded", output=urls, outputUrl=urls[0])
        card = card_of(world.videos[0])
        assert (card["url"], card["poster"], card["preview"]) == (*urls, None)
        world.change(video, outputRemovedTime="2026-01-01T00:00:00Z")
        assert card_of(world.videos[0])["url"] is None

    in_a_world(test)


def test_no_address_but_one_of_the_web_is_ever_shown() -> None:
    async def test(world: World) -> None:
        video = await ask(world)
        urls = ["javascript:alert(1)//video.mp4", "data:text/html,/poster.jpg"]
        world.change(video, phase="Succeeded", output=urls, outputUrl=urls[0])
        card = card_of(world.videos[0])
        assert not card["url"]
        assert card["poster"] is None

    in_a_world(test)


def test_a_resource_that_fits_no_contract_is_shown_as_well() -> None:
    async def test(world: World) -> None:
        document = (await ask(world)).document
        malformed = orjson.loads(document) | {"spec": {"modelId": 7}}
        malformed["metadata"]["generation"] = 2
        malformed["metadata"]["resourceVersion"] = "9999"
        world.gateway.videos.store.event("MODIFIED", malformed, None)
        assert card_of(world.videos[0])["prompt"] == ""
        assert details_of(world.videos[0])["manifest"] == ""

    in_a_world(test)


def test_every_reason_has_its_words() -> None:
    assert set(HINTS) == set(Reason)
    assert set(WAITING) == set(Waiting)
    for hint in HINTS.values():
        assert hint.title[0].isupper()
        assert hint.advice.endswith(".")


# Details


def test_the_manifest_makes_the_same_video() -> None:
    resource = a_resource(
        prompt="a red circle", width=128, webhook="https://e.com/w", trackId="7", seed=None
    )
    job = resolve(resource, a_config(promptEnhancement="Rules"))
    document = yaml.safe_load(manifest_of("red-circle", resource.spec, job.request))
    assert document["metadata"] == {"name": "red-circle-again"}
    assert not {"webhook", "trackId"} & document["spec"].keys()
    again = a_resource(uid="another", **document["spec"])
    assert resolve(again, a_config(promptEnhancement="Rules")).request == job.request


def test_seeds_are_told_in_words() -> None:
    """Numbers of JSON lose their last digits in a browser."""

    async def test(world: World) -> None:
        await sign_in(world)
        video = await ask(world, seed=2**63 - 1)
        details = (await world.client.get(f"/page/api/videos/{video.id}")).json()
        assert details["request"]["seed"] == str(2**63 - 1)
        assert ["Seed", str(2**63 - 1)] in details["inputs"]
        assert f"seed: {2**63 - 1}\n" in details["manifest"]

    in_a_world(test)


# The form


def test_the_form_knows_what_a_model_can_draw() -> None:
    async def test(world: World) -> None:
        await sign_in(world)
        form = (await world.client.get("/page/api/form")).json()
        assert [each["id"] for each in form["models"]] == ["tiny-shapes"]
        model = (await world.client.get("/page/api/models/tiny-shapes")).json()
        assert model["limits"]["maxWidth"] == 512
        assert model["grid"] == {"size": 8, "frames": 1, "offset": 0}
        verdicts = {each["name"]: each for each in model["schedulers"]["Text"]}
        assert len(verdicts) == 18
        assert verdicts["DDIMScheduler"]["support"] == "Exact"
        assert verdicts["DDIMInverseScheduler"]["instead"]
        assert [each["name"] for each in model["loras"]] == ["tiny-shapes-bars"]
        assert (await world.client.get("/page/api/models/none")).status_code == 404

    in_a_world(test)


# What changes


async def events(
    world: World,
    count: int,
    between: Callable[[int], object],
    heartbeat: float = 30,
    ends: int = 2**40,
) -> list[Any]:
    """The first events of a stream; `between` is called after each with its number."""
    told: list[Any] = []
    session = Session(world.key.id, world.keys.fingerprint(world.key.id), ends, "", "")
    glance = Glance(world.gateway, clock=iter(range(10**6)).__next__)
    streams = Streams(world.gateway, glance, pause=0, heartbeat=heartbeat)
    async for chunk in streams.events(session):
        said = chunk.decode()
        found = re.search(r"event: (\w+)\ndata: (.*)\n\n$", said)
        told.append((found[1], orjson.loads(found[2])) if found else said)
        between(len(told))
        if len(told) == count:
            break
    return told


def test_the_stream_tells_what_changes_and_what_is_gone() -> None:
    async def test(world: World) -> None:
        video = await ask(world)

        def between(count: int) -> None:
            if count == 1:
                world.succeed(video)
            elif count == 3:
                document = world.server.objects[RESOURCES, *video.key]
                document["metadata"]["resourceVersion"] = "9999"
                world.gateway.videos.store.event("DELETED", document, None)

        told = await events(world, 4, between)
        assert [name for name, _ in told] == ["hello", "videos", "glance", "videos"]
        assert told[0][1]["mine"] == {"working": 1, "ready": 0, "failed": 0}
        assert told[1][1]["videos"][0]["state"] == "ready"
        assert told[2][1]["mine"] == {"working": 0, "ready": 1, "failed": 0}
        assert told[3][1] == {"videos": [], "gone": [str(video.id)]}

    in_a_world(test)


def test_the_stream_does_not_read_all_videos_for_one_that_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def test(world: World) -> None:
        videos = [await ask(world, seed=seed) for seed in range(3)]
        passes: list[str] = []
        of_key = world.gateway.videos.of_key

        def counted(key_id: str) -> Iterator[Video]:
            passes.append(key_id)
            return of_key(key_id)

        monkeypatch.setattr(world.gateway.videos, "of_key", counted)

        def succeeds(count: int) -> None:
            if count in (1, 3):
                world.succeed(videos[count // 2])

        told = await events(world, 5, succeeds)
        assert [name for name, _ in told] == ["hello", "videos", "glance", "videos", "glance"]
        assert told[-1][1]["mine"] == {"working": 1, "ready": 2, "failed": 0}
        assert len(passes) == 1, "when it is opened"

    in_a_world(test)


def test_the_stream_is_silent_about_others_and_says_that_it_lives() -> None:
    async def test(world: World) -> None:
        _, stranger = world.keys.add(namespace="elsewhere")
        spec = TextToVideoJobSpec.parse(PROMPT)
        video = await world.gateway.submitter.submit(stranger, spec)

        def between(count: int) -> None:
            if count == 1:
                world.change(video, phase="Failed", message="a secret")

        told = await events(world, 4, between, heartbeat=0.01)
        assert [each[0] for each in told if isinstance(each, tuple)] == ["hello", "glance"]
        assert ": still here\n\n" in told
        assert "secret" not in str(told)

    in_a_world(test)


def test_the_stream_ends_with_the_process() -> None:
    async def test(world: World) -> None:
        told = await events(world, 9, lambda _: world.gateway.videos.close())
        assert [name for name, _ in told] == ["hello"]

    in_a_world(test)


def test_too_many_streams_of_one_key_are_refused() -> None:
    async def test(world: World) -> None:
        streams = Streams(world.gateway, Glance(world.gateway))
        session = Session(world.key.id, world.keys.fingerprint(world.key.id), 2**40, "", "")
        opened = [streams.events(session) for _ in range(MOST_STREAMS)]
        for each in opened:
            await anext(each)
        with pytest.raises(Refused):
            streams.check(the_key(world))
        await opened[0].aclose()  # type: ignore[attr-defined]
        streams.check(the_key(world))
        for each in opened:
            await each.aclose()  # type: ignore[attr-defined]

    in_a_world(test)


def test_the_stream_ends_with_the_key_and_with_the_session() -> None:
    async def test(world: World) -> None:
        over = await events(world, 9, lambda _: None, ends=0)
        assert over == [("bye", {})]
        told = await events(world, 9, lambda _: world.keys.revoke(world.key), heartbeat=0)
        assert told[-1] == ("bye", {})

    in_a_world(test)


def test_the_glance_counts_everybodys_work_in_the_pools_that_a_key_opens() -> None:
    async def test(world: World) -> None:
        video, _ = await ask(world), await ask(world)
        world.change(video, phase="Running", pool="default")
        _, stranger = world.keys.add(namespace="elsewhere")
        seen = Glance(world.gateway).of(the_key(world))
        assert seen["pools"] == [{"name": "default", "gpuMemory": None, "running": 1, "waiting": 0}]
        assert seen["unplaced"] == 1
        assert seen["mine"] == {"working": 2, "ready": 0, "failed": 0}
        other = Glance(world.gateway).of(stranger)
        assert other["pools"] == seen["pools"]
        assert other["mine"] == {"working": 0, "ready": 0, "failed": 0}

    in_a_world(test)


@pytest.mark.parametrize(
    ("pools", "opened"),
    [
        pytest.param(("gold",), ["gold"], id="a key that names one"),
        pytest.param((), ["free"], id="a key that names none"),
        pytest.param(("gone",), [], id="a key whose pool is gone"),
    ],
)
def test_a_key_sees_the_pools_that_it_opens(pools: tuple[str, ...], opened: list[str]) -> None:
    document = a_config_of_pools({"name": "free"}, {"name": "gold"}).document()
    document["pools"][1]["keys"] = "required"
    config = OperatorConfig.parse(document | {"apiKeys": {"enabled": True}})
    key = ApiKey(id="0" * 12, name="somebody", namespace="films", pools=pools)
    assert [pool.name for pool in opened_pools(config, key)] == opened
    document["pools"][1]["keys"] = "optional"
    assert len(opened_pools(OperatorConfig.parse(document), key)) == 2
