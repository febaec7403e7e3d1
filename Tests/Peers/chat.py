"""A chat's webhook that behaves badly: what it does stands in the path.

    chat.py

prints `listening on http://127.0.0.1:PORT`, and ends when standard input does. `GET /said` answers
with the bodies that came, as a JSON list.
"""

import json
import os
import socket
import struct
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SAID = []


class Chat(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *words):
        pass

    def answer(self, status, body=b"ok", headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer(200, json.dumps(SAID).encode())

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        kind = self.path.split("/")[1]
        SAID.append({"path": self.path, "body": body.decode(),
                     "type": self.headers["Content-Type"]})
        if kind == "hang":
            time.sleep(60)
        elif kind == "drip":
            self.send_response(200)
            self.end_headers()
            for _ in range(60):
                self.wfile.write(b".")
                self.wfile.flush()
                time.sleep(1)
        elif kind == "reset":
            self.connection.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
        elif kind == "redirect":
            self.answer(302, headers=[("Location", "/taken/elsewhere")])
        elif kind == "large":
            self.answer(200, b"x" * (10 << 20))
        elif kind == "garbage":
            self.connection.sendall(b"\x00\xff not HTTP\r\n\r\n")
            self.close_connection = True
        elif kind.isdigit():
            self.answer(int(kind))
        else:
            self.answer(200)

    def handle(self):
        try:
            super().handle()
        except (BrokenPipeError, ConnectionResetError, OSError, ValueError):
            pass


def main():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Chat)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
    sys.stdin.read()
    os._exit(0)


main()
