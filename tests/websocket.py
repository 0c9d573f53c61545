"""A WebSocket client on a bare socket, for tests: it also sends what no library would.

    with WebSocket("ws://127.0.0.1:8080/", subprotocol="runner.v2") as ws:
        ws.send(type="run", payload=text)
        for frame in ws: ...

Frames are JSON objects; a connection that ends without a close frame raises EOFError.
"""
import base64
import json
import os
import socket
import struct
from urllib.parse import urlsplit

# Only against waiting for ever.
PATIENCE = 30 * float(os.environ.get("RUNNER_TEST_TIMEOUT_FACTOR", "1"))
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class Refused(Exception):
    """The server answered with something else than 101."""

    def __init__(self, head, body):
        self.head, self.body = head, body
        self.status = int(head.split()[1])
        super().__init__(head.splitlines()[0])


class WebSocket:
    def __init__(self, url, subprotocol=None, headers=(), timeout=PATIENCE, path=None, host=None):
        parts = urlsplit(url)
        self.socket = socket.create_connection((parts.hostname, parts.port), timeout)
        self.buffer = b""
        self.close_code = None
        lines = [
            f"GET {path or parts.path or '/'} HTTP/1.1",
            f"Host: {host or parts.netloc.rpartition('@')[2]}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: " + base64.b64encode(os.urandom(16)).decode(),
            *headers,
        ]
        if subprotocol:
            lines.append(f"Sec-WebSocket-Protocol: {subprotocol}")
        if parts.username is not None:
            word = base64.b64encode(f"{parts.username}:{parts.password}".encode()).decode()
            lines.append(f"Authorization: Basic {word}")
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode())
        while b"\r\n\r\n" not in self.buffer:
            self._fill()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        self.head = head.decode()
        if " 101 " not in self.head.splitlines()[0]:
            raise Refused(self.head, self.buffer)
        self.subprotocol = None
        for line in self.head.splitlines():
            if line.lower().startswith("sec-websocket-protocol:"):
                self.subprotocol = line.split(":", 1)[1].strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def _fill(self):
        data = self.socket.recv(65536)
        if not data:
            raise EOFError("the connection has ended")
        self.buffer += data

    def _take(self, size):
        while len(self.buffer) < size:
            self._fill()
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def send_frame(self, opcode, data, final=True, masked=True):
        size = len(data)
        head = bytes([(0x80 if final else 0) | opcode])
        bit = 0x80 if masked else 0
        if size < 126:
            head += bytes([bit | size])
        elif size < 65536:
            head += bytes([bit | 126]) + struct.pack(">H", size)
        else:
            head += bytes([bit | 127]) + struct.pack(">Q", size)
        if masked:
            key = os.urandom(4)
            pad = (key * (size // 4 + 1))[:size]
            data = (int.from_bytes(data, "big") ^ int.from_bytes(pad, "big")).to_bytes(size, "big")
            head += key
        self.socket.sendall(head + data)

    def send(self, **message):
        self.send_frame(TEXT, json.dumps(message).encode())

    def receive_frame(self):
        """(opcode, data) of a whole message; answers pings."""
        opcode, message = None, b""
        while True:
            first, second = self._take(2)
            size = second & 0x7F
            assert not second & 0x80, "a server must not mask"
            if size == 126:
                (size,) = struct.unpack(">H", self._take(2))
            elif size == 127:
                (size,) = struct.unpack(">Q", self._take(8))
            data = self._take(size)
            if first & 0x0F == PING:
                self.send_frame(PONG, data)
                continue
            if first & 0x0F == PONG:
                continue
            if first & 0x0F == CLOSE:
                self.close_code = struct.unpack(">H", data[:2])[0] if data else None
                return CLOSE, data
            opcode = opcode or first & 0x0F
            message += data
            if first & 0x80:
                return opcode, message

    def receive(self):
        opcode, data = self.receive_frame()
        if opcode == CLOSE:
            raise EOFError(f"closed with {self.close_code}")
        return json.loads(data)

    def __iter__(self):
        while True:
            try:
                yield self.receive()
            except EOFError:
                return

    def until(self, kind):
        """The frames up to the first of that type, which is the last of them."""
        frames = []
        while not frames or frames[-1]["type"] != kind:
            frames.append(self.receive())
        return frames
