"""What each denoising step leaves, and how a pipeline gets there again without its model.

Every pipeline passes through its scheduler's `step`, so nothing here knows one. A pipeline that
goes on is called as ever: until it is where the snapshot was taken, the denoisers answer zeros and
the scheduler the snapshot's result; then all that remembers anything is as it was.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from t2v_runner.families.reversible import replaced, wrapped

if TYPE_CHECKING:
    import torch

    from t2v_runner.checkpoints.packing import Packed


UNFIT = (LookupError, TypeError, ValueError, AttributeError, RuntimeError)
"""What comes of values that no step of this pipeline has left."""


class CannotGoOn(Exception):
    """The pipeline goes another way than the one that the snapshot was taken of."""


@dataclass(frozen=True)
class Snapshot:
    """All that is needed after a step to draw the rest."""

    step: int
    """Evaluations done; with some schedulers more than the request's steps."""
    packed: "Packed"
    is_last: bool = False
    """Whether it holds finished latents."""
    marks: tuple["torch.cuda.Event", ...] = field(default=(), compare=False)

    @property
    def is_there(self) -> bool:
        """Whether the GPU has got so far that all of it is copied."""
        return all(bool(mark.query()) for mark in self.marks)  # type: ignore[no-untyped-call]

    def wait(self) -> "Snapshot":
        """Until it is there."""
        for mark in self.marks:
            mark.synchronize()
        return self


class Keeps(Protocol):
    """Who takes snapshots in."""

    def keep(self, snapshot: Snapshot) -> None:
        """One more step is done."""
        ...

    def lose(self, why: str) -> None:
        """There can be no snapshots of this pipeline."""
        ...


@contextmanager
def kept(
    pipeline: Any,
    denoisers: Sequence[Any],
    generator: "torch.Generator",
    keeper: Keeps,
    before: Snapshot | None,
) -> Iterator[None]:
    """In the block one call of the pipeline gives the keeper a snapshot a step, from `before` on.

    Raises CannotGoOn, out of that call.
    """
    steps = _Steps(pipeline, generator, keeper, before)
    with ExitStack() as changes:
        for number, denoiser in enumerate(denoisers):
            changes.enter_context(steps.asked(denoiser, str(number)))
        for scheduler in _schedulers(pipeline):
            changes.enter_context(steps.stepped(scheduler))
        changes.enter_context(steps.copied(pipeline.scheduler, changes))
        yield


def is_skipped(denoiser: Any) -> bool:
    """Whether a call of it asks no model: its weights are not needed yet, perhaps never."""
    steps = vars(denoiser).get("_t2v_steps")
    return isinstance(steps, _Steps) and steps.is_behind and steps.rests


def _schedulers(pipeline: Any) -> list[Any]:
    second = getattr(pipeline, "audio_scheduler", None)
    return [pipeline.scheduler, *([second] if second is not None else [])]


class _Steps:
    """One call of a pipeline."""

    def __init__(
        self, pipeline: Any, generator: "torch.Generator", keeper: Keeps, before: Snapshot | None
    ) -> None:
        self._pipeline = pipeline
        self._generator = generator
        self._keeper = keeper
        self._before = before
        self._schedulers: list[Any] = []
        self._counts: list[int] = []
        self._results: list[Any] = []
        self._outputs: dict[str, Any] = {}
        self._is_possible = True
        if before:
            outputs = before.packed.tree.get("outputs", {})
            if not isinstance(outputs, dict):
                raise CannotGoOn("its outputs cannot be read")
            self._outputs.update(outputs)

    @property
    def is_behind(self) -> bool:
        """Whether it is still on its way to where the snapshot was taken."""
        return self._before is not None and min(self._counts, default=0) < self._before.step

    @property
    def rests(self) -> bool:
        """Whether nothing is left to ask the model for."""
        return self._before is not None and self._before.is_last

    @contextmanager
    def asked(self, denoiser: Any, name: str) -> Iterator[None]:
        """What a denoiser answers is noted, in its outlines; or it answers by the outlines."""

        def note(_: Any, arguments: Any, named: dict[str, Any], output: Any) -> None:
            self._outputs.setdefault(_signature(name, arguments, named), _outline(output))

        def forward(real: Any, *arguments: Any, **named: Any) -> Any:
            if not self.is_behind:
                return real(*arguments, **named)
            outline = self._outputs.get(_signature(name, arguments, named))
            if outline is None:
                raise CannotGoOn("the model is asked otherwise than before")
            try:
                return _zeros(outline, self._pipeline._execution_device)
            except UNFIT as error:
                raise CannotGoOn(f"{type(error).__name__}: {error}") from None

        denoiser._t2v_steps = self
        hook = denoiser.register_forward_hook(note, with_kwargs=True)
        try:
            if self._before is None:
                yield
            else:
                with wrapped(denoiser, "forward", forward):
                    yield
        finally:
            hook.remove()
            del denoiser._t2v_steps

    @contextmanager
    def stepped(self, scheduler: Any) -> Iterator[None]:
        """Each step of the scheduler is one of the pipeline, with those of the others."""
        number = len(self._schedulers)
        self._schedulers.append(scheduler)
        self._counts.append(0)
        self._results.append(None)

        def step(real: Any, *arguments: Any, **named: Any) -> Any:
            is_skipped = self._before and self._counts[number] < self._before.step
            result = None if is_skipped else real(*arguments, **named)
            self._counts[number] += 1
            if is_skipped:
                return self._go_on(number)
            self._results[number] = result
            if min(self._counts) == max(self._counts):
                self._keep()
            return result

        with wrapped(scheduler, "step", step):
            yield

    @contextmanager
    def copied(self, scheduler: Any, changes: ExitStack) -> Iterator[None]:
        """A copy that the pipeline makes of its scheduler steps too: LTX-2 has one for sound."""
        own = vars(scheduler).get("__deepcopy__")
        if own is None:
            yield
            return

        def deepcopy(memo: Any) -> Any:
            made = own(memo)
            changes.enter_context(self.stepped(made))
            return made

        with replaced(scheduler, "__deepcopy__", deepcopy):
            yield

    def _keep(self) -> None:
        import torch

        from t2v_runner.checkpoints.packing import CannotPack, Packed, Packer

        if not self._is_possible:
            return
        packer = Packer()
        try:
            tree = {
                "outputs": dict(self._outputs),
                "results": [packer.value(result) for result in self._results],
                "schedulers": [packer.value(scheduler) for scheduler in self._schedulers],
                "generator": packer.value(self._generator.get_state()),
                "random": [packer.value(state) for state in _random_states()],
            }
        except CannotPack as error:
            self._is_possible = False
            self._keeper.lose(str(error))
            return
        marks: tuple[torch.cuda.Event, ...] = ()
        if packer.waits_for_gpu:
            mark = torch.cuda.Event()  # type: ignore[no-untyped-call]
            mark.record()
            marks = (mark,)
        self._keeper.keep(Snapshot(self._counts[0], Packed(tree, packer.tensors), marks=marks))

    def _go_on(self, number: int) -> Any:
        """The result of a step that was done before; at the snapshot's own all is as it was."""
        from t2v_runner.checkpoints.packing import CannotUnpack, Unpacker

        assert self._before
        tree, tensors = self._before.packed.tree, self._before.packed.tensors
        unpacker = Unpacker(tensors, self._pipeline._execution_device)
        try:
            if self._counts[number] == self._before.step:
                scheduler, was = self._schedulers[number], tree["schedulers"][number]
                if type(scheduler).__name__ != was["scheduler"]:
                    raise CannotGoOn(f"its scheduler is a {type(scheduler).__name__}")
                unpacker.restore(scheduler, was["state"])
                self._generator.set_state(unpacker.value(tree["generator"]))
                _set_random_states([unpacker.value(state) for state in tree["random"]])
            result = unpacker.value(tree["results"][number])
        except (CannotUnpack, *UNFIT) as error:
            raise CannotGoOn(f"{type(error).__name__}: {error}") from None
        if not self.is_behind:
            self._keeper.keep(self._before)
        return result


def _signature(name: str, arguments: tuple[Any, ...], named: dict[str, Any]) -> str:
    """What tells calls apart whose answers have other sizes."""
    given = {**{str(place): value for place, value in enumerate(arguments)}, **named}
    shapes = [f"{key}{list(value.shape)}" for key, value in sorted(given.items()) if _is_one(value)]
    return f"{name} {' '.join(shapes)} {named.get('return_dict', True)}"


def _is_one(value: Any) -> bool:
    import torch

    return isinstance(value, torch.Tensor)


def _outline(output: Any) -> Any:
    """The shapes and number formats in what a denoiser returns."""
    if _is_one(output):
        return [list(output.shape), str(output.dtype).removeprefix("torch.")]
    if isinstance(output, tuple):
        return {"tuple": [_outline(part) for part in output]}
    if isinstance(output, dict):
        return {"named": {key: _outline(part) for key, part in output.items()}}
    return None


def _zeros(outline: Any, device: "torch.device") -> Any:
    from types import SimpleNamespace

    import torch

    match outline:
        case [shape, dtype]:
            return torch.zeros(shape, dtype=getattr(torch, dtype), device=device)
        case {"tuple": parts}:
            return tuple(_zeros(part, device) for part in parts)
        case {"named": parts}:
            return SimpleNamespace(**{key: _zeros(part, device) for key, part in parts.items()})
    return None


def _random_states() -> list["torch.Tensor"]:
    """Of what draws without the request's generator."""
    import torch

    gpu = [torch.cuda.get_rng_state()] if _uses_gpu() else []
    return [torch.get_rng_state(), *gpu]


def _set_random_states(states: list["torch.Tensor"]) -> None:
    import torch

    torch.set_rng_state(states[0])
    if len(states) > 1 and _uses_gpu():
        torch.cuda.set_rng_state(states[1])


def _uses_gpu() -> bool:
    import torch

    return bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]
