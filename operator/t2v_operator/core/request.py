"""Resolve a resource: every value that the user left open is decided here. No I/O, no clock."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from t2v_api.api_key import ApiKey
from t2v_api.base import nearest
from t2v_api.lora import AppliedLora
from t2v_api.profile import ModelProfile
from t2v_api.ranges import MAX_SEED
from t2v_api.reasons import Reason
from t2v_api.request import GenerationRequest
from t2v_api.resource import SchedulerPolicy, TextToVideoJob, TextToVideoJobSpec
from t2v_api.schedulers import Scheduler, Support, least_steps, usable, verdict
from t2v_api.speed import Speed, problem_with, steps_left
from t2v_api.start import Start

from t2v_operator.config import GpuPool, OperatorConfig
from t2v_operator.core.beginning import Beginning, begin
from t2v_operator.core.catalogue import Catalogue, CatalogueModel, OnNodes
from t2v_operator.core.enhance import Enhanced, enhance
from t2v_operator.core.enhancing import Answer, Question
from t2v_operator.core.keys import NO_EFFECT, closed, open_pools
from t2v_operator.core.loras import applied
from t2v_operator.core.model_volumes import tag_warnings
from t2v_operator.errors import RequestRefused


@dataclass(frozen=True)
class ResolvedJob:
    """What will run, and where."""

    resource: TextToVideoJob
    request: GenerationRequest
    profile: ModelProfile
    pool: GpuPool
    key: ApiKey | None = None
    """What opens pools to it; None: those that need no key are open."""
    notices: tuple[str, ...] = ()
    """What is done otherwise than asked for, a sentence each, for the user to read."""
    model_is_prefetched: bool = False
    """Whether the model's files are in the model cache: the Job fetches none."""
    model_on_nodes: OnNodes | None = None
    """Where the model is, where single nodes have it."""
    question: Question | None = None
    """What a language model is to be asked before this is made; Rules made this prompt."""


@dataclass(frozen=True)
class _Sampling:
    """The scheduler that really runs, in how many steps, and what the user must know of it."""

    scheduler: Scheduler
    steps: int
    notices: tuple[str, ...]


def resolve(
    resource: TextToVideoJob,
    config: OperatorConfig,
    answer: Answer | None = None,
    catalogue: Catalogue | None = None,
    key: ApiKey | None = None,
) -> ResolvedJob:
    """Decide every value of the request. Raises RequestRefused.

    `answer`: to the question that the job has without it. `catalogue`: with VideoModels; without it
    the configuration's models alone are known. `key`: the one that the resource has.
    """
    spec = resource.spec
    model = _model(spec.model_id, catalogue or Catalogue(config))
    profile = model.profile
    beginning = begin(spec, profile)
    sampling = _sampling(spec, profile, beginning.start)
    speed, unmet = _speed(
        spec.speed or Speed.EXACT, profile, steps_left(sampling.steps, beginning.strength)
    )
    enhanced = enhance(spec, profile, beginning.start, config.prompt_enhancement, answer)
    loras = applied(spec.loras, profile, config.loras)
    request = _request(resource, profile, beginning, sampling, enhanced, speed, loras)
    _keep_limits(request, profile)
    pool = _pool(resource, key, model.on_nodes, config)
    notices = (
        *enhanced.notices,
        *beginning.notices,
        *sampling.notices,
        *unmet,
        *_unused(request, profile),
        *((NO_EFFECT,) if spec.key_secret_ref and not config.api_keys.enabled else ()),
        *tag_warnings(profile),
    )
    return ResolvedJob(
        resource,
        request,
        profile,
        pool,
        key,
        notices,
        model_is_prefetched=model.is_prefetched,
        model_on_nodes=model.on_nodes,
        question=enhanced.question,
    )


def _request(
    resource: TextToVideoJob,
    profile: ModelProfile,
    beginning: Beginning,
    sampling: _Sampling,
    enhanced: Enhanced,
    speed: Speed,
    loras: tuple[AppliedLora, ...],
) -> GenerationRequest:
    spec, defaults = resource.spec, profile.defaults
    return GenerationRequest(
        model_id=profile.id,
        prompt=enhanced.prompt,
        negative_prompt=spec.negative_prompt,
        width=spec.width or defaults.width,
        height=spec.height or defaults.height,
        num_frames=spec.num_frames or defaults.num_frames,
        fps=spec.fps or defaults.fps,
        scheduler=sampling.scheduler,
        num_inference_steps=sampling.steps,
        guidance_scale=spec.guidance_scale or defaults.guidance_scale,
        guidance_scale_2=None if spec.guidance_scale else defaults.guidance_scale_2,
        seed=_drawn_seed(resource) if spec.seed is None else spec.seed,
        init_image=spec.init_image,
        end_image=spec.end_image,
        init_video=spec.init_video,
        strength=beginning.strength,
        speed=speed,
        loras=loras,
    )


def _model(model_id: str, catalogue: Catalogue) -> CatalogueModel:
    model = catalogue.find(model_id)
    if model is None:
        names = catalogue.names
        raise RequestRefused(
            Reason.MODEL_NOT_FOUND,
            f"modelId {model_id!r} is not in the model catalogue"
            f"{nearest(model_id, names).split('; known')[0]} (known: {', '.join(names)})",
        )
    return model


def usable_pools(
    resource: TextToVideoJob, key: ApiKey | None, nodes: OnNodes | None, config: OperatorConfig
) -> tuple[GpuPool, ...]:
    """The pools that are open to the resource and have its model, the preferred first.

    Raises RequestRefused where that leaves none.
    """
    pools = open_pools(resource, key, config)
    known = [pool.name for pool in config.pools if nodes and pool.name in nodes.pools]
    if not known:
        return pools
    having = tuple(pool for pool in pools if pool.name in known)
    if not having:
        why = closed(known[0], key)
        text = f"the model is fetched onto the nodes of {', '.join(known)} alone; {why.message}"
        raise RequestRefused(why.reason, text)
    return having


def _pool(
    resource: TextToVideoJob, key: ApiKey | None, nodes: OnNodes | None, config: OperatorConfig
) -> GpuPool:
    """The pool that the resource names, or the first that is open to it and has its model."""
    name, known = resource.spec.pool, [pool.name for pool in config.pools]
    if name in known and name not in [pool.name for pool in open_pools(resource, key, config)]:
        raise closed(name, key)
    having = usable_pools(resource, key, nodes, config)
    if name is None:
        return having[0]
    for pool in having:
        if pool.name == name:
            return pool
    if name not in known:
        raise RequestRefused(
            Reason.INVALID_REQUEST, f"pool {name!r} is not configured{nearest(name, known)}"
        )
    there = ", ".join(pool.name for pool in having)
    raise RequestRefused(
        Reason.INVALID_REQUEST,
        f"pool is {name!r}; the model is fetched onto the nodes of {there} alone: choose one of "
        "them, or add it to the VideoModel's prefetch.pools",
    )


def _sampling(spec: TextToVideoJobSpec, profile: ModelProfile, start: Start) -> _Sampling:
    """Nearest replaces what cannot be used and raises too few steps; Strict refuses both."""
    scheduler, replaced = _scheduler(spec, profile, start)
    steps, raised = _steps(spec, profile, scheduler)
    return _Sampling(scheduler, steps, tuple(filter(None, (replaced, raised))))


def _scheduler(
    spec: TextToVideoJobSpec, profile: ModelProfile, start: Start
) -> tuple[Scheduler, str]:
    wanted = spec.scheduler or profile.defaults.scheduler
    decision = verdict(profile.family, wanted, start)
    model = f"model {profile.id} ({profile.family})"
    if decision.support is Support.EXPERIMENTAL:
        return wanted, f"{wanted.value} is experimental with {model}"
    if decision.support is not Support.REPLACED:
        return wanted, ""
    problem = f"scheduler {wanted.value} cannot be used with {model} from {start.source}"
    if spec.scheduler_policy is SchedulerPolicy.STRICT:
        names = ", ".join(usable(profile.family, start))
        raise RequestRefused(
            Reason.SCHEDULER_NOT_SUPPORTED,
            f"{problem}; choose one of {names}, or schedulerPolicy Nearest",
        )
    return decision.scheduler, f"{problem}; {decision.scheduler.value} is used instead"


def _steps(
    spec: TextToVideoJobSpec, profile: ModelProfile, scheduler: Scheduler
) -> tuple[int, str]:
    wanted = spec.num_inference_steps or profile.defaults.num_inference_steps
    least = least_steps(profile.family, scheduler)
    if wanted >= least:
        return wanted, ""
    problem = (
        f"numInferenceSteps is {wanted}; {scheduler.value} with model {profile.id} "
        f"({profile.family}) needs at least {least}"
    )
    if spec.scheduler_policy is SchedulerPolicy.STRICT:
        raise RequestRefused(Reason.INVALID_REQUEST, f"{problem}, or schedulerPolicy Nearest")
    return least, f"{problem}, which is used"


def _speed(wanted: Speed, profile: ModelProfile, steps: int) -> tuple[Speed, tuple[str, ...]]:
    """Where it would have no effect the request is an exact one: it may be in the store already."""
    problem = problem_with(wanted, profile.family, steps)
    if wanted is not Speed.EXACT and profile.resources.gpus > 1:
        # Each would decide by its own part of the video, and wait for the others for ever.
        problem = f"speed {wanted} has no effect on several GPUs: the video is drawn exactly"
    return (Speed.EXACT, (problem,)) if problem else (wanted, ())


def _unused(request: GenerationRequest, profile: ModelProfile) -> Iterator[str]:
    """What is asked for and changes no picture; how long a prompt is, the runner says."""
    if request.negative_prompt and request.guidance_scale == 1:
        yield "negativePrompt has no effect with guidanceScale 1"
    # An init video is read at that rate.
    matters = profile.family.traits.takes_fps or request.init_video is not None
    if request.fps != profile.defaults.fps and not matters:
        yield (
            f"fps is {request.fps}; {profile.family} models draw the same frames for every fps, "
            f"only played faster or slower (this model's own is {profile.defaults.fps})"
        )


def _drawn_seed(resource: TextToVideoJob) -> int:
    """A seed for `seed: null`: one for each resource and request, the same after a restart."""
    drawn = hashlib.sha256(f"{resource.metadata.uid}/{resource.spec.request_hash}".encode())
    return int.from_bytes(drawn.digest()[:8]) & MAX_SEED


def _keep_limits(request: GenerationRequest, profile: ModelProfile) -> None:
    limits, steps = profile.limits, request.num_inference_steps
    for name, value, does, largest in (
        ("width", request.width, "draws", limits.max_width),
        ("height", request.height, "draws", limits.max_height),
        ("numFrames", request.num_frames, "draws", limits.max_frames),
        ("numInferenceSteps", steps, "takes", limits.max_inference_steps),
    ):
        if value > largest:
            text = f"{name} is {value}; this model {does} at most {largest}"
            raise RequestRefused(Reason.INVALID_REQUEST, text)
    for problem in profile.grid.problems(
        width=request.width, height=request.height, numFrames=request.num_frames
    ):
        raise RequestRefused(Reason.INVALID_REQUEST, problem)
