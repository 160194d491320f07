"""Ask the OpenAI-compatible endpoint for one prompt, within its time. Knows nothing of resources.

Who configured the address may be trusted with it, so it may be private. The key stands in one
header; neither it nor what the endpoint says of it comes into a message or a log.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout

from t2v_operator.config import PromptEndpoint
from t2v_operator.core.enhancing import AnswerRefused, Question, read_answer
from t2v_operator.delivery.webhooks import wish_of

PATH = "/chat/completions"
ANSWER_BYTES = 256 * 1024
"""A longer body is not read to its end."""
PAUSES_SECONDS = (1.0, 3.0)
"""Before the second try, and the third."""
WORTH_A_RETRY = frozenset({408, 429, 500, 502, 503, 504})


class NoAnswer(Exception):
    """The endpoint gave no prompt; says why, for the user."""

    def __init__(self, problem: str, is_away: bool = True) -> None:
        """`is_away`: the next question would fare no better."""
        super().__init__(problem)
        self.is_away = is_away


class _TryAgain(Exception):
    """This time it did not work."""

    def __init__(self, problem: str, wish_seconds: float = 0.0) -> None:
        super().__init__(problem)
        self.wish_seconds = wish_seconds


class Endpoint:
    """The configured language model."""

    def __init__(
        self,
        config: PromptEndpoint,
        session: ClientSession,
        key: Callable[[], Awaitable[str]] | None,
        pauses_seconds: Sequence[float] = PAUSES_SECONDS,
    ) -> None:
        """`key` is asked for each question, so a new one is taken at once; it raises NoAnswer."""
        self._config = config
        self._session = session
        self._key = key
        self._pauses = pauses_seconds

    async def ask(self, question: Question) -> str:
        """The prompt that it answers. Raises NoAnswer."""
        seconds = self._config.timeout_seconds
        try:
            async with asyncio.timeout(seconds):
                return read_answer(await self._answer(question), question)
        except TimeoutError:
            raise NoAnswer(f"the language model did not answer within {seconds} s") from None
        except AnswerRefused as error:
            raise NoAnswer(str(error), is_away=False) from None

    async def _answer(self, question: Question) -> bytes:
        headers = {"Content-Type": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {await self._key()}"
        for pause in self._pauses:
            try:
                return await self._post(question, headers)
            except _TryAgain as fault:
                if fault.wish_seconds >= self._config.timeout_seconds:
                    raise NoAnswer(str(fault)) from None
                await asyncio.sleep(max(pause, fault.wish_seconds))
        try:
            return await self._post(question, headers)
        except _TryAgain as fault:
            raise NoAnswer(str(fault)) from None

    async def _post(self, question: Question, headers: dict[str, str]) -> bytes:
        try:
            async with self._session.post(
                self._config.url.rstrip("/") + PATH,
                data=question.body.encode(),
                headers=headers,
                timeout=ClientTimeout(total=None),
                allow_redirects=False,  # the key would go along
            ) as answer:
                _check(answer)
                return await _body(answer)
        except (ClientError, OSError) as error:
            name = type(error).__name__
            raise _TryAgain(f"the language model could not be reached ({name})") from None


def _check(answer: ClientResponse) -> None:
    if answer.status == 200:
        return
    problem = f"the language model's endpoint answered {answer.status}"
    if answer.status in WORTH_A_RETRY:
        wish = wish_of(answer.headers.get("Retry-After"), datetime.now(UTC))
        raise _TryAgain(problem, wish.total_seconds() if wish else 0.0)
    # 400 and its like may be about this very prompt; the rest concerns them all.
    raise NoAnswer(problem, is_away=answer.status not in (400, 413, 422))


async def _body(answer: ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in answer.content.iter_any():
        body += chunk
        if len(body) > ANSWER_BYTES:
            raise AnswerRefused(f"the language model answered more than {ANSWER_BYTES // 1024} KiB")
    return bytes(body)
