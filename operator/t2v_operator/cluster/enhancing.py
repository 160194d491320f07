"""Better prompts from a language model: each question once, whoever has it, and never in a look.

A look that needs an answer goes on without one, and is repeated when the answer is there. Answers
stand in the store as well, so an equal request of next week gets the same prompt, and with it the
same video; so does a request whose answer came just before this process ended
(docs/design/prompt-enhancement.md).
"""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from t2v_api.base import ContractError, ContractModel

from t2v_operator.cluster.store import Key
from t2v_operator.config import OperatorConfig
from t2v_operator.core.enhancing import Answer, AnswerRefused, Question, checked
from t2v_operator.core.places import place
from t2v_operator.delivery.prompt_endpoint import NoAnswer
from t2v_operator.delivery.stores import Store, StoreUnavailable

AT_A_TIME, OF_ONE_NAMESPACE = 16, 4
"""Questions under way: no namespace's prompts wait for all of another's."""
MOST_ANSWERS = 1000
"""That are kept in memory."""
FAULT_SECONDS = 300.0
"""So long a question that got no prompt is not asked again."""
FAULTS_IN_A_ROW, PAUSE_SECONDS = 3, 30.0
"""An endpoint that is away is left alone for that long; prompts do not each wait for it in vain."""
ANSWER_FILE = "prompt.json"
"""In a folder that is called by the question's digest. A runner gets no grant for such a file."""

Wanted = tuple[str, str]
"""A namespace, and the digest of a question: no namespace learns what another asked."""
Ask = Callable[[Question], Awaitable[str]]

logger = logging.getLogger("t2v_operator")


class StoredAnswer(ContractModel):
    """An answer as it stands in the store; not what was asked."""

    prompt: str


@dataclass(frozen=True)
class _Known:
    answer: Answer
    until: float


class Enhancing:
    """The questions under way, and the answers."""

    def __init__(
        self,
        ask: Ask | None,
        store: Store | None,
        config: OperatorConfig,
        look: Callable[[Key], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`ask` is None where no endpoint is configured: then nobody has questions.

        `look` is told which resources can go on.
        """
        self._ask = ask
        self._store = store
        self._config = config
        self._look = look
        self._clock = clock
        self._new: asyncio.Queue[tuple[str, Question]] = asyncio.Queue()
        self._waiting: dict[Wanted, set[Key]] = {}
        self._answers: dict[Wanted, _Known] = {}
        self._slots = asyncio.Semaphore(AT_A_TIME)
        self._shares: dict[str, asyncio.Semaphore] = {}
        self._faults_in_a_row = 0
        self._paused_until = -math.inf

    def answer(self, key: Key, question: Question) -> Answer | None:
        """What is known by now. None: it is asked, and the resource is looked at after that."""
        wanted = key[0], question.digest
        known = self._answers.get(wanted)
        if known and self._clock() < known.until:
            return known.answer
        if wanted not in self._waiting:
            self._waiting[wanted] = set()
            self._new.put_nowait((key[0], question))
        self._waiting[wanted].add(key)
        return None

    async def run(self) -> None:
        """Ask until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                namespace, question = await self._new.get()
                group.create_task(self._settle(namespace, question))

    async def _settle(self, namespace: str, question: Question) -> None:
        share = self._shares.setdefault(namespace, asyncio.Semaphore(OF_ONE_NAMESPACE))
        async with share, self._slots:
            answer = await self._find(namespace, question)
        self._remember((namespace, question.digest), answer)
        for key in self._waiting.pop((namespace, question.digest)):
            self._look(key)

    async def _find(self, namespace: str, question: Question) -> Answer:
        file = place(namespace, f"{question.digest}/{ANSWER_FILE}", self._config)
        stored = await self._stored(file, question)
        if stored:
            return Answer(stored)
        if self._clock() < self._paused_until:
            return Answer(problem="the language model does not answer just now")
        answer = await self._asked(question)
        if answer.prompt and question.may_be_stored:
            await self._keep(file, answer.prompt)
        return answer

    async def _asked(self, question: Question) -> Answer:
        assert self._ask  # who has a question has an endpoint
        began = self._clock()
        try:
            prompt = await self._ask(question)
        except NoAnswer as fault:
            self._count(fault)
            logger.warning("promptEnhancement: %s; Rules do it", fault)
            return Answer(problem=str(fault))
        except Exception as error:
            # A fault of ours must not stop what other prompts and videos need.
            logger.warning("promptEnhancement: %s; Rules do it", type(error).__name__)
            return Answer(problem="the language model could not be asked")
        self._faults_in_a_row = 0
        logger.info("promptEnhancement: answered after %.1f s", self._clock() - began)
        return Answer(prompt)

    def _count(self, fault: NoAnswer) -> None:
        self._faults_in_a_row = self._faults_in_a_row + 1 if fault.is_away else 0
        if self._faults_in_a_row >= FAULTS_IN_A_ROW:
            self._paused_until = self._clock() + PAUSE_SECONDS

    def _remember(self, wanted: Wanted, answer: Answer) -> None:
        until = math.inf if answer.prompt else self._clock() + FAULT_SECONDS
        self._answers.pop(wanted, None)
        self._answers[wanted] = _Known(answer, until)
        if len(self._answers) > MOST_ANSWERS:
            del self._answers[next(iter(self._answers))]

    async def _stored(self, file: str, question: Question) -> str:
        """The answer of an earlier time; empty without one."""
        if self._store is None:
            return ""
        try:
            body = await self._store.read(file)
            return checked(StoredAnswer.parse_json(body).prompt, question) if body else ""
        except StoreUnavailable as error:
            logger.info("promptEnhancement: no earlier answer is looked up: %s", error)
        except (ContractError, AnswerRefused):
            pass  # another version's, or of a time when longer ones were taken
        return ""

    async def _keep(self, file: str, prompt: str) -> None:
        if self._store is None:
            return
        body = StoredAnswer(prompt=prompt).json_line().encode()
        try:
            await self._store.write(file, body)
        except StoreUnavailable as error:
            logger.warning("promptEnhancement: the answer is not kept: %s", error)
