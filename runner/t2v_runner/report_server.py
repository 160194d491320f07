"""The report server as the runner sees it: where progress, results and wishes to upload go.

It is asked with the pod's own token, which the kubelet renews; the token says whose video this is.
"""

import contextlib
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import urlencode

from t2v_api.base import ContractError, ContractModel
from t2v_api.delivery import (
    CHECKPOINT_PATH,
    INIT_MEDIA_NAME,
    INIT_MEDIA_PATH,
    PROGRESS_PATH,
    RESULT_PATH,
    UPLOADS_PATH,
    CheckpointLink,
    FileToUpload,
    InitMediaLink,
    UploadGrants,
    UploadRequest,
)
from t2v_api.progress import Progress
from t2v_api.result import GenerationResult, read_outcome

ANSWER_SECONDS = 30.0
PROGRESS_SECONDS = 5.0
"""A report of progress is worth no longer wait."""
OUTCOME_SECONDS = 5.0
"""The pod holds its GPU meanwhile."""
REPORT_SECONDS = 2.0
"""Between two reports of progress."""


@dataclass(frozen=True)
class ReportAddress:
    """Where the report server is, whom to trust there, and what to show."""

    url: str
    certificate_authority: str
    """In PEM."""
    token_file: Path


class NotAnswered(Exception):
    """No answer, or one that another try may better."""


class Refused(Exception):
    """The answer is no, in the server's words."""

    def __init__(self, status: int, text: str, who: str = "report server") -> None:
        super().__init__(_words(status, text, who))
        self.status = status


def _words(status: int, text: str, who: str = "report server") -> str:
    return f"the {who} answered {status}: {' '.join(text.split())[:300]}"


def is_worth_another_try(status: int) -> bool:
    """Whether an HTTP status may be another one in a while."""
    return status >= 500 or status in (408, 425, 429)


class ReportServer:
    """Requests of one runner. Thread-safe."""

    def __init__(self, address: ReportAddress) -> None:
        import httpx2

        self._token_file = address.token_file
        trusted = ssl.create_default_context(cadata=address.certificate_authority)
        self._client = httpx2.Client(
            base_url=address.url, verify=trusted, timeout=ANSWER_SECONDS, trust_env=False
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def tell_progress(self, progress: Progress) -> None:
        """Raises NotAnswered, Refused."""
        self._ask("POST", PROGRESS_PATH, progress.json_line(), PROGRESS_SECONDS)

    def tell_outcome(self, outcome: ContractModel) -> None:
        """Raises NotAnswered, Refused."""
        self._ask("POST", RESULT_PATH, outcome.json_line(), OUTCOME_SECONDS)

    def finished_before(self) -> GenerationResult | None:
        """The record of this very video, where an earlier run of it was uploaded whole.

        Raises NotAnswered, Refused.
        """
        try:
            outcome = read_outcome(self._ask("GET", RESULT_PATH, seconds=OUTCOME_SECONDS))
        except Refused as refusal:
            if refusal.status == 404:
                return None
            raise
        except ContractError as error:
            raise NotAnswered(str(error)) from None
        return outcome if isinstance(outcome, GenerationResult) else None

    def ask_to_upload(
        self, files: tuple[FileToUpload, ...], are_uploaded: bool = False
    ) -> UploadGrants:
        """Grants for the files; where they `are_uploaded`, for those that are not there.

        Raises NotAnswered, Refused.
        """
        request = UploadRequest(files=files, are_uploaded=are_uploaded)
        try:
            return UploadGrants.parse_json(self._ask("POST", UPLOADS_PATH, request.json_line()))
        except ContractError as error:
            raise NotAnswered(str(error)) from None

    def ask_for_checkpoint(self) -> CheckpointLink:
        """What opens this very video's checkpoint in the store. Raises NotAnswered, Refused."""
        try:
            return CheckpointLink.parse_json(self._ask("GET", CHECKPOINT_PATH))
        except ContractError:
            # The fault may quote the link.
            raise NotAnswered("the report server's answer cannot be read") from None

    def ask_for_init_media(self, name: str) -> InitMediaLink:
        """What opens the file of the store that this video's request calls `name`.

        Raises NotAnswered, Refused.
        """
        try:
            path = f"{INIT_MEDIA_PATH}?{urlencode({INIT_MEDIA_NAME: name})}"
            return InitMediaLink.parse_json(self._ask("GET", path))
        except ContractError:
            # The fault may quote the link.
            raise NotAnswered("the report server's answer cannot be read") from None

    def _ask(self, method: str, path: str, body: str = "", seconds: float = ANSWER_SECONDS) -> str:
        import httpx2

        try:
            token = self._token_file.read_text().strip()
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            content = body.encode() if body else None
            answer = self._client.request(
                method, path, content=content, headers=headers, timeout=seconds
            )
        except (httpx2.HTTPError, OSError) as error:
            # Its text may quote the request, so only its kind is told.
            raise NotAnswered(f"the report server: {type(error).__name__}") from None
        if is_worth_another_try(answer.status_code):
            raise NotAnswered(_words(answer.status_code, answer.text))
        if answer.status_code >= 400:
            raise Refused(answer.status_code, answer.text)
        return answer.text


class ProgressTeller:
    """Tells the report server of the latest progress, beside the work and never in its way."""

    def __init__(
        self, tell: Callable[[Progress], None], report_seconds: float = REPORT_SECONDS
    ) -> None:
        """`tell` is called in a thread of its own."""
        self._tell = tell
        self._report_seconds = report_seconds
        self._news = threading.Condition()
        self._latest: Progress | None = None
        self._ends = False
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """What is not told by now, the result tells."""
        with self._news:
            self._ends = True
            self._news.notify()

    def __call__(self, progress: Progress) -> None:
        with self._news:
            self._latest = progress
            self._news.notify()

    def _run(self) -> None:
        while True:
            with self._news:
                self._news.wait_for(lambda: self._latest or self._ends)
                if self._ends:
                    return
                progress, self._latest = self._latest, None
            assert progress
            with contextlib.suppress(Exception):  # the next one tells more
                self._tell(progress)
            self._pause()

    def _pause(self) -> None:
        """Until the next report is due; the end comes at once."""
        until = time.monotonic() + self._report_seconds
        with self._news:
            while not self._ends and (left := until - time.monotonic()) > 0:
                self._news.wait(left)
