"""`t2v store`."""

import argparse
import asyncio
import signal
from pathlib import Path

from t2v_api.reasons import ExitCode

from t2v_operator.config import ConfigurationError

PAUSED_SECONDS = 600.0
"""How long a browser may read nothing: a video that is paused. It asks for the rest by itself."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--folder", type=Path, required=True, help="where the files are kept")
    parser.add_argument(
        "--keys",
        type=Path,
        required=True,
        help="a folder with the files `current` and, while keys are changed, `previous`",
    )
    parser.add_argument("--port", type=int, default=8080, help="to serve on (8080)")


def perform(options: argparse.Namespace) -> int:
    """Run the embedded store: keep videos in a folder, serve them by signed links."""
    from t2v_operator.delivery.asgi import serve
    from t2v_operator.delivery.signatures import KeyFolder, KeyInvalid
    from t2v_operator.delivery.store_server import store_app

    keys = KeyFolder(options.keys)
    try:
        keys()
        app = store_app(options.folder, keys)
    except OSError as error:
        raise ConfigurationError(f"{error.filename}: {error.strerror}") from None
    except KeyInvalid as error:
        raise ConfigurationError(f"{options.keys}: {error}") from None

    async def run() -> None:
        serving = asyncio.create_task(serve(app, options.port, stalled_seconds=PAUSED_SECONDS))
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, serving.cancel)
        try:
            await serving
        except asyncio.CancelledError:
            return

    try:
        asyncio.run(run())
    except OSError as error:
        raise ConfigurationError(str(error)) from None
    return ExitCode.DONE
