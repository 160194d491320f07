"""The way of one video: model, init media, denoising, MP4, record."""

import hashlib
import time
from functools import partial

from t2v_api.delivery import RECORD_FILE
from t2v_api.progress import Stage
from t2v_api.result import POSTER_FILE, PREVIEW_FILE, VIDEO_FILE, GenerationResult, Video
from t2v_api.start import Start

from t2v_runner import drawing as one_process
from t2v_runner import ranks
from t2v_runner.device import choose_device
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
    if result:
        reporter.enter(Stage.UPLOAD)
    else:
        result = _make(order, reporter, server)
    upload(order.output_dir, (*result.output, RECORD_FILE), server, reporter.check)
    return result


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
    request, profile = order.request, order.profile
    check_request(profile, request)
    read_ahead(weights_at_hand(profile, order.models_dir))
    device = choose_device(profile.resources.gpus, order.device)
    read_stored = partial(read_init_media, server=server, may_go_on=reporter.check)
    with (
        Publication(order.output_dir) as publication,
        ModelStore(order.cache, reporter.downloaded) as store,
        ModelStore(order.cache_of_loras, reporter.downloaded) as store_of_loras,
    ):
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
            drawn, execution = draw(drawing, device, reporter)
        except ModelNotLoadable as error:
            if order.cache.is_read_only and not folder.is_dir():
                raise ModelNotInCache(
                    f"{folder}: it went from the cache while it was loaded"
                ) from error
            raise
        frames = drawn.frames

        reporter.enter(Stage.ENCODE)
        write_video(frames, request.fps, publication.path(VIDEO_FILE), drawn.sound)
        write_poster(frames[0], publication.path(POSTER_FILE))
        write_preview(frames, request.fps, publication.path(PREVIEW_FILE))

        reporter.enter(Stage.UPLOAD)
        mp4 = publication.path(VIDEO_FILE).read_bytes()
        timings, generation_time = reporter.finish()
        result = GenerationResult(
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
            model_revision=profile.revision,
            scheduler_class=drawn.scheduler_class,
            execution=execution,
            notices=drawn.notices,
            timings=timings,
            generation_time=generation_time,
        )
        publication.publish(result)
    return result
