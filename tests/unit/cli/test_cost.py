"""`t2v cost`: what is summed by what, and how it is printed."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from t2v_api.api_key import KEY_LABEL
from t2v_operator.cli.main import main
from t2v_operator.core.costs import By, sums

from tests.unit.client.cluster import Cluster

NOW = datetime.now(UTC)


def a_video(
    name: str,
    namespace: str = "films",
    seconds: float | None = 3600,
    days_ago: float | None = 1,
    amount: str | None = "2.50",
    key: str = "",
    label: str = "",
    model: str = "tiny-shapes",
    pool: str = "default",
) -> dict[str, Any]:
    ended = None if days_ago is None else (NOW - timedelta(days=days_ago)).isoformat()
    status = {
        "gpuSeconds": seconds,
        "completionTime": ended,
        "pool": pool,
        "keyId": key or None,
        "cost": {"amount": amount, "currency": "EUR"} if amount else None,
    }
    return {
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {KEY_LABEL: label} if label else {},
        },
        "spec": {"modelId": model, "prompt": "a secret"},
        "status": {field: value for field, value in status.items() if value is not None},
    }


VIDEOS = [
    a_video("one", key="k1"),
    a_video("two", key="k1", seconds=7200, amount="0.0001", model="other"),
    a_video("old", days_ago=40),
    a_video("elsewhere", namespace="ads", seconds=1800, amount=None, pool="h100"),
    a_video("running", namespace="ads", days_ago=None, label="k2"),
    a_video("waiting", seconds=None),
]


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        (By.NAMESPACE, [("films", 2, 10800), ("ads", 2, 5400)]),
        (By.KEY, [("k1", 2, 10800), ("k2", 1, 3600), ("", 1, 1800)]),
        (By.MODEL, [("tiny-shapes", 3, 9000), ("other", 1, 7200)]),
        (By.POOL, [("default", 3, 14400), ("h100", 1, 1800)]),
    ],
)
def test_it_is_summed_by_each(by: By, expected: list[tuple[str, int, float]]) -> None:
    found = sums(VIDEOS, by, NOW - timedelta(days=30))
    assert [(each.name, each.videos, each.gpu_seconds) for each in found] == expected


def test_sums_of_money_are_exact() -> None:
    many = [a_video(str(number), amount="0.1000") for number in range(30)]
    (all_of_them,) = sums(many, By.NAMESPACE, NOW - timedelta(days=30))
    assert all_of_them.costs == {"EUR": Decimal(3)}


def test_what_is_no_amount_is_left_out() -> None:
    odd = a_video("odd", amount="much")
    assert sums([odd], By.NAMESPACE, NOW - timedelta(days=30))[0].costs == {}


@pytest.fixture
def videos(cluster: Cluster) -> None:
    for each in VIDEOS:
        metadata = each["metadata"]
        cluster.put(
            metadata["name"],
            metadata["namespace"],
            metadata={"labels": metadata["labels"]},
            spec=each["spec"],
            status=each["status"],
        )


@pytest.mark.usefixtures("videos")
def test_a_table_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(("cost",)) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        ["NAMESPACE", "VIDEOS", "GPU", "HOURS", "COST"],
        ["films", "2", "3.00", "2.50", "EUR"],
        ["ads", "2", "1.50", "2.50", "EUR"],
        ["TOTAL", "4", "4.50", "5.00", "EUR"],
    ]


@pytest.mark.usefixtures("videos")
def test_json_is_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(("cost", "--since", "60d", "--by", "key", "-o", "json")) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["by"] == "key"
    assert printed["total"] == {
        "videos": 5,
        "gpuSeconds": 19800,
        "costs": [{"amount": "7.5001", "currency": "EUR"}],
    }
    assert [each["name"] for each in printed["sums"]] == ["k1", "", "k2"]


@pytest.mark.usefixtures("videos")
def test_one_namespace_may_be_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(("cost", "-n", "ads", "-o", "json")) == 0
    assert json.loads(capsys.readouterr().out)["total"]["videos"] == 2


@pytest.mark.parametrize("since", ["30", "d", "1y", "-1d", "1.5h"])
def test_a_time_that_is_none_is_refused(since: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(("cost", f"--since={since}"))
    assert "12h, 30d or 8w" in capsys.readouterr().err
