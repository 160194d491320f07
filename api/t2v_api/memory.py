"""Choose how a model and a request are placed on a GPU, before anything is loaded. Pure arithmetic.

Knows sizes and the device's free memory; knows no torch. What a plan does is the runner's.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from t2v_api.activations import DECODERS, DENOISERS
from t2v_api.encoding import ENCODERS
from t2v_api.execution import Placement, Plan
from t2v_api.grid import Grid
from t2v_api.request import GenerationRequest
from t2v_api.sizes import ComponentSize, ModelSizes, Role
from t2v_api.start import Start

GIB = 1024**3
ENCODING = GIB
"""Bytes that encoding a prompt needs beside weights: it has at most some 1,100 tokens."""
CONVOLUTIONS = 1.25
"""What decoding takes of a GPU for what is alive: convolutions need room to work. From a published
measurement: CogVideoX (2b, it seems) takes 19 GB with model offload, where 15 GiB are alive."""
LOST = 0.04
"""Part of a GPU's free memory that the allocator loses between blocks."""
CUDA_CONTEXT = GIB // 2
"""Bytes that CUDA itself takes of a GPU; not of the free memory that a process with CUDA reads."""
GPUS_GIB = (8, 12, 16, 24, 32, 40, 48, 80, 96, 141, 180)
"""Sizes that GPUs have."""


@dataclass(frozen=True)
class Peak:
    """The most bytes on the GPU in each part of the way, and in the host's memory."""

    encoding: int
    denoising: int
    decoding: int
    host: int

    @property
    def gpu(self) -> int:
        """The most of all."""
        return max(self.encoding, self.denoising, self.decoding)


@dataclass(frozen=True)
class PlanChoice:
    """The plan to run, and where to go when it runs out of memory all the same."""

    plan: Plan
    peak: Peak
    rest: tuple[Plan, ...]
    """In order; each is expected to need less than the one before it."""


class NoPlanFits(ValueError):
    """No allowed plan fits; the message says what is missing and what would fit."""


def choose(
    sizes: ModelSizes,
    request: GenerationRequest,
    free_bytes: int,
    host_bytes: int,
    allowed: Sequence[Plan],
    grid: Grid,
) -> PlanChoice:
    """The first of `allowed` that fits `free_bytes` of the GPU and `host_bytes` of the host.

    `grid` says which other requests the message may propose. Raises NoPlanFits.
    """
    peaks = [(plan, expected_peak(sizes, request, plan)) for plan in allowed]
    usable = usable_bytes(free_bytes)
    for index, (plan, peak) in enumerate(peaks):
        if peak.gpu <= usable and peak.host <= host_bytes:
            later = [each for each in peaks[index + 1 :] if each[1].host <= host_bytes]
            return PlanChoice(plan, peak, tuple(_descending(peak, later)))
    raise NoPlanFits(_what_is_missing(sizes, request, usable, host_bytes, peaks, grid))


def usable_bytes(free_bytes: int) -> int:
    """What of a GPU's free memory tensors can have."""
    return int(free_bytes * (1 - LOST))


def expected_peak(sizes: ModelSizes, request: GenerationRequest, plan: Plan) -> Peak:
    """What `plan` needs for `request`."""
    encoders, others = sizes.of(Role.TEXT_ENCODER), sizes.of(Role.OTHER)
    decoders, loaded = sizes.of(Role.DECODER), sizes.of(Role.DENOISER)
    # What becomes 8 bits does so in the host's memory.
    denoisers = [each.in_fp8() for each in loaded] if plan.fp8 else loaded
    media = init_media_bytes(sizes, request, plan.tiling)
    encoding = max(ENCODING, media)  # the prompt and the init media come one after the other
    denoising = denoising_bytes(sizes, request)
    decoding = decoding_bytes(sizes, request, plan.tiling)
    vae = _weights(decoders)
    encoding_vae = _widened(vae, sizes) if media else vae
    match plan.placement:
        case Placement.ALL_ON_GPU:
            held = _weights(encoders + denoisers + others)
            return Peak(
                held + encoding_vae + encoding,
                held + encoding_vae + denoising,
                held + vae + decoding,
                host=_weights(encoders + loaded + decoders + others) if plan.fp8 else 0,
            )
        case Placement.ENCODER_FIRST:
            held = _weights(denoisers + others)
            return Peak(
                _weights(encoders + others) + encoding_vae + encoding,
                held + encoding_vae + denoising,
                held + vae + decoding,
                host=_largest(loaded) if plan.fp8 else 0,
            )
        case Placement.MODEL_OFFLOAD:
            # A model leaves when the one after it in the pipeline's order comes, the VAE being the
            # last; text encoders leave together.
            early = encoding_vae if media else 0
            return Peak(
                max(_weights(encoders), _largest(others)) + early + encoding,
                _largest(denoisers) + early + denoising,
                vae + decoding,
                host=_weights(encoders + loaded + decoders + others),
            )
        case Placement.GROUP_OFFLOAD:
            held = _weights(others)
            return Peak(
                held + encoding_vae + _most_streamed(encoders) + encoding,
                held + encoding_vae + _most_streamed(denoisers) + denoising,
                held + vae + decoding,
                host=_weights(encoders + denoisers),
            )


def init_media_bytes(sizes: ModelSizes, request: GenerationRequest, is_tiled: bool) -> int:
    """Activations of encoding what the request starts from, with the convolutions' room to work."""
    shape = sizes.encoder
    if shape is None or request.start is Start.TEXT:
        return 0
    law = ENCODERS[shape.kind]
    is_video = request.start is Start.VIDEO or law.fills_up
    alive = law.bytes_for(
        request.width,
        request.height,
        request.num_frames if is_video else 1,
        shape.channels,
        shape.number_bytes,
        is_tiled,
    )
    return int(alive * CONVOLUTIONS)


def denoising_bytes(sizes: ModelSizes, request: GenerationRequest) -> int:
    """Activations of one call of the denoiser."""
    shape = sizes.denoiser
    tokens = shape.tokens(request.width, request.height, request.num_frames)
    return DENOISERS[shape.kind].bytes_for(
        tokens, shape.hidden, shape.feed_forward, request.guidance_scale > 1
    )


def decoding_bytes(sizes: ModelSizes, request: GenerationRequest, is_tiled: bool) -> int:
    """Activations of decoding, with the video and the convolutions' room to work."""
    shape = sizes.decoder
    alive = DECODERS[shape.kind].bytes_for(
        request.width,
        request.height,
        request.num_frames,
        shape.channels,
        shape.number_bytes,
        is_tiled,
    )
    return int(alive * CONVOLUTIONS)


def in_gib(count: int) -> str:
    """Bytes for people."""
    return f"{count / GIB:.1f} GiB" if count >= GIB / 10 else f"{count / 1024**2:.0f} MiB"


def _weights(components: Sequence[ComponentSize]) -> int:
    return sum(each.weights for each in components)


def _widened(vae: int, sizes: ModelSizes) -> int:
    """Bytes of the VAE's weights in the format that it encodes in."""
    assert sizes.encoder
    return vae * sizes.encoder.number_bytes // sizes.decoder.number_bytes


def _most_streamed(components: Sequence[ComponentSize]) -> int:
    return max((each.streamed for each in components), default=0)


def _largest(components: Sequence[ComponentSize]) -> int:
    return max((each.weights for each in components), default=0)


def _descending(start: Peak, later: Sequence[tuple[Plan, Peak]]) -> Iterator[Plan]:
    lowest = start.gpu
    for plan, peak in later:
        if peak.gpu < lowest:
            lowest = peak.gpu
            yield plan


def _what_is_missing(
    sizes: ModelSizes,
    request: GenerationRequest,
    usable: int,
    host_bytes: int,
    peaks: Sequence[tuple[Plan, Peak]],
    grid: Grid,
) -> str:
    plan, peak = min(peaks, key=lambda each: each[1].gpu)
    what = (
        f"{request.width}x{request.height} with {request.num_frames} frames needs "
        f"{in_gib(peak.gpu)} of the GPU at least ({plan}), {in_gib(usable)} can be used: "
        f"{in_gib(max(0, peak.gpu - usable))} are missing"
    )
    if peak.gpu <= usable:
        return f"{what}; of the host's memory it needs {in_gib(peak.host)}, " + (
            f"{in_gib(host_bytes)} are there: {in_gib(peak.host - host_bytes)} are missing"
        )
    plans = [each for each, needed in peaks if needed.host <= host_bytes]
    advice = [*_smaller(sizes, request, usable, plans, grid), *_larger(peak)]
    return f"{what}; {', or '.join(advice)} would fit" if advice else what


def _smaller(
    sizes: ModelSizes,
    request: GenerationRequest,
    usable: int,
    plans: Sequence[Plan],
    grid: Grid,
) -> Iterator[str]:
    def fits(**changes: int) -> bool:
        changed = request.model_copy(update=changes)
        return any(expected_peak(sizes, changed, plan).gpu <= usable for plan in plans)

    for frames in range(request.num_frames - 1, 0, -1):
        if (frames - grid.offset) % grid.frames == 0 and fits(num_frames=frames):
            yield f"{frames} frames"
            break
    for percent in range(95, 20, -5):
        width, height = (
            side * percent // 100 // grid.size * grid.size
            for side in (request.width, request.height)
        )
        if min(width, height) >= 64 and fits(width=width, height=height):
            yield f"{width}x{height}"
            break


def _larger(peak: Peak) -> Iterator[str]:
    for size in GPUS_GIB:
        if usable_bytes(size * GIB - CUDA_CONTEXT) >= peak.gpu:
            yield f"a GPU with {size} GiB"
            return
