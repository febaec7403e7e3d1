"""A proxy in front of an S3 server that answers a share of all requests with 503.

Says `listening on http://127.0.0.1:PORT`, where it is told what to do, and ends with standard
input: `POST /control/storms` with `{"target": PORT, "seed": n, "rate": 0…1, "after": 0…1}` opens a
port of its own for a test. Of the requests that are answered with 503, the share `after` has had
its effect on the server before. `POST /control/calm` with `{"port": …}` ends the storm there;
`GET /control/seen?port=` says how many requests came, how many were refused, and which keys were
written with no bytes at all.
"""

import http.client
import json
import random
import threading
from urllib.parse import parse_qs, unquote

from served import Handler, Server, serve

SLOW_DOWN = (b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>SlowDown</Code>'
             b"<Message>Please reduce your request rate.</Message></Error>")
# What belongs to one connection and is not passed on.
OWN = {"connection", "keep-alive", "transfer-encoding", "content-length", "expect"}


class Storm(Handler):
    def answer_any(self):
        body = bytes(self.read_body())
        fate = self.server.draw(self.command, self.path, len(body))
        if fate == "before":
            return self.send(503, [("Content-Type", "application/xml")], SLOW_DOWN)
        status, headers, answer = self.pass_on(body)
        if fate == "after":
            return self.send(503, [("Content-Type", "application/xml")], SLOW_DOWN)
        self.send(status, headers, answer)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_OPTIONS = answer_any

    def pass_on(self, body):
        there = http.client.HTTPConnection("127.0.0.1", self.server.target, timeout=60)
        try:
            there.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in OWN:
                    there.putheader(name, value)
            if "Content-Length" in self.headers:
                there.putheader("Content-Length", self.headers["Content-Length"])
            there.endheaders(body or None)
            answer = there.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            there.close()

    def send(self, status, headers, body):
        self.send_response_only(status)
        length = str(len(body))
        for name, value in headers:
            if name.lower() == "content-length" and self.command == "HEAD":
                length = value
            elif name.lower() not in OWN:
                self.send_header(name, value)
        if status not in (204, 304):
            self.send_header("Content-Length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class StormServer(Server):
    def __init__(self, target, seed, rate, after):
        super().__init__(Storm)
        self.target, self.rate, self.after = target, rate, after
        self.chance = random.Random(seed)
        self.requests, self.refused, self.emptied = 0, 0, []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def draw(self, method, path, length):
        with self.lock:
            self.requests += 1
            key, _, query = path.partition("?")
            if method == "PUT" and length == 0 and not query and "/.probe-" not in key:
                self.emptied.append(unquote(key))
            if self.chance.random() >= self.rate:
                return "through"
            self.refused += 1
            return "after" if self.chance.random() < self.after else "before"


class Control(Handler):
    def do_POST(self):
        asked = json.loads(self.read_body())
        storms = self.server.storms
        if self.path == "/control/storms":
            storm = StormServer(asked["target"], asked["seed"], asked["rate"], asked["after"])
            storms[storm.server_address[1]] = storm
            return self.send_json({"port": storm.server_address[1]})
        storms[asked["port"]].rate = 0
        self.send_json({})

    def do_GET(self):
        storm = self.server.storms[int(parse_qs(self.path.partition("?")[2])["port"][0])]
        with storm.lock:
            self.send_json({"requests": storm.requests, "refused": storm.refused,
                            "emptied": storm.emptied})


if __name__ == "__main__":
    server = Server(Control)
    server.storms = {}
    serve(server)
