"""The checkpoints of one run: found at its start, kept on its way, gone with its success."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from t2v_runner.checkpoints.carrier import Carrier
from t2v_runner.checkpoints.keeper import Keeper, Keeping
from t2v_runner.errors import RequestRefused
from t2v_runner.order import Order
from t2v_runner.publish import Publication
from t2v_runner.report_server import ReportServer
from t2v_runner.reporter import Reporter

NAME = ".checkpoint-"
LETTERS = 16
"""Of the request's digest, in the file's name: other requests may have the same folder."""


def checkpoint_path(order: Order) -> Path:
    """Where the order's checkpoint stands on this machine."""
    digest = order.request.digest(order.profile.revision)
    return order.output_dir / f"{NAME}{digest[:LETTERS]}.safetensors"


def has_checkpoint(folder: Path) -> bool:
    """Whether a run that works in this folder finds one."""
    return any(folder.glob(f"{NAME}*.safetensors"))


@contextmanager
def checkpoints(
    order: Order, publication: Publication, server: ReportServer | None, reporter: Reporter
) -> Iterator[Keeper | None]:
    """What keeps them, with what an earlier run has left; None where none are wanted.

    Whatever ends the block otherwise than well leaves the latest step.
    """
    if not order.checkpoint_seconds:
        yield None
        return
    part = publication.path("checkpoint.part")
    keeping = Keeping(checkpoint_path(order), part, order.checkpoint_seconds)
    carrier = Carrier(server, keeping) if order.uploads and server else None
    is_here = keeping.path.exists()
    if carrier:
        carrier.bring()
    saved = carrier.carry if carrier else _it_is_there
    with Keeper(keeping, saved) as keeper, reporter.rescued(keeper.save_now):
        if carrier and is_here:
            keeper.passed_on()  # the store may have been away when it was written
        try:
            yield keeper
        except RequestRefused:
            raise  # no other attempt follows
        except BaseException:
            keeper.save_now()
            raise
        if carrier:
            carrier.give_up()
        keeper.remove()


def _it_is_there() -> bool:
    """On a volume the file is where it belongs."""
    return True
