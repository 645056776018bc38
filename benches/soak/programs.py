"""The programs of the soak: the gateway, the in-memory Ryze and a fallback, and the figures of a
process that the system shows."""

import asyncio
import contextlib
import http.client
import json
import os
import random
import re
import resource
import subprocess
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
RYZE_TOKEN = "soak-token"
TOKEN = "T"
CONFIGURATION = """
[server]
listen = "127.0.0.1:0"
max_connections = {connections}
deadline = "5s"
header_timeout = "{slowest}s"
body_timeout = "{slowest}s"
idle_timeout = "{idle}s"
[server.drain]
limit = "5s"
[admin]
listen = "127.0.0.1:0"
[ryze]
base_url = "http://127.0.0.1:{ryze}"
request_timeout = "4s"
token = "{token}"
[budget]
requests_per_minute = {limit}
burst = {burst}
max_wait = "2s"
[fallback]
base_url = "http://127.0.0.1:{fallback}"
idle_timeout = "{slowest}s"
[log]
level = "warn"
"""
INSTANCE = '[[instances]]\nzapi_instance = "{0}"\nzapi_token = "T"\nryze_instance = "{0}"\n'


def build():
    """Builds the gateway and returns its path."""
    command = ["cargo", "build", "--release", "--locked", "--bin", "zapi-to-ryze"]
    command += ["--message-format", "json-render-diagnostics"]
    output = subprocess.run(command, cwd=REPOSITORY, check=True, stdout=subprocess.PIPE).stdout
    artifacts = [json.loads(line) for line in output.splitlines()]
    return next(path for path in (it.get("executable") for it in artifacts) if path)


def raise_descriptor_limit():
    hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard_limit, hard_limit))


class Program:
    """A process of the binary that listens on a port."""

    def __init__(self, binary, *arguments):
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen([binary, *arguments], **streams)
        said = self.process.stdout.readline().decode()
        self.port = int(re.search(r"listening on http://.*:(\d+)", said)[1])

    def sample(self):
        """Resident memory in MiB, open descriptors, threads."""
        process = f"/proc/{self.process.pid}"
        status = Path(f"{process}/status").read_text()
        number = lambda key: int(re.search(rf"{key}:\s+(\d+)", status)[1])
        return number("VmRSS") / 1024, len(os.listdir(f"{process}/fd")), number("Threads")

    def kill(self):
        """Ends it without a word."""
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def sandbox(binary, limit, instances):
    """Runs an in-memory Ryze with these instances, which share a token."""
    ryze = Program(binary, "sandbox", "--listen", "127.0.0.1:0", "--requests-per-minute", str(limit))
    try:
        for name in instances:
            control(ryze.port, "PUT", f"/sandbox/instances/{name}", {"token": RYZE_TOKEN})
        yield ryze
    finally:
        ryze.kill()


def control(port, method, path, body=None):
    """Tells the in-memory Ryze something and returns its answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path, json.dumps(body) if body else None)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    if answer.status != 200:
        raise RuntimeError(f"{method} {path}: {text}")
    return json.loads(text)


@contextlib.contextmanager
def configuration(ryze, fallback, instances, limit, connections=512, slowest=2, idle=5):
    """A file for the gateway; yields its path."""
    text = CONFIGURATION.format(
        ryze=ryze, fallback=fallback, token=RYZE_TOKEN, limit=limit, burst=min(limit, 100),
        connections=connections, slowest=slowest, idle=idle,
    )  # fmt: skip
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(text + "".join(INSTANCE.format(name) for name in instances))
        file.flush()
        yield file.name


async def start_fallback():
    """Starts a fallback: `/large/N` is answered with N bytes, `/cut` with a part of what it
    announces, `/slow` a little at a time, and everything else once its body is in."""

    async def serve(reader, writer):
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                path = head.split(b" ")[1].decode()
                length = re.search(rb"(?i)content-length: (\d+)", head)
                await reader.readexactly(int(length[1]) if length else 0)
                if path.startswith("/large/"):
                    size = int(path.rsplit("/", 1)[1])
                elif path == "/cut" or path == "/slow":
                    size = 100_000
                else:
                    size = 2
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
                while size > 0:
                    block = min(size, 65536 if path != "/slow" else 10_000)
                    writer.write(bytes(block))
                    await writer.drain()
                    size -= block
                    if path == "/slow":
                        await asyncio.sleep(random.random() / 5)
                    if path == "/cut":
                        return

    # Tasks of its own, for asyncio reports the cancelled ones of its streams as errors.
    tasks = set()

    def accept(reader, writer):
        task = asyncio.create_task(serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(lambda task: (tasks.discard(task), writer.close()))

    return await asyncio.start_server(accept, "127.0.0.1", 0)


async def ask(port, request, connection=None):
    """Sends a request and reads its answer: status, body, and the connection if it can be used on."""
    reader, writer = connection or await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = re.search(rb"content-length: (\d+)", head)
        body = await reader.readexactly(int(length[1]) if length else 0)
    except BaseException:
        writer.transport.abort()
        raise
    connection = (reader, writer)
    if b"connection: close" in head:
        writer.close()
        connection = None
    return int(head.split(b" ")[1]), body, connection


def request(method, path, body=b"", headers=""):
    """The bytes of a request."""
    head = f"{method} {path} HTTP/1.1\r\nHost: g\r\n{headers}"
    if body or method == "POST":
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


def photo(instance, value="ALL"):
    """A request that changes a setting."""
    body = json.dumps({"visualizationType": value}).encode()
    return request("POST", f"/instances/{instance}/token/{TOKEN}/privacy/photo", body)
