"""What the operator tells Prometheus: docs/metrics.md explains each figure.

Labels are bounded: no name of a resource or pod, no prompt, no error text; namespaces of videos and
ids of keys in `spent` alone, and not more of them than it allows.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from enum import StrEnum

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client import Counter as CounterMetric
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from t2v_api.reasons import REASONS, ModelReason
from t2v_api.resource import Phase, TextToVideoJobStatus, WebhookStatus
from t2v_api.video_model import VideoModelStatus

from t2v_operator.cluster.counted_store import OPERATIONS
from t2v_operator.cluster.kinds import Kind
from t2v_operator.cluster.spent import Spent
from t2v_operator.core.models.events import was_fetched
from t2v_operator.core.models.observed import ObservedModel
from t2v_operator.core.observed import FINAL
from t2v_operator.core.status import reason_of

WAIT_BUCKETS = (1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 24 * 3600)
GENERATION_BUCKETS = (5, 15, 30, 60, 120, 300, 600, 1200, 3600, 3 * 3600)
FETCH_BUCKETS = (10, 30, 60, 300, 900, 1800, 3600, 3 * 3600, 12 * 3600)
LOOK_BUCKETS = (0.001, 0.005, 0.02, 0.1, 0.5, 2, 10)


class WebhookOutcome(StrEnum):
    """What came of one attempt."""

    DELIVERED = "delivered"
    FAILED = "failed"
    """It is tried again."""
    GIVEN_UP = "given-up"


JobLabels = tuple[str, str, str, str]
"""Phase, model, pool, reason."""


class Metrics:
    """Counters and histograms that the operator's parts count in."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.queue_wait = Histogram(
            "t2v_queue_wait_seconds",
            "From the resource's creation to the start of its first runner.",
            ("model", "pool"),
            buckets=WAIT_BUCKETS,
            registry=self.registry,
        )
        self.generation = Histogram(
            "t2v_generation_seconds",
            "From the runner's start to the finished video.",
            ("model", "pool"),
            buckets=GENERATION_BUCKETS,
            registry=self.registry,
        )
        self.gpu = Histogram(
            "t2v_gpu_seconds",
            "GPUs times the seconds that all runs of a finished request held them.",
            ("model", "pool", "outcome"),
            buckets=GENERATION_BUCKETS,
            registry=self.registry,
        )
        self._fetch = Histogram(
            "t2v_model_fetch_seconds",
            "How long it took to fetch a VideoModel into the model cache.",
            ("model",),
            buckets=FETCH_BUCKETS,
            registry=self.registry,
        )
        self._fetched_bytes = CounterMetric(
            "t2v_model_fetched_bytes_total",
            "What was downloaded into the model cache.",
            ("model",),
            registry=self.registry,
        )
        self._failed_fetches = CounterMetric(
            "t2v_model_fetches_failed_total",
            "Fetches of a VideoModel that were given up.",
            ("model",),
            registry=self.registry,
        )
        self._looks = Histogram(
            "t2v_look_seconds",
            "How long one look took.",
            buckets=LOOK_BUCKETS,
            registry=self.registry,
        )
        self._look_errors = CounterMetric(
            "t2v_look_errors_total",
            "Looks that ended in an error and are tried again.",
            registry=self.registry,
        )
        self.ended = CounterMetric(
            "t2v_jobs_ended_total",
            "Requests that came to their end.",
            ("model", "pool", "outcome", "reason"),
            registry=self.registry,
        )
        self.spent = Spent(self.registry)
        self._webhook_attempts = CounterMetric(
            "t2v_webhook_attempts_total",
            "Attempts to deliver a webhook.",
            ("outcome",),
            registry=self.registry,
        )
        self._store_errors = CounterMetric(
            "t2v_store_errors_total",
            "What the store did not do, or not in time.",
            ("operation",),
            registry=self.registry,
        )
        # A rate sees the first one only where there was a 0 before it.
        for outcome in WebhookOutcome:
            self._webhook_attempts.labels(outcome)
        for operation in OPERATIONS:
            self._store_errors.labels(operation)
        self.outputs_left = CounterMetric(
            "t2v_outputs_left_total",
            "Videos whose files could not be removed with their resource.",
            registry=self.registry,
        )
        self._calls = CounterMetric(
            "t2v_api_calls_total",
            "Requests to the API server.",
            ("verb", "kind", "code"),
            registry=self.registry,
        )
        self._call_seconds = Histogram(
            "t2v_api_call_seconds",
            "How long the API server took to answer.",
            ("verb",),
            buckets=LOOK_BUCKETS,
            registry=self.registry,
        )

    def called(self, verb: str, kind: Kind, status: int, seconds: float) -> None:
        """A request was answered."""
        self._calls.labels(verb, kind.plural, str(status)).inc()
        if seconds:
            self._call_seconds.labels(verb).observe(seconds)

    def store_failed(self, operation: str) -> None:
        self._store_errors.labels(operation).inc()

    def tried_webhook(self, told: WebhookStatus) -> None:
        """An attempt was written down."""
        if told.delivered_time:
            outcome = WebhookOutcome.DELIVERED
        elif told.given_up_time:
            outcome = WebhookOutcome.GIVEN_UP
        else:
            outcome = WebhookOutcome.FAILED
        self._webhook_attempts.labels(outcome).inc()

    def looked(self, seconds: float) -> None:
        self._looks.observe(seconds)

    def look_failed(self) -> None:
        self._look_errors.inc()

    def wrote_model(
        self, model: str, before: VideoModelStatus | None, after: VideoModelStatus
    ) -> None:
        """A VideoModel's status was written: count a fetch that ended with it."""
        # Both are there before they count: Prometheus sees no step in what begins with one.
        fetched, failures = self._fetched_bytes.labels(model), self._failed_fetches.labels(model)
        if was_fetched(before, after):
            if after.fetch_seconds is not None:
                self._fetch.labels(model).observe(after.fetch_seconds)
            fetched.inc(after.fetched_bytes or 0)
        failed, known = (_failed(each) for each in (after, before))
        if failed and not known:
            failures.inc()

    def wrote(
        self,
        before: TextToVideoJobStatus | None,
        after: TextToVideoJobStatus,
        *,
        model: str,
        pool: str | None,
        gpus: int,
        waited_seconds: float | None,
    ) -> None:
        """A status was written: count what began or ended with it.

        One that was restored counts nothing: it is not told here.
        """
        if before and (before.request_hash, before.phase) == (after.request_hash, after.phase):
            return
        pool = pool or ""
        if after.phase in FINAL:
            reason = reason_of(after)
            reason = reason if reason in REASONS else ""
            self.ended.labels(model, pool, after.phase.value, reason).inc()
        same = before is not None and before.request_hash == after.request_hash
        is_first = not same or before is None or before.start_time is None
        if after.phase is Phase.RUNNING and is_first and waited_seconds is not None:
            self.queue_wait.labels(model, pool).observe(waited_seconds)
        if after.phase not in FINAL or not after.attempts:
            return
        if after.generation_time is not None:
            self.generation.labels(model, pool).observe(after.generation_time)
        held: dict[str, float] = defaultdict(float)
        for each in after.attempts:
            if each.start_time and each.completion_time:
                held[each.pool or pool] += (each.completion_time - each.start_time).total_seconds()
        for where, seconds in held.items():
            self.gpu.labels(model, where, after.phase.value).observe(seconds * gpus)


def _failed(status: VideoModelStatus | None) -> bool:
    conditions = status.conditions if status else ()
    return bool(conditions) and conditions[0].reason == ModelReason.PREFETCH_FAILED


class Levels(Collector):
    """What is read at the moment that Prometheus asks."""

    def __init__(
        self,
        jobs: Callable[[], Iterable[JobLabels]],
        models: Callable[[], Iterable[ObservedModel]],
        sizes: Callable[[], dict[Kind, int]],
        ages: Callable[[], dict[Kind, float]],
        depth: Callable[[], int],
        webhooks: Callable[[], int],
        leads: Callable[[], bool],
    ) -> None:
        self._jobs, self._models, self._sizes, self._ages = jobs, models, sizes, ages
        self._depth, self._webhooks, self._leads = depth, webhooks, leads

    def collect(self) -> Iterable[Metric]:
        jobs = GaugeMetricFamily(
            "t2v_jobs", "TextToVideoJobs.", labels=("phase", "model", "pool", "reason")
        )
        for labels, count in Counter(self._jobs()).items():
            jobs.add_metric(labels, count)
        yield jobs
        yield from self._collect_models()
        size = GaugeMetricFamily("t2v_cache_objects", "Objects in the cache.", labels=("kind",))
        for kind, value in self._sizes().items():
            size.add_metric((kind.plural,), value)
        yield size
        age = GaugeMetricFamily(
            "t2v_cache_age_seconds",
            "Since the API server spoke of it.",
            labels=("kind",),
        )
        for kind, seconds in self._ages().items():
            age.add_metric((kind.plural,), seconds)
        yield age
        depth = GaugeMetricFamily("t2v_queue_depth", "Resources that wait for a look.")
        depth.add_metric((), self._depth())
        yield depth
        webhooks = GaugeMetricFamily(
            "t2v_webhooks_waiting", "Webhooks that are to be delivered, now or later."
        )
        webhooks.add_metric((), self._webhooks())
        yield webhooks
        leads = GaugeMetricFamily("t2v_leader", "1 on the replica that leads, 0 on the others.")
        leads.add_metric((), float(self._leads()))
        yield leads

    def _collect_models(self) -> Iterable[Metric]:
        seen = list(self._models())
        models = GaugeMetricFamily("t2v_models", "VideoModels.", labels=("phase", "reason"))
        known = set(ModelReason)
        told = ((each.phase, each.reason if each.reason in known else "") for each in seen)
        for labels, count in Counter(told).items():
            models.add_metric(labels, count)
        yield models
        # Two VideoModels of one commit share its files.
        cached = {each.cached: each.status.bytes for each in seen if each.cached and each.status}
        size = GaugeMetricFamily(
            "t2v_model_cache_bytes", "What is in the model cache, as VideoModels' statuses tell it."
        )
        size.add_metric((), sum(filter(None, cached.values())))
        yield size
