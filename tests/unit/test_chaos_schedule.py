"""What the chaos test draws from its seed, what it sees, and how it judges."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from chaos.judgement import Evidence, is_settled, judge
from chaos.lives import Lives
from chaos.schedule import (
    APART_SECONDS,
    AWAY_SECONDS,
    WITHOUT_API_SERVER,
    Kind,
    a_schedule,
    steps,
)
from chaos.videos import Fate, Video, references, some_videos
from t2v_operator.core.names import OUTPUT_URL_ANNOTATION, RESOURCE_ANNOTATION

Document = dict[str, Any]

SEEDS = range(200)
SHORT, LONG = 180, 600


@pytest.mark.parametrize("seconds", [SHORT, LONG])
def test_a_seed_always_draws_the_same(seconds: int) -> None:
    assert a_schedule(7, seconds) == a_schedule(7, seconds)
    assert a_schedule(7, seconds) != a_schedule(8, seconds)
    assert some_videos(7, 30, seconds) == some_videos(7, 30, seconds)
    assert some_videos(7, 30, seconds) != some_videos(8, 30, seconds)


@pytest.mark.parametrize("seconds", [SHORT, LONG])
def test_each_kind_goes_and_is_back_in_time(seconds: int) -> None:
    for seed in SEEDS:
        schedule = a_schedule(seed, seconds)
        assert {outage.kind for outage in schedule} == set(Kind), seed
        counts = Counter(outage.kind for outage in schedule)
        assert set(counts) == set(Kind)
        often = [number for kind, number in counts.items() if kind not in APART_SECONDS]
        assert max(often) - min(often) <= 1
        for outage in schedule:
            least, most = AWAY_SECONDS.get(outage.kind, (0, 0))
            assert least - 1e-6 <= outage.ends - outage.begins <= most + 1e-6
            assert 0 <= outage.begins <= outage.ends <= seconds


def test_nothing_goes_that_is_away_already() -> None:
    for seed in SEEDS:
        away: set[Kind] = set()
        for step in steps(a_schedule(seed, LONG)):
            if step.comes_back:
                away.remove(step.kind)
            elif step.kind in AWAY_SECONDS:
                assert step.kind not in away
                away.add(step.kind)
        assert not away


def test_an_api_server_that_is_away_is_asked_for_nothing() -> None:
    for seed in SEEDS:
        is_away = False
        for step in steps(a_schedule(seed, LONG)):
            assert not is_away or step.kind in WITHOUT_API_SERVER
            if step.kind is Kind.API_SERVER:
                is_away = not step.comes_back


def test_an_api_server_has_time_to_recover() -> None:
    for seed in SEEDS:
        outages = [each for each in a_schedule(seed, LONG) if each.kind is Kind.API_SERVER]
        for one, next_one in pairwise(outages):
            assert next_one.begins - one.ends >= APART_SECONDS[Kind.API_SERVER]


def test_some_outages_overlap() -> None:
    schedule = a_schedule(1, LONG)
    assert any(one.begins < other.begins < one.ends for one in schedule for other in schedule)


@pytest.mark.parametrize("count", [12, 18, 30])
def test_the_videos_are_as_many_as_wanted_and_of_each_sort(count: int) -> None:
    videos = some_videos(3, count, SHORT)
    assert len({video.name for video in videos}) == count
    assert all(0 <= video.at <= video.fate_at <= SHORT for video in videos)
    sorts = {(video.is_real, video.by_gateway, video.fate) for video in videos}
    assert sorts == {
        (True, False, Fate.KEPT),
        (True, False, Fate.DELETED),
        (True, False, Fate.CANCELLED),
        (False, False, Fate.KEPT),
        (False, False, Fate.CANCELLED),
        (False, False, Fate.DELETED),
        (False, True, Fate.KEPT),
    }
    requests = Counter(video.request for video in videos)
    assert set(requests.values()) == {1, 2}
    twice = {request for request, times in requests.items() if times == 2}
    assert {video.request for video in references(videos)} == twice


def an_object(uid: str, resource: str = "film", folder: str = "", **fields: Any) -> Document:
    annotations = {RESOURCE_ANNOTATION: resource}
    if folder:
        annotations[OUTPUT_URL_ANNOTATION] = f"store://videos/films/{folder}"
    metadata = {"uid": uid, "name": f"{resource}-{uid}", "annotations": annotations}
    return {"metadata": metadata, "spec": {}, **fields}


def a_pod(uid: str, phase: str, resource: str = "film") -> Document:
    return an_object(uid, resource, spec={"containers": []}, status={"phase": phase})


COMPLETE = {"conditions": [{"type": "Complete", "status": "True"}]}


def test_two_jobs_of_a_resource_at_a_time_are_seen() -> None:
    jobs = Lives("Jobs")
    jobs.seen(an_object("1"))
    jobs.seen(an_object("1"))
    assert jobs.wrong == []
    jobs.seen(an_object("2"))
    assert jobs.wrong == ["two Jobs at a time: film-1 of film and film-2 of film"]


@pytest.mark.parametrize(
    "ends",
    [
        lambda jobs: jobs.seen(an_object("1", status=COMPLETE)),
        lambda jobs: jobs.seen(an_object("1"), is_gone=True),
        lambda jobs: jobs.listed([]),
        lambda jobs: jobs.listed([an_object("2"), an_object("1", status=COMPLETE)]),
    ],
    ids=["complete", "deleted", "gone unseen", "complete unseen"],
)
def test_one_job_after_another_is_right(ends: Any) -> None:
    jobs = Lives("Jobs")
    jobs.seen(an_object("1"))
    ends(jobs)
    jobs.seen(an_object("2"))
    assert jobs.wrong == []
    assert jobs.count == 2


def test_equal_requests_of_two_resources_are_made_one_after_another() -> None:
    jobs = Lives("Jobs")
    jobs.seen(an_object("1", "a", folder="f1"))
    jobs.seen(an_object("2", "b", folder="f2"))
    assert jobs.wrong == []
    jobs.seen(an_object("3", "c", folder="f1"))
    assert jobs.wrong == ["two Jobs of equal requests at a time: a-1 of a and c-3 of c"]
    assert jobs.makers == {"f1": {"a", "c"}, "f2": {"b"}}


def test_a_pod_counts_until_its_containers_have_ended() -> None:
    pods = Lives("pods")
    pods.seen(a_pod("1", "Running"))
    pods.seen(a_pod("1", "Failed"))
    pods.seen(a_pod("2", "Pending"))
    assert pods.wrong == []
    pods.seen(a_pod("3", "Pending"))
    assert pods.wrong == ["two pods at a time: film-2 of film and film-3 of film"]


REAL = Video("film", "a circle", seed=1, is_real=True, has_reference=True)
FOLDER = "f" * 64


def a_resource(of: Video = REAL, **status: Any) -> Document:
    made = {"sha256": "11", "framesSha256": "22"}
    told = {"deliveredTime": "2030-01-01T00:00:00Z"}
    return {
        "metadata": {"name": f"resource-of-{of.name}"},
        "spec": {"trackId": of.name},
        "status": {"phase": "Succeeded", "video": made, "webhook": told, **status},
    }


ALL_RIGHT = Evidence(
    videos=[REAL],
    resources=[a_resource()],
    told={"film": 1},
    opened={"resource-of-film": "11"},
    stored={FOLDER: ["video.mp4"]},
    makers={FOLDER: {"resource-of-film"}},
    frames={REAL.request: "22"},
)
DELETED = replace(REAL, fate=Fate.DELETED)
CANCELLED = replace(REAL, fate=Fate.CANCELLED)
GIVEN_UP = {"phase": "Failed", "video": None, "conditions": [{"reason": "Cancelled"}]}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"videos": [DELETED], "resources": [], "told": {}, "stored": {}},
        {"videos": [CANCELLED]},
        {"videos": [CANCELLED], "resources": [a_resource(**GIVEN_UP)]},
        {"videos": [replace(REAL, is_real=False)], "opened": {}},
    ],
    ids=["made", "deleted", "cancelled too late", "cancelled", "simulated"],
)
def test_what_is_right_is_not_complained_of(changes: Document) -> None:
    assert judge(replace(ALL_RIGHT, **changes)) == []


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"seen": ["two Jobs at a time"]}, "two Jobs at a time"),
        ({"resources": [a_resource(), a_resource()]}, "film: 1 resource wanted, there are 2"),
        ({"videos": [DELETED]}, "film: 0 resource wanted, there are 1"),
        ({"resources": [a_resource(phase="Running")]}, "film: Running"),
        ({"resources": [a_resource(**GIVEN_UP)]}, "film: Failed, Cancelled"),
        ({"told": {}}, "film: no webhook came"),
        ({"opened": {"resource-of-film": "status 404"}}, "does not open the video: status 404"),
        ({"opened": {}}, "does not open the video: it was not tried"),
        ({"frames": {REAL.request: "33"}}, "film: frames 22, undisturbed 33"),
        ({"frames": {}}, "film: frames 22, undisturbed None"),
        (
            {"stored": {FOLDER: ["checkpoint"]}, "makers": {FOLDER: {"another"}}},
            f"left in the store by another: {FOLDER}: checkpoint",
        ),
        ({"makers": {}}, "left in the store by nobody that was seen"),
    ],
)
def test_what_is_wrong_is_named(changes: Document, complaint: str) -> None:
    wrong = judge(replace(ALL_RIGHT, **changes))
    assert any(complaint in line for line in wrong), wrong


@pytest.mark.parametrize(
    ("video", "found", "settled"),
    [
        (REAL, [a_resource()], True),
        (REAL, [], False),
        (REAL, [a_resource(phase="Running")], False),
        (REAL, [a_resource(webhook={"attempts": 1})], False),
        (DELETED, [], True),
        (DELETED, [a_resource()], False),
        (CANCELLED, [a_resource(**GIVEN_UP)], True),
    ],
)
def test_what_is_waited_for(video: Video, found: list[Document], settled: bool) -> None:
    assert is_settled(lambda _: found, [video]) is settled
