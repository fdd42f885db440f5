"""Run programs in forks of one process that has imported TensorFlow: 50 ms to start one rather than 4 s.

`run` and `Popen` stand in for those of `subprocess`, for commands of this Python: each is a process of its own, with
its own arguments, streams, environment and signals. Only third-party packages are imported beforehand, so that
srgan_tf's own imports are those of a fresh process. Tests of start-up itself use `subprocess`.
"""

import atexit
import contextlib
import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor

_server: socket.socket | None = None


def _connect() -> socket.socket:
    """Start the server on first use; it ends with this process, whose end of the socket closes."""
    global _server
    if _server is None:
        _server, theirs = socket.socketpair()
        with theirs:
            environment = {**os.environ, "FORKS_SOCKET": str(theirs.fileno())}
            subprocess.Popen([sys.executable, __file__], env=environment, pass_fds=[theirs.fileno()])
    return _server


class Popen:
    """A forked command `[sys.executable, (script | -c code | -m module), *words]`; see `subprocess.Popen`."""

    def __init__(self, command, stdin=None, stdout=None, stderr=None, text=False, cwd=None, env=None):
        python, *words = map(str, command)
        assert python == sys.executable, python
        self.args, self.returncode, self._mode = command, None, "" if text else "b"
        self.stdin, given = self._stream(stdin, reading=False)
        self.stdout, out = self._stream(stdout)
        self.stderr, err = (None, os.dup(out)) if stderr == subprocess.STDOUT else self._stream(stderr)
        self._alive, alive = os.pipe()  # ends when the process does
        request = {"words": words, "cwd": str(cwd or os.getcwd()), "env": dict(env or os.environ)}
        fds, content = [given, out, err, alive], json.dumps(request).encode()
        server = _connect()
        socket.send_fds(server, [len(content).to_bytes(4, "big")], fds)
        server.sendall(content)
        self.pid = int.from_bytes(server.recv(4), "big")
        for fd in fds:
            os.close(fd)

    def _stream(self, wanted, reading=True):
        """Return our end of a stream, None where it is no pipe, and the file descriptor of the other end."""
        if wanted == subprocess.PIPE:
            read, write = os.pipe()
            mine, other = (read, write) if reading else (write, read)
            return open(mine, ("r" if reading else "w") + self._mode), other
        if wanted == subprocess.DEVNULL:
            return None, os.open(os.devnull, os.O_RDWR)
        return None, os.dup(int(reading) if wanted is None else wanted.fileno())

    def poll(self):
        return self._ended(0)

    def wait(self, timeout=None):
        if self._ended(timeout) is None:
            raise subprocess.TimeoutExpired(self.args, timeout)
        return self.returncode

    def _ended(self, timeout):
        if self.returncode is None and select.select([self._alive], [], [], timeout)[0]:
            server = _connect()
            server.sendall(b"wait" + self.pid.to_bytes(4, "big"))
            self.returncode = int.from_bytes(server.recv(4), "big", signed=True)
            os.close(self._alive)
        return self.returncode

    def send_signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self):
        self.send_signal(signal.SIGKILL)

    def terminate(self):
        self.send_signal(signal.SIGTERM)

    def communicate(self, input=None, timeout=None):
        def write():
            with contextlib.suppress(BrokenPipeError), self.stdin:
                self.stdin.write(input)

        with ThreadPoolExecutor(3) as pool:
            if input is not None:
                pool.submit(write)
            read = [pool.submit(stream.read) if stream else None for stream in (self.stdout, self.stderr)]
            try:
                self.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
            return tuple(one and one.result() for one in read)


def run(command, capture_output=False, input=None, timeout=300, check=False, **options) -> subprocess.CompletedProcess:
    """Run a command to its end; see `subprocess.run`."""
    if capture_output:
        options |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    if input is not None:
        options["stdin"] = subprocess.PIPE
    process = Popen(command, **options)
    done = subprocess.CompletedProcess(command, 0, *process.communicate(input, timeout))
    done.returncode = process.returncode
    if check:
        done.check_returncode()
    return done


def serve(client: socket.socket) -> dict | None:
    """Fork for each request; return it in the fork, and None where the client is gone."""
    while True:
        head, fds, _, _ = socket.recv_fds(client, 4, 4)
        if not head:
            return None
        if head == b"wait":
            _, status = os.waitpid(int.from_bytes(client.recv(4), "big"), 0)
            client.sendall(os.waitstatus_to_exitcode(status).to_bytes(4, "big", signed=True))
            continue
        content = b""
        while len(content) < int.from_bytes(head, "big"):
            content += client.recv(1 << 16)
        if pid := os.fork():
            for fd in fds:
                os.close(fd)
            client.sendall(pid.to_bytes(4, "big"))
            continue
        client.close()
        for number, fd in enumerate(fds[:3]):
            os.dup2(fd, number)
            os.close(fd)
        return json.loads(content)


def become(request: dict) -> None:
    """Run the requested command in this process, as the interpreter would."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    kind, *words = request["words"]
    if kind == "-c":
        sys.argv, sys.path[0] = ["-c", *words[1:]], ""
        exec(compile(words[0], "<string>", "exec"), {"__name__": "__main__"})
    elif kind == "-m":
        sys.argv, sys.path[0] = words, os.getcwd()
        runpy.run_module(words[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv, sys.path[0] = [kind, *words], os.path.dirname(os.path.abspath(kind))
        runpy.run_path(kind, run_name="__main__")


def exit_code(request: dict) -> int:
    """Run the requested command; return what the interpreter would exit with."""
    try:
        become(request)
    except SystemExit as error:
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    client = socket.socket(fileno=int(os.environ.pop("FORKS_SOCKET")))
    client.set_inheritable(False)
    import h5py  # noqa: F401
    import keras  # noqa: F401
    import tensorflow as tf  # noqa: F401

    gc.freeze()
    if request := serve(client):
        code = exit_code(request)
        threading._shutdown()
        atexit._run_exitfuncs()
        sys.stdout.flush()
        os._exit(code)  # tearing TensorFlow down takes 2 s
