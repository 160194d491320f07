"""What videos take of GPUs and cost, summed for Prometheus by namespace, by key and by model.

Each sum is a metric of its own: one with all three labels would have their product of series.
Namespaces and keys come and go, so only so many are named; what the others take has an empty label.
"""

from decimal import Decimal

from prometheus_client import CollectorRegistry, Counter
from t2v_api.resource import TextToVideoJobStatus

MOST_NAMES = 200


class Spent:
    """Counts each status that is written."""

    def __init__(self, registry: CollectorRegistry, most_names: int = MOST_NAMES) -> None:
        self._most_names = most_names
        self._names: dict[str, set[str]] = {"namespace": set(), "key": set()}
        self._seconds = {
            "namespace": Counter(
                "t2v_namespace_gpu_seconds_total",
                "GPUs times the seconds that ended runs held them, by the videos' namespace.",
                ("video_namespace",),
                registry=registry,
            ),
            "key": Counter(
                "t2v_key_gpu_seconds_total",
                "GPUs times the seconds that ended runs held them, by the id of the API key.",
                ("key",),
                registry=registry,
            ),
        }
        self._cost = {
            "namespace": Counter(
                "t2v_namespace_cost_total",
                "What ended runs cost, by the videos' namespace.",
                ("video_namespace", "currency"),
                registry=registry,
            ),
            "key": Counter(
                "t2v_key_cost_total",
                "What ended runs cost, by the id of the API key.",
                ("key", "currency"),
                registry=registry,
            ),
            "model": Counter(
                "t2v_model_cost_total",
                "What ended runs cost, by model and the pool that the video was last in.",
                ("model", "pool", "currency"),
                registry=registry,
            ),
        }

    def wrote(
        self,
        before: TextToVideoJobStatus | None,
        after: TextToVideoJobStatus,
        *,
        namespace: str,
        model: str,
        pool: str,
    ) -> None:
        """A status was written: count what was added with it. `model`, `pool`: known ones."""
        if before is not None and before.request_hash != after.request_hash:
            before = None
        key = self._named("key", after.key_id) if after.key_id else None
        seconds = (after.gpu_seconds or 0) - ((before and before.gpu_seconds) or 0)
        if seconds > 0:
            self._seconds["namespace"].labels(self._named("namespace", namespace)).inc(seconds)
            if key is not None:
                self._seconds["key"].labels(key).inc(seconds)
        amount = _amount(after) - _amount(before)
        if after.cost is None or amount <= 0:
            return
        currency, added = after.cost.currency, float(amount)
        self._cost["namespace"].labels(self._named("namespace", namespace), currency).inc(added)
        self._cost["model"].labels(model, pool, currency).inc(added)
        if key is not None:
            self._cost["key"].labels(key, currency).inc(added)

    def _named(self, what: str, name: str) -> str:
        names = self._names[what]
        if name not in names and len(names) >= self._most_names:
            return ""
        names.add(name)
        return name


def _amount(status: TextToVideoJobStatus | None) -> Decimal:
    return Decimal(status.cost.amount) if status and status.cost else Decimal()
