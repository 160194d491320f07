"""An OpenAI-compatible endpoint on this machine, for tests."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

KEY = "sk-hunter2"


def completion(text: Any, finish_reason: str = "stop") -> bytes:
    """The body of an answer that says this."""
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": finish_reason}
    return json.dumps({"choices": [choice]}).encode()


@dataclass
class LanguageModel:
    """Gives these answers, the last one for ever; notes what it was asked.

    An answer is a prompt, a status with headers and a body, a body, or "hang".
    """

    answers: list[Any] = field(default_factory=lambda: ["A cat, seen from above"])
    asked: list[Any] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    url: str = ""
    ends: asyncio.Event = field(default_factory=asyncio.Event)

    @asynccontextmanager
    async def open(self, host: str = "127.0.0.1") -> AsyncIterator["LanguageModel"]:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._take)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, host, 0)
        await site.start()
        self.url = f"http://{host}:{runner.addresses[0][1]}/v1"
        try:
            yield self
        finally:
            self.ends.set()
            await runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        self.asked.append(await request.json())
        self.headers.append(dict(request.headers))
        answer = self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)
        if answer == "hang":
            await self.ends.wait()
            answer = 503
        if isinstance(answer, str):
            return web.Response(body=completion(answer), content_type="application/json")
        if isinstance(answer, bytes):
            return web.Response(body=answer)
        status, headers = answer if isinstance(answer, tuple) else (answer, {})
        # As real ones do, it quotes the key that it was given.
        return web.Response(status=status, headers=headers, text=f"incorrect key: {KEY}")
