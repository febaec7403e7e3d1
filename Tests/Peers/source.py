"""Serves files the way bad hosts do, so that a download has something to survive.

Says `listening on http://127.0.0.1:PORT` and ends with standard input. `POST /control/files` makes
a file of its own with a behaviour and answers with its path; `GET /control/log?path=` gives the
requests for it, `POST /control/refresh` a path that works again, `POST /control/change` other bytes.
"""

import base64
import email.utils
import gzip
import hashlib
import json
import random
import re
import time
import uuid
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from served import Gone, Handler, Server, serve

BEHAVIOURS = {
    "strong-etag": "keeps every rule, with a strong ETag",
    "weak-etag": "has a weak ETag, with which nothing can be continued",
    "date-only": "has a Last-Modified and no ETag",
    "no-validator": "answers ranges and has nothing to tell one file from another",
    "ignores-range": "sends the whole file with 200 whatever is asked for",
    "changes": "is another file after the first answer, and says so: 200 with another ETag",
    "ignores-if-range": "is another file after the first answer, and sends a range of it with 206",
    "lies-about-etag": "the same under the ETag of the first file",
    "overlap-differs": "changes the first bytes of each range",
    "wrong-start": "sends a range that begins elsewhere, and says so",
    "wrong-total": "names another total in each Content-Range",
    "no-content-range": "answers 206 and does not say which range",
    "unsatisfiable": "answers 416 to each range",
    "multipart": "answers a range with multipart/byteranges",
    "shorter": "declares a length that is smaller than the file, and keeps to it",
    "longer": "declares a length that is larger than what it sends",
    "no-length": "ends the file with the connection",
    "chunked": "sends chunks and no length",
    "chunked-with-length": "sends chunks, and a length that is smaller than the file",
    "stalls": "stops in the middle and keeps the connection",
    "trickles": "sends a byte now and then",
    "expires": "refuses with `status` after the first answer until it is refreshed",
    "error-page": "sends a page with 200 after the first answer",
    "gzip": "sends it compressed, whatever is accepted",
    "redirect-loop": "redirects to itself",
    "redirects": "redirects to where the file is",
}


@dataclass
class File:
    behaviour: str
    body: bytes
    other: bytes
    content_type: str = "application/octet-stream"
    # Bytes of an answer's body after which the connection ends or stalls, and how often.
    after: int = -1
    drops: int = 0
    reset: bool = False
    status: int = 403
    seconds: float = 60
    shift: int = 1
    stale: bool = False
    answers: int = 0
    modified: float = field(default_factory=lambda: time.time() - 3600)

    @property
    def date(self):
        return email.utils.formatdate(self.modified, usegmt=True)


def etag(body):
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def make(asked):
    """A file as a test describes it: `body` in base64, or `size` bytes of chance after `head`."""
    if "body" in asked:
        body = base64.b64decode(asked["body"])
    else:
        chance, head = random.Random(asked.get("seed", 1)), base64.b64decode(asked.get("head", ""))
        body = (head + chance.randbytes(asked["size"]))[:asked["size"]]
    # As long, and alike at the start: only what follows tells them apart.
    kept = len(body) // 4
    other = body[:kept] + random.Random(2).randbytes(len(body) - kept)
    options = {name: asked[name] for name in (
        "content_type", "after", "drops", "reset", "status", "seconds", "shift") if name in asked}
    if asked["behaviour"] not in BEHAVIOURS:
        raise KeyError(asked["behaviour"])
    if asked["behaviour"] == "stalls":
        options.setdefault("after", len(body) // 2)
    return File(asked["behaviour"], body, other, **options)


class Source(Handler):
    def do_GET(self):
        if self.path.startswith("/control/"):
            return self.control()
        entry = {"path": self.path, "method": self.command, "connection": self.connection_number,
                 "headers": {name.lower(): value for name, value in self.headers.items()},
                 "status": 0, "sent": 0, "dropped": False}
        self.entry = entry
        self.server.record(entry)
        file = self.server.files.get(self.path.partition("?")[0])
        try:
            if not file:
                return self.say(404, {}, b"not found")
            with self.server.lock:
                number, file.answers = file.answers, file.answers + 1
            self.serve_file(file, number)
        except Gone:
            entry["dropped"] = True

    do_HEAD = do_POST = do_DELETE = do_GET

    def control(self):
        path, _, query = self.path.partition("?")
        asked = json.loads(self.read_body() or b"{}")
        files = self.server.files
        try:
            if path == "/control/files":
                file = make(asked)
                name = f"/files/{uuid.uuid4().hex}"
                if file.behaviour == "redirects":
                    files[name + "-there"] = file
                files[name] = file
                return self.send_json({
                    "path": name, "size": len(file.body),
                    "sha256": hashlib.sha256(file.body).hexdigest(),
                    "other_sha256": hashlib.sha256(file.other).hexdigest()})
            if path == "/control/refresh":
                old = files[asked["path"]]
                name = f"/files/{uuid.uuid4().hex}"
                files[name] = File("strong-etag", old.body, old.other, old.content_type,
                                   modified=old.modified)
                return self.send_json({"path": name})
            if path == "/control/change":
                file = files[asked["path"]]
                file.body, file.other, file.modified = file.other, file.body, time.time()
                return self.send_json({})
            if path == "/control/log":
                wanted = parse_qs(query).get("path", [""])[0]
                with self.server.lock:
                    return self.send_json([entry for entry in self.server.log
                                           if wanted in ("", entry["path"])])
            raise KeyError(path)
        except (KeyError, TypeError, ValueError) as error:
            self.send_json({"error": repr(error)}, status=400)

    def serve_file(self, file, number):
        behaviour, body = file.behaviour, file.body
        if behaviour == "redirect-loop":
            return self.say(302, {"Location": self.path}, b"")
        if behaviour == "redirects" and not self.path.endswith("-there"):
            return self.say(302, {"Location": self.path + "-there"}, b"")
        if behaviour == "expires" and number > 0:
            return self.say(file.status, {"Content-Type": "application/xml"},
                            b"<Error><Code>AccessDenied</Code></Error>")
        if behaviour == "error-page" and number > 0:
            return self.say(200, {"Content-Type": "text/html"},
                            b"<!DOCTYPE html><title>Link expired</title>")
        headers = {"Content-Type": file.content_type, "Accept-Ranges": "bytes"}
        if number > 0 and behaviour in ("changes", "ignores-if-range", "lies-about-etag"):
            body = file.other
        tag = etag(file.body if behaviour == "lies-about-etag" else body)
        if behaviour == "weak-etag":
            tag = "W/" + tag
        if behaviour not in ("date-only", "no-validator"):
            headers["ETag"] = tag
        if behaviour in ("date-only", "strong-etag"):
            headers["Last-Modified"] = file.date
        if behaviour == "gzip":
            body = gzip.compress(body, mtime=0)
            headers["Content-Encoding"] = "gzip"
        wanted = self.wanted(file, headers, len(body))
        if wanted is None:
            return self.say_whole(file, headers, body)
        self.say_range(file, headers, body, *wanted)

    def wanted(self, file, headers, size):
        """The range that is to be answered, first and last byte, or None for all of it."""
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if not found or file.behaviour in ("ignores-range", "no-length", "chunked"):
            return None
        condition = self.headers.get("If-Range")
        trusting = file.behaviour in ("ignores-if-range", "lies-about-etag", "no-validator")
        # A weak ETag never agrees with itself here: RFC 9110, 13.1.5.
        if condition and not trusting and (
                condition.startswith("W/")
                or condition not in (headers.get("ETag"), headers.get("Last-Modified"))):
            return None
        return int(found[1]), min(int(found[2] or size - 1), size - 1)

    def say_range(self, file, headers, body, first, last):
        size, behaviour = len(body), file.behaviour
        if behaviour == "unsatisfiable" or first >= size:
            return self.say(416, {"Content-Range": f"bytes */{size}"}, b"")
        if behaviour == "wrong-start":
            first = max(first - file.shift, 0) if file.shift > 0 else min(first - file.shift, last)
        piece = body[first:last + 1]
        if behaviour == "overlap-differs":
            piece = bytes(byte ^ 0x55 for byte in piece[:64]) + piece[64:]
        total = size + file.shift if behaviour == "wrong-total" else size
        said = f"bytes {first}-{last}/{total}"
        if behaviour == "multipart":
            head = f"--seam\r\nContent-Type: {file.content_type}\r\nContent-Range: {said}\r\n\r\n"
            piece = head.encode() + piece + b"\r\n--seam--\r\n"
            headers["Content-Type"] = "multipart/byteranges; boundary=seam"
        elif behaviour != "no-content-range":
            headers["Content-Range"] = said
        self.say(206, headers, piece, file)

    def say_whole(self, file, headers, body):
        declared = len(body)
        if file.behaviour == "shorter":
            body = body[:-file.shift]
            declared = len(body)
        if file.behaviour == "longer":
            declared += file.shift
        if file.behaviour in ("no-length", "chunked", "chunked-with-length"):
            declared = None
        self.say(200, headers, body, file, declared)

    def say(self, status, headers, body, file=None, declared=0):
        declared = len(body) if declared == 0 else declared
        self.entry["status"] = status
        self.send_response_only(status)
        self.send_header("Date", self.date_time_string())
        for name, value in headers.items():
            self.send_header(name, value)
        chunked = file is not None and file.behaviour in ("chunked", "chunked-with-length")
        if chunked:
            if file.behaviour == "chunked-with-length":
                self.send_header("Content-Length", str(len(body) // 2))
            self.send_header("Transfer-Encoding", "chunked")
        elif declared is None:
            self.send_header("Connection", "close")
            self.close_connection = True
        else:
            self.send_header("Content-Length", str(declared))
        self.end_headers()
        if self.command == "HEAD":
            return
        if not file:
            self.wfile.write(body)
            return
        with self.server.lock:
            drops = file.drops != 0 and 0 <= file.after < len(body)
            file.drops -= 1 if drops else 0
        self.send_body(file, body, chunked, file.after if drops else None)
        if declared is not None and declared > len(body):
            self.hang_up()

    def send_body(self, file, body, chunked, drop):
        def send(piece):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
            self.entry["sent"] += len(piece)

        if file.behaviour == "stalls" and self.entry["status"] == 200:
            send(body[:file.after])
            self.stall(file.seconds)
            self.hang_up()
        if file.behaviour == "trickles":
            for index in range(len(body)):
                send(body[index:index + 1])
                self.wfile.flush()
                time.sleep(file.seconds)
            return
        for start in range(0, len(body) if drop is None else drop, 65_536):
            send(body[start:min(start + 65_536, len(body) if drop is None else drop)])
        if drop is not None:
            self.hang_up(reset=file.reset)
        if chunked:
            self.wfile.write(b"0\r\n\r\n")


if __name__ == "__main__":
    server = Server(Source)
    server.files = {}
    serve(server)
