"""A proxy in front of any HTTP server that changes single bits of the bodies that pass.

Says `listening on http://127.0.0.1:PORT`, where it is told what to do, and ends with standard
input: `POST /control/proxies` with `{"target": PORT}` opens a port of its own for a test;
`POST /control/flips` with `{"port": …, "direction": "request" | "answer", "body": n, "offset": byte,
"bit": 0…7}` orders a change of the n-th body that is not empty; `GET /control/log?port=` says what
passed.
"""

import json
import queue
import socket
import threading
from urllib.parse import parse_qs

from served import CHUNK, Handler, Server, serve


class Proxy:
    def __init__(self, target):
        self.target, self.lock = target, threading.Lock()
        self.flips, self.log, self.bodies = [], [], {"request": 0, "answer": 0}
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            server = socket.create_connection(("127.0.0.1", self.target))
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            methods = queue.Queue()
            for ends in ((client, server, "request"), (server, client, "answer")):
                threading.Thread(target=self.pass_on, args=(*ends, methods), daemon=True).start()

    def pass_on(self, source, target, direction, methods):
        try:
            stream = source.makefile("rb")
            while self.pass_message(stream, target, direction, methods):
                pass
        except OSError:
            pass
        for end, how in ((target, socket.SHUT_WR), (source, socket.SHUT_RD)):
            try:
                end.shutdown(how)
            except OSError:
                pass

    def pass_message(self, stream, target, direction, methods):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = stream.readline(65_536)
            if not line:
                target.sendall(head)
                return False
            head += line
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.strip().lower(): value.strip()
                   for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length") or 0)
        if direction == "request":
            methods.put(first.split()[0])
        else:
            status = first.split()[1]
            # An answer like 100 comes before the one that the method waits for.
            if status.startswith("1"):
                target.sendall(head)
                return True
            if methods.get() == "HEAD" or status in ("204", "304"):
                length = 0
        entry = {"direction": direction, "line": first, "body_length": length, "flipped": []}
        with self.lock:
            self.log.append(entry)
            flips = []
            if length:
                number = self.bodies[direction]
                self.bodies[direction] += 1
                flips = [flip for flip in self.flips
                         if (flip["direction"], flip["body"]) == (direction, number)]
        target.sendall(head)
        if "chunked" in headers.get("transfer-encoding", "") or (
                direction == "answer" and not length and "content-length" not in headers
                and headers.get("connection") == "close"):
            # Nobody asks for a change here: what follows goes through as it is.
            while chunk := stream.read1(CHUNK):
                target.sendall(chunk)
            return False
        offset = 0
        while offset < length:
            chunk = bytearray(stream.read1(min(CHUNK, length - offset)))
            if not chunk:
                return False
            for flip in flips:
                if 0 <= flip["offset"] - offset < len(chunk):
                    chunk[flip["offset"] - offset] ^= 1 << flip.get("bit", 0)
                    entry["flipped"].append(flip["offset"])
            target.sendall(chunk)
            offset += len(chunk)
        return True


class Control(Handler):
    def do_POST(self):
        asked = json.loads(self.read_body())
        if self.path == "/control/proxies":
            proxy = Proxy(asked["target"])
            self.server.proxies[proxy.port] = proxy
            return self.send_json({"port": proxy.port})
        proxy = self.server.proxies[asked["port"]]
        with proxy.lock:
            proxy.flips.append({"direction": "request", "body": 0, "offset": 0} | asked)
        self.send_json({})

    def do_GET(self):
        proxy = self.server.proxies[int(parse_qs(self.path.partition("?")[2])["port"][0])]
        with proxy.lock:
            self.send_json(proxy.log)


if __name__ == "__main__":
    server = Server(Control)
    server.proxies = {}
    serve(server)
