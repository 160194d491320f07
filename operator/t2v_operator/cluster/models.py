"""One look at one VideoModel: decide, act, write the status once. Only the leader's.

Knows nothing of videos but who draws with a model. Run twice, it does nothing the second time.
"""

import logging
import time
from collections.abc import Callable, Sequence
from datetime import datetime

from t2v_api.resource import API_VERSION
from t2v_api.video_model import MODEL_KIND, VideoModelStatus

from t2v_operator.cluster.cache import Cache
from t2v_operator.cluster.client import Client
from t2v_operator.cluster.effects import replace_pod
from t2v_operator.cluster.errors import ClusterError, NotLeader, TryAgain
from t2v_operator.cluster.kinds import JOBS, VIDEO_MODELS
from t2v_operator.cluster.model_cache import ModelCache
from t2v_operator.cluster.recorder import Recorder
from t2v_operator.cluster.work_queue import WorkQueue
from t2v_operator.config import OperatorConfig
from t2v_operator.core.decision import Action, CreateJob, DeleteJob, ReplacePod
from t2v_operator.core.events import Notice
from t2v_operator.core.job import Manifest
from t2v_operator.core.models.decide import decide_model, wants_finalizer
from t2v_operator.core.models.events import model_notices
from t2v_operator.core.models.keeping import to_keep
from t2v_operator.core.models.observed import ObservedModel
from t2v_operator.core.models.situation import ModelSituation
from t2v_operator.core.names import IN_USE_FINALIZER
from t2v_operator.core.observe import version_of

WORKERS = 4
PERCENT_SECONDS = 5.0
"""Between two statuses that differ in how far a fetch is."""

Wrote = Callable[[str, VideoModelStatus | None, VideoModelStatus], None]

logger = logging.getLogger("t2v_operator")


class ModelReconciler:
    """Brings VideoModels on, one look at a time."""

    def __init__(
        self,
        client: Client,
        models: ModelCache,
        cache: Cache,
        config: OperatorConfig,
        namespace: str,
        clock: Callable[[], datetime],
        recorder: Recorder,
        wrote: Wrote,
        is_current: Callable[[], bool],
    ) -> None:
        """`cache` knows who draws with a model; what fetches models is made in `namespace`.

        `is_current` says whether it knows all that earlier leaders made.
        `wrote` hears of each status that was written: a model's name, the one before, and it.
        """
        self._client = client
        self._models = models
        self._cache = cache
        self._config = config
        self._namespace = namespace
        self._clock = clock
        self._recorder = recorder
        self._wrote = wrote
        self._is_current = is_current
        self._written: dict[str, float] = {}
        self._queue: WorkQueue[str] = WorkQueue(self.reconcile, _told)

    def consider(self, name: str) -> None:
        """Let the model be looked at."""
        self._queue.add(name)

    async def run(self) -> None:
        """Look until cancelled; at every model first."""
        for name in self._models.by_name:
            self.consider(name)
        await self._queue.run(WORKERS)

    async def reconcile(self, name: str) -> float | None:
        """Bring one VideoModel a step further. Returns the seconds until it is due again.

        Raises TryAgain where it is worth another look, later and later.
        """
        model = self._models.by_name.get(name)
        if model is None:
            self._written.pop(name, None)
            return None
        try:
            return await self._look_at(model)
        except ClusterError as error:
            if error.status in (404, 409):
                raise TryAgain("something changed meanwhile") from error
            raise

    async def _look_at(self, model: ObservedModel) -> float | None:
        situation = self._situation(model)
        wanted = wants_finalizer(situation)
        if wanted != model.has_finalizer:
            if not wanted and not self._is_current():
                raise TryAgain("an earlier leader may have made a Job that draws with it")
            await self._write_finalizer(model, wanted)
            return 0.0
        decision = decide_model(situation)
        for action in decision.actions:
            try:
                await self._perform(action)
            except ClusterError as error:
                if error.status == 409:
                    raise
                refused = situation.refused(decision, error.refusal(action))
                if refused != model.status:
                    await self._write(model, refused)
                raise TryAgain(refused.message) from error
        begun = model_notices(model.status, None, decision.actions)
        self._tell(model, begun, situation.now)
        if decision.status is None or decision.status == model.status:
            return decision.again_seconds
        if left := self._patience_left(model, decision.status):
            return left
        await self._write(model, decision.status)
        return decision.again_seconds

    def _situation(self, model: ObservedModel) -> ModelSituation:
        jobs = self._models.jobs_of(model.name)
        pods = self._models.pods_of(jobs)
        return ModelSituation(
            model,
            self._config,
            self._clock(),
            jobs,
            pods,
            self._models.reports_of(pods),
            self._to_keep(),
            ["/".join(key) for key in self._cache.users_of(model.name)],
            self._cache.missed_of(model.name),
            self._models.all_nodes(),
        )

    def _to_keep(self) -> tuple[str, ...]:
        """Where the cache has a limit; else nothing goes anyway."""
        if not self._config.model_cache.size:
            return ()
        models = self._models.by_name
        jobs = (job for name in models for job in self._cache.users_of(name).values())
        return to_keep(models.values(), jobs)

    def _patience_left(self, model: ObservedModel, status: VideoModelStatus) -> float:
        """Seconds for which the status may wait: none where it tells more than a percent."""
        before = model.status
        if before is None or not before.conditions:
            return 0.0
        same = before.observed_generation == status.observed_generation
        if not same or before.conditions[0].reason != status.conditions[0].reason:
            return 0.0
        return max(0.0, self._written.get(model.name, 0.0) + PERCENT_SECONDS - time.monotonic())

    async def _perform(self, action: Action) -> None:
        match action:
            case CreateJob(manifest):
                await self._create_job(manifest)
            case DeleteJob(name, uid):
                await self._delete_job(name, uid)
            case ReplacePod(name, uid):
                await replace_pod(self._client, name, uid, self._namespace)
            case _:
                raise AssertionError(f"{action} is none of a model's")

    async def _create_job(self, manifest: Manifest) -> None:
        try:
            answer = await self._client.create(JOBS, self._namespace, manifest)
        except ClusterError as error:
            found = None
            if error.reason == "AlreadyExists":
                # The cache lags.
                name = manifest["metadata"]["name"]
                found = await self._client.get(JOBS, self._namespace, name)
            if found is None:
                raise
            answer = found
        self._models.jobs.wrote(answer)

    async def _delete_job(self, name: str, uid: str) -> None:
        options = {"preconditions": {"uid": uid}, "propagationPolicy": "Foreground"}
        try:
            answer = await self._client.delete(JOBS, self._namespace, name, options)
        except ClusterError as error:
            # Gone already, or another Job of that name has come: nothing is left to delete.
            if error.status not in (404, 409):
                raise
            return
        if answer.get("kind") == "Job" and version_of(answer):
            self._models.jobs.wrote(answer)

    async def _write(self, model: ObservedModel, status: VideoModelStatus) -> None:
        """The whole status, if the VideoModel is still as it was seen; 409 if it is not."""
        body = {
            "apiVersion": API_VERSION,
            "kind": MODEL_KIND,
            "metadata": {
                "name": model.name,
                "uid": model.metadata.uid,
                "resourceVersion": model.metadata.resource_version,
            },
            "status": status.document(),
        }
        answer = await self._client.replace(VIDEO_MODELS, None, f"{model.name}/status", body)
        self._written[model.name] = time.monotonic()
        self._tell(model, model_notices(model.status, status), self._clock())
        self._wrote(model.name, model.status, status)
        logger.info("VideoModel %s: %s", model.name, status.message)
        self._models.models.wrote(answer)

    def _tell(self, model: ObservedModel, notices: Sequence[Notice], now: datetime) -> None:
        for notice in notices:
            self._recorder.tell(model.metadata, notice, now, MODEL_KIND)

    async def _write_finalizer(self, model: ObservedModel, wanted: bool) -> None:
        """Add it, or take it away; 409 if the VideoModel has changed."""
        found = await self._client.get(VIDEO_MODELS, None, model.name)
        if found is None:
            raise TryAgain("it is gone, and its watch is about to say so")
        metadata = found["metadata"]
        others = [each for each in metadata.get("finalizers") or () if each != IN_USE_FINALIZER]
        body = {
            "metadata": {
                "uid": model.metadata.uid,
                "resourceVersion": metadata["resourceVersion"],
                "finalizers": [*others, IN_USE_FINALIZER] if wanted else others,
            }
        }
        answer = await self._client.patch(VIDEO_MODELS, None, model.name, body)
        self._models.models.wrote(answer)


def _told(name: str, error: Exception, delay: float) -> None:
    level = logging.DEBUG if isinstance(error, NotLeader | TryAgain) else logging.WARNING
    logger.log(level, "VideoModel %s: %s; again in %.1f s", name, error, delay)
