"""What the servers of this folder share: threads, keep-alive, a log, an end with standard input."""

import json
import os
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CHUNK = 256 * 1024


class Gone(Exception):
    """The other side went away, or is to be left without an answer."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, handler):
        super().__init__(("127.0.0.1", 0), handler)
        self.lock = threading.RLock()
        self.connections = 0
        self.log = []

    def next_connection(self):
        with self.lock:
            self.connections += 1
            return self.connections

    def record(self, entry):
        with self.lock:
            entry["number"] = len(self.log)
            self.log.append(entry)

    def handle_error(self, request, client_address):
        # Somebody who hangs up is what half of the tests are about.
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError, Gone)):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 64 * 1024

    def setup(self):
        super().setup()
        self.connection_number = self.server.next_connection()

    def log_message(self, *_):
        pass

    def handle_expect_100(self):
        go_on = super().handle_expect_100()
        self.wfile.flush()
        return go_on

    def read_body(self, until=None):
        """The body; `Gone` with what came of it when it ends early, or after `until` bytes."""
        length = int(self.headers.get("Content-Length") or 0)
        body = bytearray()
        while len(body) < length:
            if until is not None and len(body) >= until:
                raise Gone(body)
            left = length if until is None else until
            chunk = self.rfile.read(min(CHUNK, length - len(body), left - len(body)))
            if not chunk:
                self.close_connection = True
                raise Gone(body)
            body += chunk
        return body

    def hang_up(self, reset=False):
        """Ends the connection without another word."""
        self.close_connection = True
        try:
            if reset:
                linger = (1).to_bytes(4, "little") + bytes(4)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            else:
                self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        raise Gone()

    def stall(self, seconds):
        """Says nothing until the other side leaves, at most so long."""
        self.wfile.flush()
        end = time.monotonic() + seconds
        self.connection.settimeout(0.05)
        while time.monotonic() < end:
            try:
                if not self.connection.recv(1, socket.MSG_PEEK):
                    break
                time.sleep(0.05)
            except TimeoutError:
                continue
            except OSError:
                break
        self.connection.settimeout(None)

    def send_json(self, value, status=200):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def finish(self):
        try:
            super().finish()
        except OSError:
            pass


def serve(server):
    """Serves until standard input ends, and with it whoever started this."""

    def leave():
        sys.stdin.buffer.read()
        os._exit(0)

    print(f"listening on http://127.0.0.1:{server.server_address[1]}", flush=True)
    threading.Thread(target=leave, daemon=True).start()
    server.serve_forever(poll_interval=60)
