"""One look at one resource: observe, decide, apply, write the status once, tell.

Whatever triggers it, it starts from what the cache knows; what cannot be undone is decided again on
what the API server itself says. Run twice, it does nothing the second time.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

from t2v_api.resource import Phase, TextToVideoJobStatus

from t2v_operator.cluster.cache import Cache
from t2v_operator.cluster.effects import Effects
from t2v_operator.cluster.enhancing import Enhancing
from t2v_operator.cluster.errors import ActionRefused, ClusterError, JobExists, TryAgain
from t2v_operator.cluster.log_fields import about
from t2v_operator.cluster.pace import Pace
from t2v_operator.cluster.recorder import Recorder
from t2v_operator.cluster.resource_keys import ResourceKeys
from t2v_operator.cluster.reuse import Reuse
from t2v_operator.cluster.store import Key
from t2v_operator.config import OperatorConfig
from t2v_operator.core.allowance import Allowance
from t2v_operator.core.decide import decide, refused
from t2v_operator.core.decision import CreateJob, Decision
from t2v_operator.core.events import notices
from t2v_operator.core.keys import KeyProblem
from t2v_operator.core.names import QUEUE_PRIORITY_LABEL
from t2v_operator.core.observed import Observed, ObservedResource, Settled, object_to_ask_about
from t2v_operator.core.record import record_to_leave
from t2v_operator.core.status import reason_of
from t2v_operator.core.throttle import QUEUED_SECONDS, must_be_written, patience_seconds

STATUSES_PER_SECOND, STATUSES_BURST = 20.0, 50.0
"""Of what waits or runs."""
QUESTIONS_PER_SECOND, QUESTIONS_BURST = 1.0, 20.0
"""About the cluster's Events: the API server reads all of a namespace's for each."""
RECORDS_PER_SECOND, RECORDS_BURST = 10.0, 25.0
"""Of what has ended; until then the Job tells the same."""

logger = logging.getLogger("t2v_operator")


class Reconciler:
    """Brings resources on, one look at a time."""

    def __init__(
        self,
        cache: Cache,
        effects: Effects,
        recorder: Recorder,
        reuse: Reuse,
        enhancing: Enhancing,
        config: OperatorConfig,
        clock: Callable[[], datetime],
        is_current: Callable[[str], bool],
        wrote: Callable[[ObservedResource, TextToVideoJobStatus], None],
        keys: ResourceKeys | None = None,
    ) -> None:
        """`is_current` says whether the cache of a namespace is as new as our right to write.

        `wrote` hears of each status that was written, with the resource as it was before. `keys`
        is None where no API keys are used.
        """
        self._cache = cache
        self._effects = effects
        self._recorder = recorder
        self._reuse = reuse
        self._enhancing = enhancing
        self._config = config
        self._clock = clock
        self._is_current = is_current
        self._wrote = wrote
        self._keys = keys
        self._since: dict[Key, tuple[Phase, float, float | None]] = {}
        """The phase seen last; since when, or since when it is written; since when it is not."""
        self._pace = Pace(STATUSES_PER_SECOND, STATUSES_BURST)
        self._questions = Allowance(QUESTIONS_PER_SECOND, QUESTIONS_BURST)
        self._answers: dict[Key, tuple[str, str]] = {}
        """What was asked about last, and the answer."""
        self._record_pace = Pace(RECORDS_PER_SECOND, RECORDS_BURST)

    async def reconcile(self, key: Key) -> float | None:
        """Bring one resource a step further. Returns the seconds until it is due again.

        Raises TryAgain where it is worth another look, later and later.
        """
        try:
            return await self._reconcile(key)
        except ClusterError as error:
            if error.status == 409:
                raise TryAgain("something changed meanwhile") from error
            raise

    async def _reconcile(self, key: Key) -> float | None:
        resource = self._cache.resources.get(key)
        if resource is None:
            self._forget(key)
            return None
        if isinstance(resource, Settled):
            self._forget(key)
            left = self._seconds_to_removal(key, resource)
            if left is None or left > 0:
                return left
            return await self._act_on_live(key)
        observed = await self._with_key(self._cache.observe(key, resource, self._clock()))
        observed = await self._with_answers(observed)
        decision = decide(observed, self._config)
        begins = decision.makes_a_job or decision.question
        outdated = begins and not self._is_current(key[0])
        if decision.must_be_confirmed or outdated:
            return await self._act_on_live(key)
        return await self._act(key, observed, decision)

    async def _act_on_live(self, key: Key) -> float | None:
        """Decide on what the API server itself says, and act."""
        observed = await self._observe_live(key)
        if observed is None:
            return None
        return await self._act(key, observed, decide(observed, self._config))

    async def _act(self, key: Key, observed: Observed, decision: Decision) -> float | None:
        if decision.question and (answer := self._enhancing.answer(key, decision.question)):
            observed = replace(observed, answer=answer)
            decision = decide(observed, self._config)
        if not decision.makes_a_job:
            return await self._take_place(key, observed, decision)
        async with self._reuse.looked_up(key, observed, decision) as found:
            if found is not observed:
                decision = decide(found, self._config)
            return await self._take_place(key, found, decision)

    async def _take_place(self, key: Key, observed: Observed, decision: Decision) -> float | None:
        """Carry it out. Whoever looks meanwhile counts its work already, and it counts theirs."""
        spec = observed.resource.spec
        if decision.work and spec and spec.load_balancer:
            # Between this and the promise below nobody else decides.
            load = self._cache.tally.load(observed.now, but=key)
            observed = replace(observed, load=load)
            decision = decide(observed, self._config)
        with self._promised(key, observed, decision):
            return await self._carry_out(key, observed, decision)

    @contextmanager
    def _promised(self, key: Key, observed: Observed, decision: Decision) -> Iterator[None]:
        """A Job that is made is in the cache at the end; one that moves comes with a later look."""
        tally = self._cache.tally
        if decision.work is None:
            if observed.job is None:
                tally.withdraw(key)
            yield
            return
        tally.promise(key, decision.work)
        try:
            yield
        except BaseException:
            tally.withdraw(key)
            raise
        if decision.makes_a_job:
            tally.withdraw(key)

    async def _carry_out(self, key: Key, observed: Observed, decision: Decision) -> float | None:
        resource, status = observed.resource, observed.resource.status
        removes = resource.is_finished and decision.actions
        if removes and status and (record := record_to_leave(resource, status)):
            # What tells the same as the Job comes before its removal.
            await self._effects.leave_record(resource, record)
            return 0.0
        if decision.removes_a_job and decision.status and decision.status != status:
            # Said first: a removal that nobody wrote down looks like somebody else's.
            written = await self._write(key, resource, decision)
            if written is None:
                return None
            said = replace(decision, actions=())
            self._tell(resource, said, status, decision.status, observed.now)
            observed = replace(observed, resource=written)
        decision, failure = await self._apply(observed, decision)
        again = await self._say(key, observed.resource, decision, observed.now)
        if failure:
            raise TryAgain(failure)
        return again

    async def _apply(self, observed: Observed, decision: Decision) -> tuple[Decision, str]:
        """Perform the actions. Where one is refused, the decision is another, with the words."""
        for action in decision.actions:
            if isinstance(action, CreateJob) and not await self._may_queue(action):
                observed = replace(observed, queue_priority_is_known=False)
                return decide(observed, self._config), ""
            try:
                await self._effects.perform(action, observed.resource.metadata.namespace)
            except ActionRefused as error:
                return refused(observed, decision, error.refusal, self._config), str(error)
            except JobExists as error:
                # What else is to be done with it, the next look does.
                seen = replace(observed, job=error.job)
                return replace(decide(seen, self._config), actions=()), ""
        return decision, ""

    async def _say(
        self, key: Key, resource: ObservedResource, decision: Decision, now: datetime
    ) -> float | None:
        """Write the status, unless it may wait for more news; then the record; tell what is new."""
        status, before, again = decision.status, resource.status, decision.again_seconds
        is_news = status is not None and status != before
        if status is not None and is_news:
            if left := self._patience_left(key, before, status):
                self._tell(resource, decision, before, before, now)
                return left if again is None else min(left, again)
            written = await self._write(key, resource, decision)
            if written is None:
                return None
            resource = written
        self._tell(resource, decision, before, status, now)
        if status is not None and (record := record_to_leave(resource, status)):
            # The Job tells as much as long as it is there, and it is not removed before.
            self._pace.forget(key)
            if left := self._record_pace.wait_seconds(key):
                # Where its Job still goes it gives its GPU back first: the next look sees to that.
                return left if again is None else min(left, again)
            await self._effects.leave_record(resource, record)
            self._cache.forget_progress(key)
            # Settled now; what is left is the Job's removal.
            settled = self._cache.resources.get(key)
            if isinstance(settled, Settled):
                return self._seconds_to_removal(key, settled)
        return again

    async def _write(
        self, key: Key, resource: ObservedResource, decision: Decision
    ) -> ObservedResource | None:
        """Write the decision's status. Returns the resource with it; None when it is gone."""
        assert decision.status
        written = await self._effects.write_status(resource, decision.status)
        self._since[key] = decision.status.phase, time.monotonic(), None
        if written is not None:
            _log(resource, written.status or decision.status, decision)
            self._wrote(resource, decision.status)
        return written

    def _tell(
        self,
        resource: ObservedResource,
        decision: Decision,
        before: TextToVideoJobStatus | None,
        after: TextToVideoJobStatus | None,
        now: datetime,
    ) -> None:
        for notice in notices(before, after, decision.actions):
            self._recorder.tell(resource.metadata, notice, now)

    def _patience_left(
        self, key: Key, before: TextToVideoJobStatus | None, after: TextToVideoJobStatus
    ) -> float:
        """Seconds for which the status may wait for more news.

        A new phase waits from now on, but what nobody was told yet, no longer than what is queued.
        """
        patience = patience_seconds(before, after)
        now = time.monotonic()
        phase, since, untold = self._since.get(key, (None, now, None))
        since = since if phase is after.phase else now
        untold = now if untold is None else untold
        self._since[key] = after.phase, since, untold
        until = since + patience
        if patience <= QUEUED_SECONDS:
            until = min(until, untold + QUEUED_SECONDS)
        left = max(0.0, until - now)
        if left or must_be_written(before, after):
            return left
        return self._pace.wait_seconds(key)

    async def _observe_live(self, key: Key) -> Observed | None:
        """What the API server itself says of the resource and its children, as of now."""
        namespace, name = key
        resource = await self._effects.resource(namespace, name)
        if resource is None:
            return None
        observed = self._cache.observe(key, resource, self._clock())
        if resource.is_finished and (observed.job is None or observed.job.is_finished):
            return observed
        observed = await self._with_its_model(observed)
        jobs = await self._effects.jobs(namespace, name)
        job = next((each for each in jobs if each.name == resource.job_name), None)
        earlier = tuple(
            each for each in jobs if each is not job and each.owner_uid == resource.metadata.uid
        )
        observed = replace(observed, earlier_jobs=earlier)
        pods = await self._effects.pods(namespace, job) if job else ()
        if job:
            pods = self._cache.with_gone_pods(namespace, job, pods)
        observed = await self._with_key(replace(observed, job=job, pods=pods), now=True)
        if job and isinstance(observed.key, KeyProblem) and not observed.key.is_answered:
            # Without its key the Job would seem to have no right to the pools that the key opens.
            raise TryAgain(observed.key.message)
        return await self._with_answers(observed)

    async def _with_key(self, observed: Observed, now: bool = False) -> Observed:
        """With the API key that the resource has, or why it has not the one that it names."""
        if self._keys is None:
            return observed
        return replace(observed, key=await self._keys.of(observed, now))

    async def _with_its_model(self, observed: Observed) -> Observed:
        """With the VideoModel that it names, where the cache has not seen any of that name."""
        spec, known = observed.resource.spec, observed.models
        if not self._config.video_models or spec is None or spec.model_id in known:
            return observed
        if spec.model_id in self._config.catalogue:
            return observed
        model = await self._effects.model(spec.model_id)
        return replace(observed, models={**known, model.name: model}) if model else observed

    async def _with_answers(self, observed: Observed) -> Observed:
        """With what the cluster's Events say, where nothing else tells why it does not go on."""
        uid, metadata = object_to_ask_about(observed), observed.resource.metadata
        if uid is None:
            return observed
        key = (metadata.namespace, metadata.name)
        asked, answer = self._answers.get(key, ("", ""))
        if self._questions.take(time.monotonic()):
            asked, answer = uid, await self._effects.complaint(metadata.namespace, uid)
            self._answers[key] = asked, answer
        return replace(observed, complaint=answer if asked == uid else "")

    async def _may_queue(self, action: CreateJob) -> bool:
        """Whether the priority that the Job is to have in its queue is there."""
        priority = action.manifest["metadata"]["labels"].get(QUEUE_PRIORITY_LABEL)
        return priority is None or await self._effects.has_queue_priority(priority)

    def _seconds_to_removal(self, key: Key, resource: Settled) -> float | None:
        """Until the Job of a finished resource is to be removed; None where there is none."""
        jobs = [
            job
            for job in self._cache.jobs_of(key)
            if job.owner_uid == resource.uid and not job.is_being_deleted
        ]
        if not jobs:
            return None
        if any(job.name != resource.job_name or not job.is_finished for job in jobs):
            return 0.0
        own = resource.ttl_seconds
        ttl = self._config.jobs.ttl_seconds_after_finished if own is None else own
        if ttl is None or resource.completed is None:
            return None
        return max(0.0, ttl - (self._clock() - resource.completed).total_seconds())

    def _forget(self, key: Key) -> None:
        self._since.pop(key, None)
        self._pace.forget(key)
        self._record_pace.forget(key)
        self._answers.pop(key, None)
        self._cache.forget_progress(key)
        self._cache.tally.withdraw(key)


def _log(resource: ObservedResource, status: TextToVideoJobStatus, decision: Decision) -> None:
    """A line for each decision that said something new. Never a prompt."""
    before = resource.status
    same = before and (before.phase, before.message) == (status.phase, status.message)
    key = (resource.metadata.namespace, resource.metadata.name)
    fields = {
        **about(key, status),
        "phase": str(status.phase),
        "reason": reason_of(status),
        "actions": [type(action).__name__ for action in decision.actions],
    }
    logger.log(
        logging.DEBUG if same else logging.INFO,
        "%s/%s %s %s: %s",
        *key,
        status.phase,
        reason_of(status),
        status.message,
        extra=fields,
    )
