"""A TCP relay, to cut and mend the way to an emulator."""

import contextlib
import re
import socket
import threading

import processes


class Relay:
    """Listens on a port of its own and passes everything on, until it is cut. Knows which operations were asked for."""

    def __init__(self, host: str, port: int):
        self.port = processes.free_port()
        self._far = (host, port)
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener: socket.socket | None = None
        self._asked: list[str] = []
        self.mend()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def mend(self) -> None:
        """Listens."""
        listener = socket.create_server(("127.0.0.1", self.port))
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def operations(self) -> list[str]:
        """The operations of AWS that were asked for through it, in order."""
        with self._lock:
            return list(self._asked)

    def cut(self) -> None:
        """Refuses new connections, and cuts those that are open."""
        listener, self._listener = self._listener, None
        if listener:
            # Wakes the thread that accepts: closing alone would leave it, and the port, as they are.
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        with self._lock:
            cut, self._open = self._open, set()
        for end in cut:
            _close(end)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
                far = socket.create_connection(self._far)
            except OSError:
                return
            with self._lock:
                self._open |= {near, far}
            for ends in ((near, far, True), (far, near, False)):
                threading.Thread(target=self._pass_on, args=ends, daemon=True).start()

    def _pass_on(self, one: socket.socket, other: socket.socket, asks: bool) -> None:
        seen = b""
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                if asks:
                    seen = self._read_headers(seen + data)
                other.sendall(data)
        _close(one)
        _close(other)
        with self._lock:
            self._open -= {one, other}

    def _read_headers(self, seen: bytes) -> bytes:
        """Notes the operations in what has come so far, and gives back what may be the beginning of another."""
        rest = 0
        for header in re.finditer(rb"(?i)\r\nx-amz-target: \w+\.(\w+)\r\n", seen):
            rest = header.end()
            with self._lock:
                self._asked.append(header[1].decode())
        return seen[rest:][-200:]


def _close(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
