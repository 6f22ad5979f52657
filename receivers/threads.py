"""Threads of the receivers' own. Those that asyncio has for everybody may all wait for a store that does not answer, and what
senders are told must not depend on it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

# Reading more than that takes long enough to be noticed by every other request on the event loop.
_THREAD_BYTES = 32 * 1024
_THREADS = ThreadPoolExecutor((os.cpu_count() or 1) + 2, thread_name_prefix="receivers")


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """As asyncio.to_thread, for what never waits for the store without limit."""
    return await asyncio.get_running_loop().run_in_executor(_THREADS, partial(function, *args, **kwargs))


async def decode(size: int, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The result of `function`, in a thread when the `size` of what it reads would hold up the event loop."""
    if size < _THREAD_BYTES:
        return function(*args, **kwargs)
    return await in_thread(function, *args, **kwargs)
