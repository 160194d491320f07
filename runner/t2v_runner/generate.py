"""The way of one video: model, init media, denoising, MP4, record."""

import hashlib
import time
from functools import partial

from t2v_api.delivery import RECORD_FILE
from t2v_api.execution import Execution
from t2v_api.progress import Stage
from t2v_api.result import POSTER_FILE, PREVIEW_FILE, VIDEO_FILE, GenerationResult, Video
from t2v_api.start import Start

from t2v_runner import drawing as one_process
from t2v_runner import ranks
from t2v_runner.checkpoints.course import checkpoints
from t2v_runner.checkpoints.keeper import Keeper
from t2v_runner.denoise import Drawn
from t2v_runner.device import Device, choose_device
from t2v_runner.drawing import Drawing
from t2v_runner.errors import ModelNotInCache, ModelNotLoadable, RequestRefused
from t2v_runner.hub.store import ModelStore
from t2v_runner.init_media import read_init_frames
from t2v_runner.model import (
    check_request,
    locate_loras,
    locate_model,
    locate_motion_adapter,
    weights_at_hand,
)
from t2v_runner.order import Order
from t2v_runner.publish import Publication, left_behind
from t2v_runner.read_ahead import read_ahead
from t2v_runner.report_server import NotAnswered, Refused, ReportServer
from t2v_runner.reporter import Reporter
from t2v_runner.sound import describe
from t2v_runner.starts import check_starts
from t2v_runner.stored_media import read_init_media
from t2v_runner.upload import upload
from t2v_runner.video import write_poster, write_preview, write_video

LOOK_PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0)
"""Seconds between the tries to find what an earlier run has left."""


def generate(
    order: Order, reporter: Reporter, server: ReportServer | None = None
) -> GenerationResult:
    """Make the video and put it, its pictures and its record into the output folder.

    From there they go to the store, where the order says so: through `server`. Raises RunnerError;
    then nothing stands there under a final name, unless only the upload failed.
    """
    if not order.uploads:
        return _make(order, reporter, server)
    if server is None:
        raise RequestRefused("T2V_UPLOAD is set, and T2V_REPORT_URL is not")
    found = _finished_before(server)
    if found:
        return found
    result = left_behind(order.output_dir)
    if not result:
        return _make(order, reporter, server)
    reporter.enter(Stage.UPLOAD)
    _upload(order, result, server, reporter)
    return result


def _upload(
    order: Order, result: GenerationResult, server: ReportServer, reporter: Reporter
) -> None:
    upload(order.output_dir, (*result.output, RECORD_FILE), server, reporter.check)
    reporter.nearly_done()


def _finished_before(server: ReportServer) -> GenerationResult | None:
    """What an earlier run of the same request left in the store, its record being the last."""
    for pause in LOOK_PAUSES:
        try:
            return server.finished_before()
        except Refused:
            return None
        except NotAnswered:
            # Hours of work may be there: a node that died took others along.
            time.sleep(pause)
    return None


def _make(order: Order, reporter: Reporter, server: ReportServer | None) -> GenerationResult:
    check_request(order.profile, order.request)
    read_ahead(weights_at_hand(order.profile, order.models_dir))
    device = choose_device(order.profile.resources.gpus, order.device)
    with (
        Publication(order.output_dir) as publication,
        checkpoints(order, publication, server, reporter) as keeper,
    ):
        drawn, execution = _draw(order, device, reporter, server, keeper)
        _encode(order, drawn, publication, reporter)
        result = _record(order, drawn, execution, publication, reporter)
        if not order.uploads:
            reporter.nearly_done()
        with reporter.undisturbed():
            publication.publish(result)
        if order.uploads and server:
            _upload(order, result, server, reporter)
    return result


def _draw(
    order: Order,
    device: Device,
    reporter: Reporter,
    server: ReportServer | None,
    keeper: Keeper | None,
) -> tuple[Drawn, Execution]:
    request, profile = order.request, order.profile
    read_stored = partial(read_init_media, server=server, may_go_on=reporter.check)
    with ModelStore(order.cache, reporter.downloaded) as store:
        # In one folder they have to know what both hold: locks are the process's.
        store_of_loras = ModelStore(order.cache_of_loras, reporter.downloaded, held=store.held)
        init_frames = read_init_frames(request, order.media, read_stored)

        reporter.enter(Stage.DOWNLOAD)
        folder = locate_model(profile, order.models_dir, store)
        motion_adapter = locate_motion_adapter(profile, order.models_dir, store)
        loras = locate_loras(request.loras, order.models_dir, store_of_loras)
        check_starts(folder, profile)

        frames_given = None if request.start is Start.TEXT else init_frames
        drawing = Drawing(profile, request, folder, frames_given, motion_adapter, loras)
        draw = ranks.draw if profile.resources.gpus > 1 else one_process.draw
        try:
            return draw(drawing, device, reporter, keeper)
        except ModelNotLoadable as error:
            if order.cache.is_read_only and not folder.is_dir():
                raise ModelNotInCache(
                    f"{folder}: it went from the cache while it was loaded"
                ) from error
            raise


def _encode(order: Order, drawn: Drawn, publication: Publication, reporter: Reporter) -> None:
    frames, fps = drawn.frames, order.request.fps
    reporter.enter(Stage.ENCODE)
    write_video(frames, fps, publication.path(VIDEO_FILE), drawn.sound)
    write_poster(frames[0], publication.path(POSTER_FILE))
    write_preview(frames, fps, publication.path(PREVIEW_FILE))


def _record(
    order: Order,
    drawn: Drawn,
    execution: Execution,
    publication: Publication,
    reporter: Reporter,
) -> GenerationResult:
    request, frames = order.request, drawn.frames
    reporter.enter(Stage.UPLOAD)
    mp4 = publication.path(VIDEO_FILE).read_bytes()
    timings, generation_time = reporter.finish()
    return GenerationResult(
        output=(VIDEO_FILE, POSTER_FILE, PREVIEW_FILE),
        video=Video(
            sha256=hashlib.sha256(mp4).hexdigest(),
            frames_sha256=hashlib.sha256(frames.data).hexdigest(),
            bytes=len(mp4),
            width=request.width,
            height=request.height,
            frames=len(frames),
            fps=request.fps,
            duration=len(frames) / request.fps,
            audio=describe(drawn.sound) if drawn.sound else None,
        ),
        seed=request.seed,
        scheduler=request.scheduler,
        model_revision=order.profile.revision,
        scheduler_class=drawn.scheduler_class,
        execution=execution,
        notices=drawn.notices,
        resumed_step=drawn.resumed_step,
        timings=timings,
        generation_time=generation_time,
    )
