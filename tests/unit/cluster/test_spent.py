"""What is counted of GPU-seconds and cost, and by how many names."""

from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from t2v_api.resource import Cost, TextToVideoJobStatus
from t2v_operator.cluster.spent import Spent

from tests.unit.observations import running, succeeded


def a_status(
    seconds: float | None = None, amount: str = "", key: str = "", **changes: Any
) -> TextToVideoJobStatus:
    cost = Cost(amount=amount, currency="EUR") if amount else None
    told = {"gpu_seconds": seconds, "cost": cost, "key_id": key or None}
    return running().model_copy(update=told | changes)


class Counted:
    def __init__(self, most_names: int = 200) -> None:
        self.registry = CollectorRegistry()
        self.spent = Spent(self.registry, most_names)

    def wrote(
        self, before: TextToVideoJobStatus | None, after: TextToVideoJobStatus, where: str = "films"
    ) -> None:
        self.spent.wrote(before, after, namespace=where, model="tiny-shapes", pool="default")

    @property
    def lines(self) -> set[str]:
        text = generate_latest(self.registry).decode()
        return {line for line in text.splitlines() if "_total" in line and line[0] != "#"}


def test_what_a_status_adds_to_the_one_before_is_counted() -> None:
    counted, one, two = Counted(), a_status(10, "0.10", "k1"), a_status(25, "0.25", "k1")
    counted.wrote(a_status(), one)
    counted.wrote(one, one)
    counted.wrote(one, two)
    assert counted.lines == {
        't2v_namespace_gpu_seconds_total{video_namespace="films"} 25.0',
        't2v_key_gpu_seconds_total{key="k1"} 25.0',
        't2v_namespace_cost_total{currency="EUR",video_namespace="films"} 0.25',
        't2v_key_cost_total{currency="EUR",key="k1"} 0.25',
        't2v_model_cost_total{currency="EUR",model="tiny-shapes",pool="default"} 0.25',
    }


def test_another_request_of_the_resource_begins_anew() -> None:
    counted = Counted()
    counted.wrote(a_status(100, request_hash="other"), a_status(10))
    assert counted.lines == {'t2v_namespace_gpu_seconds_total{video_namespace="films"} 10.0'}


def test_what_takes_nothing_makes_no_series() -> None:
    counted = Counted()
    counted.wrote(None, running())
    counted.wrote(running(), succeeded())
    assert counted.lines == set()


def test_only_so_many_namespaces_and_keys_are_named() -> None:
    counted = Counted(most_names=3)
    for number in range(10):
        counted.wrote(None, a_status(1, key=f"key-{number}"), where=f"namespace-{number}")
    names = {line.split('"')[1] for line in counted.lines if line.startswith("t2v_namespace")}
    assert names == {"namespace-0", "namespace-1", "namespace-2", ""}
    assert 't2v_key_gpu_seconds_total{key=""} 7.0' in counted.lines
