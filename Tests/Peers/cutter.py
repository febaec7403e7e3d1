"""A proxy in front of PostgreSQL that counts round trips and cuts the connection at one of them.

Says `listening on http://127.0.0.1:PORT`, where it is told what to do, and ends with standard
input: `POST /control/cutters` with `{"target": PORT}` opens a port of its own for a test;
`POST /control/cuts` with `{"port": …, "at": n, "when": "before" | "after"}` begins to count anew and
cuts at the n-th round trip, before the server has seen it or after it has done it; 0 cuts nothing.
`GET /control/trips?port=` says what each trip since then began with, and whether one was cut.

A round trip is what a client sends up to Sync or Query, or its startup message, and the answer up to
ReadyForQuery. Source: https://www.postgresql.org/docs/15/protocol-flow.html
"""

import json
import socket
import struct
import threading
from urllib.parse import parse_qs

from served import Handler, Server, serve

PROTOCOL_3, CANCEL, TLS, GSS = 196608, 80877102, 80877103, 80877104


class Cut(Exception):
    pass


def take(stream, count):
    data = stream.read(count)
    if len(data) < count:
        raise Cut
    return data


def take_message(stream):
    head = take(stream, 5)
    return head[:1], head + take(stream, struct.unpack(">I", head[1:])[0] - 4)


class Cutter:
    def __init__(self, target):
        self.target, self.lock = target, threading.Lock()
        self.begin(0, "before")
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def begin(self, at, when):
        with self.lock:
            self.at, self.when, self.trips, self.cut = at, when, [], ""

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            threading.Thread(target=Passage(self, client).run, daemon=True).start()

    def count(self, words):
        """Whether this trip is the one that is cut, and how."""
        with self.lock:
            self.trips.append(words)
            if len(self.trips) != self.at:
                return ""
            self.cut = words
            return self.when


class Passage:
    """One connection of a client."""

    def __init__(self, cutter, client):
        self.cutter, self.client, self.holds = cutter, client, False
        self.server = socket.create_connection(("127.0.0.1", cutter.target))
        for end in (client, self.server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def run(self):
        threading.Thread(target=self.guarded, args=(self.answer,), daemon=True).start()
        self.guarded(self.ask)

    def guarded(self, body):
        try:
            body()
        except (Cut, OSError, ValueError):
            pass
        for end in (self.client, self.server):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def ask(self):
        stream = self.client.makefile("rb")
        self.start(stream)
        group, words = b"", ""
        while True:
            kind, message = take_message(stream)
            group += message
            if kind == b"P":
                words = words or message[5:].split(b"\0")[1].decode("utf-8", "replace")
            elif kind == b"Q":
                words = message[5:-1].decode("utf-8", "replace")
            if kind in b"SQF":
                self.forward(group, " ".join(words.split())[:120])
            elif kind in b"HdcfpX":
                self.server.sendall(group)
            else:
                continue
            group, words = b"", ""

    def start(self, stream):
        while True:
            head = take(stream, 8)
            size, code = struct.unpack(">II", head)
            message = head + take(stream, size - 8)
            if code in (TLS, GSS):
                self.client.sendall(b"N")
            elif code == CANCEL:
                self.server.sendall(message)
                raise Cut
            else:
                return self.forward(message, "(startup)")

    def forward(self, group, words):
        fate = self.cutter.count(words)
        if fate == "before":
            raise Cut
        self.holds = self.holds or fate == "after"
        self.server.sendall(group)

    def answer(self):
        stream = self.server.makefile("rb")
        while True:
            kind, message = take_message(stream)
            if not self.holds:
                self.client.sendall(message)
            elif kind == b"Z":
                raise Cut


class Control(Handler):
    def do_POST(self):
        asked = json.loads(self.read_body())
        if self.path == "/control/cutters":
            cutter = Cutter(asked["target"])
            self.server.cutters[cutter.port] = cutter
            return self.send_json({"port": cutter.port})
        self.server.cutters[asked["port"]].begin(asked["at"], asked["when"])
        self.send_json({})

    def do_GET(self):
        cutter = self.server.cutters[int(parse_qs(self.path.partition("?")[2])["port"][0])]
        with cutter.lock:
            self.send_json({"trips": cutter.trips, "cut": cutter.cut})


if __name__ == "__main__":
    server = Server(Control)
    server.cutters = {}
    serve(server)
