"""Which GPU pool a video runs in, before a GPU is taken. Pure.

Knows the model's sizes and what a pool's GPUs have; which pools are open to a video is `keys`', how
a plan is chosen for one GPU `t2v_api.memory`'s, where the wait is shortest `balancing`'s. Who names
a pool gets that one or none.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from types import MappingProxyType

from t2v_api.memory import CUDA_CONTEXT, NoPlanFits, PlanChoice, choose
from t2v_api.profile import ModelProfile
from t2v_api.quantity import bytes_of
from t2v_api.reasons import ExitCode, Reason
from t2v_api.request import GenerationRequest
from t2v_api.resource import Attempt

from t2v_operator.config import GpuPool, OperatorConfig
from t2v_operator.core.balancing import Load, shortest_wait
from t2v_operator.core.request import ResolvedJob, usable_pools
from t2v_operator.errors import RequestRefused

NO_LOAD: Load = MappingProxyType({})
Misfits = list[tuple[GpuPool, NoPlanFits]]


def memory_plan(job: ResolvedJob) -> PlanChoice | None:
    """How the job is expected to run in its pool; None where too little is known to say.

    Raises NoPlanFits. Several GPUs share the activations, which the formula does not know.
    """
    profile, pool = job.profile, job.pool
    if profile.resources.gpus != 1 or profile.sizes is None or pool.gpu_bytes is None:
        return None
    return plan_for(profile, job.request, pool.gpu_bytes)


def plan_for(profile: ModelProfile, request: GenerationRequest, gpu_bytes: int) -> PlanChoice:
    """How a model whose sizes are known runs on one GPU of its own. Raises NoPlanFits."""
    assert profile.sizes
    return choose(
        profile.sizes,
        request,
        gpu_bytes - CUDA_CONTEXT,
        bytes_of(profile.resources.memory),
        profile.plans,
        profile.grid,
    )


def placed(
    job: ResolvedJob,
    config: OperatorConfig,
    attempts: Sequence[Attempt] = (),
    load: Load = NO_LOAD,
    decided: str | None = None,
) -> ResolvedJob:
    """`job` in the first open pool that is not known to be too small for it.

    With `loadBalancer`: in that of them with the shortest wait under `load`, or in the one that was
    `decided` before. After `attempts` that ran out of their GPU's memory: in the smallest that has
    more. Raises RequestRefused.
    """
    larger = _larger_pools(job, config, attempts)
    is_named = job.resource.spec.pool is not None
    pools = larger or ((job.pool,) if is_named else _others(job, config, attempts))
    misfits: Misfits = []
    fitting = _fitting(job, pools, misfits)
    if job.resource.spec.load_balancer and not larger:
        if found := tuple(fitting):
            return _balanced(job, found, load, decided)
    elif first := next(fitting, None):
        return replace(job, pool=first)
    # What is missing in the largest is what would have to be had.
    largest, why = max(misfits, key=lambda each: each[0].gpu_bytes or 0)
    text = f"pool {largest.name} has GPUs of {largest.gpu_memory}; {why}"
    raise RequestRefused(Reason.OUT_OF_MEMORY, text)


def _fitting(job: ResolvedJob, pools: Sequence[GpuPool], misfits: Misfits) -> Iterator[GpuPool]:
    """Those that are not known to be too small; the others become `misfits`."""
    for pool in pools:
        try:
            memory_plan(replace(job, pool=pool))
        except NoPlanFits as misfit:
            misfits.append((pool, misfit))
        else:
            yield pool


def _balanced(
    job: ResolvedJob, fitting: Sequence[GpuPool], load: Load, decided: str | None
) -> ResolvedJob:
    """In one of the pools that hold it, and whether there was anything to choose from."""
    gpus = job.profile.resources.gpus
    pools = [pool for pool in fitting if (pool.gpus or gpus) >= gpus] or list(fitting)
    if notice := _nothing_to_balance(job, pools):
        return replace(job, pool=pools[0], notices=(*job.notices, notice))
    before = next((pool for pool in pools if pool.name == decided), None)
    return replace(job, pool=before or shortest_wait(pools, load))


def _nothing_to_balance(job: ResolvedJob, pools: Sequence[GpuPool]) -> str:
    """Why loadBalancer has no effect; empty where it has."""
    if job.resource.spec.pool is not None:
        return f"loadBalancer has no effect: pool {job.resource.spec.pool} is asked for"
    if not job.profile.resources.gpus:
        return f"loadBalancer has no effect: model {job.profile.id} needs no GPU"
    if len(pools) == 1:
        return f"loadBalancer has nothing to balance: {pools[0].name} is the only pool for this"
    return ""


def larger_pool(
    job: ResolvedJob, config: OperatorConfig, attempts: Sequence[Attempt]
) -> GpuPool | None:
    """Where a video goes that ran out of its GPU's memory; None where it has to end.

    It goes on at most `backoffLimit` times, and nowhere where the resource says where it runs.
    """
    spec = job.resource.spec
    moves = len(too_small(attempts))
    if moves > spec.backoff_limit or spec.queue_name or not _larger_pools(job, config, attempts):
        return None
    try:
        return placed(job, config, attempts).pool
    except RequestRefused:
        return None


def _usable(job: ResolvedJob, config: OperatorConfig) -> tuple[GpuPool, ...]:
    return usable_pools(job.resource, job.key, job.model_on_nodes, config)


def _others(
    job: ResolvedJob, config: OperatorConfig, attempts: Sequence[Attempt]
) -> tuple[GpuPool, ...]:
    """All that may be used but those that ran out, unless these are all."""
    pools, small = _usable(job, config), too_small(attempts)
    return tuple(pool for pool in pools if pool.name not in small) or pools


def too_small(attempts: Sequence[Attempt]) -> set[str | None]:
    """The pools that runs ran out of memory in; None for a run that does not say where it was."""
    return {each.pool for each in attempts if ran_out(each)}


def ran_out(attempt: Attempt) -> bool:
    """Whether the runner itself said that the GPU's memory does not do."""
    return attempt.reason is Reason.OUT_OF_MEMORY and attempt.exit_code == ExitCode.OUT_OF_MEMORY


def _larger_pools(
    job: ResolvedJob, config: OperatorConfig, attempts: Sequence[Attempt]
) -> tuple[GpuPool, ...]:
    """Those with more than any pool that ran out, the smallest first; none where nothing did."""
    if job.resource.spec.pool is not None or not job.profile.resources.gpus:
        return ()
    known = {pool.name: pool.gpu_bytes for pool in config.pools if pool.gpu_bytes}
    least = max((known.get(name or "", 0) for name in too_small(attempts)), default=0)
    pools = _usable(job, config)
    larger = [pool for pool in pools if least and known.get(pool.name, 0) > least]
    return tuple(sorted(larger, key=lambda pool: known[pool.name]))
