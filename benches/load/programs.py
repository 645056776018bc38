"""The programs that `run` weighs, and one measurement of each kind.

How a program is configured, started, watched and stopped belongs here; how often it is measured
and what is printed does not.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from string import Template

NGINX, LUA = "nginx", "nginx+Lua"

# What stands between the callers and the upstream. A gateway has the instances that are called, or
# others, so that every call goes to the fallback; at log level `info` it writes a line for each.
GATEWAYS = {
    "translates": ("I", "warn"),
    "translates, with a log line": ("I", "info"),
    "passes on": ("X", "warn"),
    "passes on, with a log line": ("X", "info"),
}

INSTANCES = 64
HELD = 1000  # connections
MODULES = "/usr/lib/nginx/modules"  # where Debian has them
WARM_UP = 2000  # requests
STRACED = 4000  # requests
BUDGET = 1_000_000  # requests that a gateway under load may send in its first minute

FOLDER = Path(__file__).parent
INSTANCE = '[[instances]]\nzapi_instance = "{0}{1}"\nzapi_token = "T{1}"\nryze_instance = "R{1}"\n'
FALLBACK = '[fallback]\nbase_url = "http://{}"\n'
BODY = b'{"visualizationType":"CONTACTS"}'
CALL = (
    b"POST /instances/I0/token/T0/privacy/photo HTTP/1.1\r\nHost: gateway\r\n"
    b"Client-Token: client-token\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
)


class Bench:
    """Starts the programs one at a time, all on one port, in front of one upstream."""

    def __init__(self, gateway, driver, directory):
        self.gateway, self.driver, self.directory = gateway, driver, directory
        self.port, self.admin = free_ports(2)
        self.upstream_address = None
        cores = sorted(os.sched_getaffinity(0))
        self.serving, self.loading = (cores[:1], cores[1:]) if len(cores) > 1 else (cores, cores)

    @contextlib.contextmanager
    def started(self, command, cores, **streams):
        """Runs a process on some cores for the time of a `with` block."""
        # A child inherits the cores; a function that sets them in the child would slow its start.
        os.sched_setaffinity(0, cores)
        process = subprocess.Popen(command, **{"stdout": subprocess.DEVNULL, **streams})
        os.sched_setaffinity(0, self.loading)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    @contextlib.contextmanager
    def upstream(self):
        """Runs the upstream for the time of a `with` block."""
        command = [self.driver, "upstream", "--listen", "127.0.0.1:0"]
        with self.started(command, self.loading, stdout=subprocess.PIPE) as process:
            self.upstream_address = process.stdout.readline().decode().split("//")[-1].strip()
            yield

    def command(self, program, budget):
        """Writes the configuration of a program and returns what starts it."""
        template = {NGINX: "nginx.conf", LUA: "nginx-lua.conf"}.get(program, "gateway.toml")
        letter, level = GATEWAYS.get(program, ("", ""))
        file = self.directory / template
        file.write_text(Template((FOLDER / template).read_text()).substitute(
            directory=self.directory, port=self.port, admin=self.admin,
            upstream=self.upstream_address, budget=budget, level=level, modules=MODULES,
            count=INSTANCES, fallback=FALLBACK.format(self.upstream_address),
            instances="\n".join(INSTANCE.format(letter, number) for number in range(INSTANCES)),
            # A worker that drops root's rights could not write below the directory.
            user="user root;" if os.geteuid() == 0 else "",
        ))
        if program in (NGINX, LUA):
            return [nginx(), "-c", file, "-p", self.directory, "-e", "stderr"]
        return [self.gateway, "serve", "--config", file]

    @contextlib.contextmanager
    def serving_process(self, program, budget):
        """Runs a program for the time of a `with` block. Yields the id of the process that
        serves, and how many ms its start took until it accepted and until it answered."""
        command = self.command(program, budget)
        with open(self.directory / "log", "wb") as log:
            begun = time.perf_counter()
            with self.started(command, self.serving, stdout=log, stderr=log) as process:
                moments = first_answer(process, self.port)
                if not moments:
                    said = (self.directory / "log").read_text()
                    sys.exit(f"{program} did not start and answer with 200:\n{said}")
                children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
                pid = int((children.split() or [process.pid])[0])
                yield pid, [(moment - begun) * 1000 for moment in moments]

    def callers(self, *arguments):
        """The command that makes the driver call the program."""
        target = ["--target", f"127.0.0.1:{self.port}", "--instances", INSTANCES]
        return list(map(str, [self.driver, *arguments, *target]))

    def drive(self, connections, requests):
        """Sends requests and returns what the driver measured."""
        command = self.callers("drive", "--connections", connections, "--requests", requests)
        results = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        if results["failed"]:
            sys.exit(f"{results['failed']} of {requests} requests were not answered with 200")
        return results

    def load(self, program, connections, requests):
        """CPU and speed under load."""
        with self.serving_process(program, BUDGET) as (pid, _):
            self.drive(connections, WARM_UP)
            before = cpu_time(pid)
            results = self.drive(connections, requests)
            used = cpu_time(pid) - before
        return {
            "CPU, µs a request": used / 1000 / requests,
            "requests a second": results["per_second"],
            "median latency, µs": results["p50_us"],
            "99th percentile, µs": results["p99_us"],
        }

    def system_calls(self, program, connections):
        """System calls a request under load, by name and as `total`."""
        summary = self.directory / "strace"
        strace = ["strace", "-c", "-f", "-U", "calls,name", "-o", summary, "-p"]
        with self.serving_process(program, BUDGET) as (pid, _):
            self.drive(connections, WARM_UP)
            with self.started([*strace, str(pid)], self.loading, stderr=subprocess.PIPE) as tracer:
                attached = tracer.stderr.readline().decode()
                if "attached" not in attached:
                    sys.exit(attached)
                self.drive(connections, STRACED)
                tracer.send_signal(signal.SIGINT)
                tracer.wait(10)
        calls = re.findall(r"^ *(\d+) (\w+)$", summary.read_text(), re.MULTILINE)
        return {name: int(number) / STRACED for number, name in calls}

    def memory(self, program):
        """Resident memory, idle and with connections held open."""
        hold = self.callers("hold", "--connections", HELD)
        # The table of a budget meant for the load would be memory that no real gateway needs.
        with self.serving_process(program, budget=2 * HELD) as (pid, _):
            idle = resident(pid)
            streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            with self.started(hold, self.loading, **streams) as holder:
                if holder.stdout.readline() != b"held\n":
                    sys.exit(f"{program} did not hold {HELD} connections")
                held = resident(pid)
        return {"RSS idle, MiB": idle, f"RSS with {HELD:,} connections, MiB": held}

    def start(self, program):
        """Time to start."""
        with self.serving_process(program, budget=100) as (_, (accepted, answered)):
            return {"start until it accepts, ms": accepted, "start until it answers, ms": answered}


def nginx():
    """The path of nginx, or none. Debian keeps it where not every user's PATH leads."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


def has_lua():
    """Whether nginx has Lua with a JSON library (Debian: libnginx-mod-http-lua and lua-cjson)."""
    libraries = Path("/usr/lib").glob("*/lua/5.1/cjson.so")
    return Path(MODULES, "ngx_http_lua_module.so").exists() and any(libraries)


def first_answer(process, port):
    """Calls a program that has just been started. Returns when it accepted and when it answered,
    or none where it did not."""
    give_up = time.perf_counter() + 10
    while process.poll() is None and time.perf_counter() < give_up:
        with contextlib.suppress(ConnectionRefusedError):
            with socket.create_connection(("127.0.0.1", port), 10) as caller:
                accepted = time.perf_counter()
                caller.sendall(CALL)
                if not caller.recv(4096).startswith(b"HTTP/1.1 200 "):
                    return None
                return accepted, time.perf_counter()
    return None


def free_ports(number):
    """Ports that were free a moment ago."""
    with contextlib.ExitStack() as stack:
        sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
        return [stack.enter_context(listener).getsockname()[1] for listener in sockets]


def cpu_time(pid):
    """User and system time of a process in ns, with that of threads that have ended."""
    # The id of a process's CPU clock, made as clock_getcpuclockid(3) makes it.
    return time.clock_gettime_ns((~pid << 3) | 2)


def resident(pid):
    """Resident memory of a process in MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) / 1024
