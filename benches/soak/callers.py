"""The callers of the soak, good and bad, and what makes Ryze fail. Each is a coroutine that goes on until
the load is over."""

import asyncio
import collections
import contextlib
import json
import random
import socket
import struct

from programs import TOKEN, ask, control, photo, request

CALLS = [
    ("photo", "visualizationType", ["ALL", "NONE", "CONTACTS", "CONTACT_BLACKLIST"]),
    ("last-seen", "visualizationType", ["ALL", "NONE", "CONTACTS"]),
    ("online", "visualizationType", ["ALL", "SAME_LAST_SEEN"]),
    ("group-add", "type", ["ALL", "CONTACTS"]),
]
# The statuses that a good caller may get of a Ryze that fails.
EXPECTED = {200, 424, 429, 502, 503, 504}


class Load:
    """What the callers share."""

    def __init__(self, instances):
        self.instances = instances
        self.port = 0
        # False while the gateway is about to be killed or not there yet.
        self.is_up = True
        # Asked for in place of cancelling, which `wait_for` of some Python versions loses.
        self.is_over = False
        self.answers = collections.Counter()
        self.faults = []

    def count(self, kind, status):
        self.answers[kind, status] += 1
        if kind in ("set", "read") and status not in EXPECTED:
            self.faults.append(f"{kind} was answered with {status}")

    def privacy(self, call, instance=None):
        instance = instance or random.choice(self.instances)
        return f"/instances/{instance}/token/{TOKEN}/privacy{call}"


async def good(load, kind, make, pause):
    """Calls on a connection that it keeps, and has an answer each time."""
    connection, port = None, 0
    while not load.is_over:
        await asyncio.sleep(random.uniform(0, 2 * pause))
        if port != load.port:
            connection, port = None, load.port
        was_up = load.is_up
        try:
            status, _, connection = await asyncio.wait_for(ask(port, make(load), connection), 15)
            load.count(kind, status)
        except (OSError, EOFError, TimeoutError, asyncio.TimeoutError) as error:
            connection = None
            if was_up and load.is_up and port == load.port:
                load.faults.append(f"{kind} had no answer: {error!r}")


def change(load):
    call, key, values = random.choice(CALLS)
    body = json.dumps({key: random.choice(values)}).encode()
    return request("POST", load.privacy(f"/{call}"), body)


def read(load):
    return request("GET", load.privacy(""))


def refused(load):
    instance = random.choice(load.instances)
    return random.choice([
        photo(instance).replace(b"/token/T", b"/token/wrong"),
        photo("unknown").replace(b"/privacy", b"/privacy/no"),
        photo(instance, "WRONG"),
        photo(instance).replace(b"POST", b"PUT"),
        photo(instance).replace(b"Host: g", b"Host: g\r\nHost: g"),
        photo(instance).replace(b"/json", b"/xml"),
    ])  # fmt: skip


def passed_on(load):
    if random.random() < 0.5:
        return request("GET", random.choice(["/large/300000", "/slow", "/large/3"]))
    return request("POST", "/instances/I1/token/T/send-image", bytes(random.randrange(300_000)))


async def bad(load, act, pause):
    """Does something on a connection of its own, whatever becomes of it."""
    while not load.is_over:
        await asyncio.sleep(random.uniform(0, 2 * pause))
        writer = None
        with contextlib.suppress(OSError, EOFError, TimeoutError, asyncio.TimeoutError):
            reader, writer = await asyncio.open_connection("127.0.0.1", load.port)
            await asyncio.wait_for(act(load, reader, writer), 15)
            load.count(act.__name__, "")
        if writer:
            writer.transport.abort()


async def aborts(load, reader, writer):
    """Hangs up, in the request or after it, with a reset or without."""
    bytes_sent = random.choice([change, read, passed_on, passed_on])(load)
    end = random.choice([len(bytes_sent), random.randrange(len(bytes_sent))])
    writer.write(bytes_sent[:end])
    await asyncio.sleep(random.random() / 10)
    if random.random() < 0.5:
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


async def is_cut_off(load, reader, writer):
    """Reads an answer that the fallback does not finish."""
    writer.write(request("GET", "/cut"))
    await reader.read()


async def is_slow(load, reader, writer):
    """Sends a request a few bytes at a time."""
    bytes_sent = random.choice([change, passed_on])(load)[:1000]
    for at in range(0, len(bytes_sent), 20):
        writer.write(bytes_sent[at : at + 20])
        await writer.drain()
        await asyncio.sleep(0.1)


async def reads_slowly(load, reader, writer):
    """Takes an answer a little at a time."""
    writer.write(request("GET", "/large/3000000"))
    for _ in range(20):
        await reader.read(1000)
        await asyncio.sleep(0.2)


async def sends_garbage(load, reader, writer):
    """Sends what is not HTTP, or hardly."""
    garbage = bytearray(random.choice([random.randbytes(500), change(load)]))
    for _ in range(20):
        garbage[random.randrange(len(garbage))] = random.randrange(256)
    writer.write(bytes(garbage))
    writer.write_eof()
    await reader.read()


async def idles(load, reader, writer):
    """Connects and says nothing."""
    await reader.read()


async def breaks_ryze(load, ryze):
    """Lets a request fail now and then, in each way that the in-memory Ryze knows."""
    field = {"answer": "field", "field": "profile"}
    ways = [
        {"answer": "close"},
        {"answer": "close", "apply": True},
        {"answer": "never"},
        {"answer": "never", "apply": True, "apply_after_ms": 6000},
        {"answer": "normal", "answer_after_ms": 3000},
        {"answer": "stale"},
        {"answer": "status", "status": 500, "message": "out of order"},
        {"answer": "status", "status": 503, "message": "x" * 2000},
        {"answer": "raw", "body": "{\"success\":true,\"settings\":[[[[" + "9" * 2000},
        {"answer": "raw", "status": 302, "body": "<html>"},
        field | {"reason": "info query timed out"},
        field | {"reason": "info query returned status 400: bad-request"},
        # It closes the instance's lane for longer each time: one instance is enough.
        field | {"reason": "rate-overlimit", "instance": "I0"},
    ]
    while not load.is_over:
        await asyncio.sleep(random.random())
        # Thrown away first, for what no request meets would stay for ever.
        if random.random() < 0.1:
            await asyncio.to_thread(control, ryze, "DELETE", "/sandbox/faults")
        await asyncio.to_thread(control, ryze, "POST", "/sandbox/faults", random.choice(ways))


def everybody(load, ryze):
    """All of them."""
    callers = [good(load, "set", change, 0.2) for _ in range(16)]
    callers += [good(load, "read", read, 1) for _ in range(4)]
    callers += [good(load, "refused", refused, 0.2) for _ in range(2)]
    callers += [good(load, "passed on", passed_on, 0.2) for _ in range(4)]
    for act in (aborts, is_cut_off, is_slow, reads_slowly, sends_garbage, idles):
        callers += [bad(load, act, 0.2) for _ in range(3)]
    return [*callers, breaks_ryze(load, ryze)]
