"""A chat model behind an OpenAI-compatible endpoint.

Base URL and key come from the environment (OPENAI_BASE_URL, OPENAI_API_KEY). The key is sent to
that address alone: redirects are not followed, and a plain `http` address must be this machine's
own. Requests are spaced by a rate limit; what may pass by itself (time-outs, 408, 409, 429 and
5xx) is tried again, after as long as the server asks or twice as long each time.
"""

from __future__ import annotations

import json
import os
import random
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from tomogram.models.chat import Message
from tomogram.store.errors import TomogramError

BASE_URL, API_KEY = "OPENAI_BASE_URL", "OPENAI_API_KEY"
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_PASSING = frozenset({408, 409, 429, 500, 502, 503, 504, 529})
_LONGEST_ANSWER = 2**20
_LONGEST_WAIT = 120.0


@dataclass(frozen=True)
class Address:
    """Where requests go, and the key that opens it; the key is in no text about it."""

    base_url: str
    key: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise TomogramError(f"{BASE_URL} is no address of an endpoint: {self.base_url!r}.")
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK and self.key:
            raise TomogramError(
                f"{BASE_URL} is not encrypted; a key is only sent over https or to this machine."
            )


def from_environment(environment: Mapping[str, str] | None = None) -> Address:
    """The address that OPENAI_BASE_URL and OPENAI_API_KEY name.

    Raises TomogramError where there is no address, or it is not one to send a key to.
    """
    given = os.environ if environment is None else environment
    if not given.get(BASE_URL):
        raise TomogramError(f"Set {BASE_URL} to the endpoint's address, and {API_KEY} to its key.")
    return Address(given[BASE_URL].rstrip("/"), given.get(API_KEY, ""))


@dataclass
class Usage:
    """What has been used so far, as the endpoint counts it."""

    requests: int = 0
    retries: int = 0
    prompt_tokens: int = 0
    reply_tokens: int = 0


class RateLimit:
    """Lets requests through at most so often a minute, evenly spaced, from any number of threads.

    Raises ValueError for a rate that is not above zero.
    """

    def __init__(
        self,
        per_minute: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if per_minute <= 0:
            raise ValueError("a rate limit must be above zero")
        self._gap = 60 / per_minute
        self._clock, self._sleep = clock, sleep
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Return when it is this caller's turn."""
        with self._lock:
            now = self._clock()
            turn = max(now, self._next)
            self._next = turn + self._gap
        if turn > now:
            self._sleep(turn - now)


@dataclass(frozen=True, eq=False)
class EndpointChat:
    """A model of an endpoint, by its name there."""

    model: str
    address: Address
    limit: RateLimit
    parallel: int = 4
    attempts: int = 6
    timeout: float = 60.0
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)
    usage: Usage = field(default_factory=Usage)
    _counting: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def name(self) -> str:
        """The model's name at the endpoint."""
        return self.model

    def fits(self, messages: Sequence[Message], reply_tokens: int) -> bool:
        """True: how long a context the endpoint has is not known here."""
        return True

    def ask(self, messages: Sequence[Message], reply_tokens: int) -> str:
        """The reply at temperature 0.

        Raises TomogramError where the endpoint refuses, or fails as often as it is tried.
        """
        body = json.dumps(
            {
                "model": self.model,
                "messages": list(messages),
                "max_tokens": reply_tokens,
                "temperature": 0,
            }
        ).encode()
        trouble = ""
        for attempt in range(self.attempts):
            self.limit.wait()
            try:
                return self._reply(self._post(body))
            except urllib.error.HTTPError as error:
                trouble = f"it answers {error.code}"
                if error.code not in _PASSING:
                    raise TomogramError(
                        f"The endpoint refuses: {error.code} {error.reason}."
                    ) from None
                wait = _asked_to_wait(error.headers.get("Retry-After"))
            except (OSError, _Unreadable) as error:
                # A time-out, a broken connection, or an answer cut short.
                trouble = str(getattr(error, "reason", error)) or type(error).__name__
                wait = None
            if attempt + 1 < self.attempts:
                with self._counting:
                    self.usage.retries += 1
                backoff = 2.0**attempt * (0.5 + random.random())
                self.sleep(min(_LONGEST_WAIT, backoff if wait is None else wait))
        raise TomogramError(
            f"The endpoint could not be used in {self.attempts} attempts: {trouble}."
        )

    def _post(self, body: bytes) -> Any:
        headers = {"Content-Type": "application/json", "User-Agent": "tomogram"}
        if self.address.key:
            headers["Authorization"] = f"Bearer {self.address.key}"
        url = f"{self.address.base_url}/chat/completions"
        request = urllib.request.Request(url, data=body, headers=headers, method="POST")
        with _OPENER.open(request, timeout=self.timeout) as response:
            data = response.read(_LONGEST_ANSWER + 1)
        if len(data) > _LONGEST_ANSWER:
            raise _Unreadable("its answer is too long")
        try:
            return json.loads(data)
        except ValueError:
            raise _Unreadable("its answer is no JSON") from None

    def _reply(self, answer: Any) -> str:
        try:
            content = answer["choices"][0]["message"]["content"]
        except (KeyError, IndexError, TypeError):
            raise _Unreadable("its answer has no reply") from None
        used = answer.get("usage") or {}
        with self._counting:
            self.usage.requests += 1
            self.usage.prompt_tokens += _count(used, "prompt_tokens")
            self.usage.reply_tokens += _count(used, "completion_tokens")
        return content if isinstance(content, str) else ""


class _Unreadable(Exception):
    """An answer that is not what the protocol promises."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the key to another address."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirect())


def _asked_to_wait(value: str | None) -> float | None:
    try:
        return max(0.0, float(value or ""))
    except ValueError:  # none, or a date
        return None


def _count(used: Any, name: str) -> int:
    value = used.get(name, 0) if isinstance(used, dict) else 0
    return value if isinstance(value, int) and value >= 0 else 0
