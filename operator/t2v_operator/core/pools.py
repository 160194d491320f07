"""Which GPU pool a video runs in, as far as memory decides it, before a GPU is taken. Pure.

Knows the model's sizes and what a pool's GPUs have; how a plan is chosen for one GPU is
`t2v_api.memory`'s. Who names a pool gets that one or none.
"""

from collections.abc import Sequence
from dataclasses import replace

from t2v_api.memory import CUDA_CONTEXT, NoPlanFits, PlanChoice, choose
from t2v_api.profile import ModelProfile
from t2v_api.quantity import bytes_of
from t2v_api.reasons import ExitCode, Reason
from t2v_api.request import GenerationRequest
from t2v_api.resource import Attempt

from t2v_operator.config import GpuPool, OperatorConfig
from t2v_operator.core.request import ResolvedJob, pools_with
from t2v_operator.errors import RequestRefused


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
    job: ResolvedJob, config: OperatorConfig, attempts: Sequence[Attempt] = ()
) -> ResolvedJob:
    """`job` in the first pool that is not known to be too small for it.

    After `attempts` that ran out of their GPU's memory: in the smallest that has more.
    Raises RequestRefused.
    """
    larger = _larger_pools(job, config, attempts)
    is_free = job.resource.spec.pool is None
    pools = larger or (_others(job, config, attempts) if is_free else (job.pool,))
    misfits: list[tuple[GpuPool, NoPlanFits]] = []
    for pool in pools:
        there = replace(job, pool=pool)
        try:
            memory_plan(there)
        except NoPlanFits as misfit:
            misfits.append((pool, misfit))
        else:
            return there
    # What is missing in the largest is what would have to be had.
    largest, why = max(misfits, key=lambda each: each[0].gpu_bytes or 0)
    text = f"pool {largest.name} has GPUs of {largest.gpu_memory}; {why}"
    raise RequestRefused(Reason.OUT_OF_MEMORY, text)


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


def _others(
    job: ResolvedJob, config: OperatorConfig, attempts: Sequence[Attempt]
) -> tuple[GpuPool, ...]:
    """All but those that ran out, unless these are all."""
    pools, small = pools_with(job.model_on_nodes, config), too_small(attempts)
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
    pools = pools_with(job.model_on_nodes, config)
    larger = [pool for pool in pools if least and known.get(pool.name, 0) > least]
    return tuple(sorted(larger, key=lambda pool: known[pool.name]))
