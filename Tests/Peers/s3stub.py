"""A strict S3 server for tests: it checks what real test servers let pass, and fails on order.

Says `listening on http://127.0.0.1:PORT` and ends with standard input. `POST /control/buckets` with
`{"name": …, "profile": "aws" | "r2" | "supabase" | "b2" | "plain"}` makes a bucket and answers with
where it is and the credentials; the other control paths are described at `Control`.
"""

import base64
import email.utils
import hashlib
import json
import re
import time
from datetime import datetime, timezone
from urllib.parse import parse_qs, unquote_plus

import s3operations
import supabase
from s3rules import (
    ACCESS_KEY, PROFILES, SECRET_KEY, SERVICE_KEY, S3Error, header_lists, refuse_headers,
    verify_body_hash, verify_signature)
from s3state import Bucket, Fault, Part, Settings, Stored, Upload, flipped
from served import Gone, Handler, Server, serve

BASE = PROFILES["supabase"].base


def without_secrets(name, value):
    if name == "authorization":
        return re.sub(r"Signature=\w+|(?<=Bearer ).*", "…", value)
    return "…" if name in ("x-amz-security-token", "apikey") else value


class Control:
    """What a test asks of the stub itself, all as JSON; `bucket` says which one is meant.

    POST /control/buckets    name, profile
    DELETE /control/buckets  ?bucket=
    POST /control/objects    key, body in base64, headers: an object that is simply there
    DELETE /control/objects  ?bucket=&key=
    POST /control/uploads    key, parts in base64: an upload that nobody completes
    POST /control/faults     a fault or a list of them: the fields of `Fault`
    DELETE /control/faults   ?bucket=
    POST /control/settings   the fields of `Settings`
    POST /control/flip       key, bit: changes what is stored
    GET /control/log         ?bucket= every request, without secrets
    GET /control/state       ?bucket= objects, uploads, and how many connections asked for them
    """

    def __init__(self, handler):
        self.handler = handler

    def run(self, method, path, query, body):
        asked = json.loads(body) if body else {}
        name = (asked[0] if isinstance(asked, list) else asked).get("bucket") or query.get(
            "bucket", [""])[0]
        buckets = self.handler.server.buckets
        match (method, path):
            case ("POST", "/control/buckets"):
                return self.make(asked["name"], asked.get("profile", "aws"))
            case ("DELETE", "/control/buckets"):
                buckets.pop(name, None)
            case ("POST", "/control/objects"):
                self.put(buckets[name], asked)
            case ("POST", "/control/uploads"):
                return {"id": self.begin_upload(buckets[name], asked)}
            case ("DELETE", "/control/objects"):
                buckets[name].objects.pop(query["key"][0], None)
            case ("POST", "/control/faults"):
                for fault in asked if isinstance(asked, list) else [asked]:
                    fault = dict(fault)
                    bucket = buckets[fault.pop("bucket", name)]
                    bucket.faults.append(Fault(**fault))
            case ("DELETE", "/control/faults"):
                buckets[name].faults.clear()
            case ("POST", "/control/settings"):
                asked.pop("bucket")
                Settings(**asked)  # refuses what it does not know
                for field, value in asked.items():
                    setattr(buckets[name].settings, field, value)
            case ("POST", "/control/flip"):
                kept = buckets[name].objects[asked["key"]]
                kept.body = flipped(kept.body, asked.get("bit", 0))
            case ("GET", "/control/log"):
                with self.handler.server.lock:
                    return [entry for entry in self.handler.server.log
                            if name in ("", entry.get("bucket"))]
            case ("GET", "/control/state"):
                return buckets[name].describe() | {
                    "connections_accepted": self.handler.server.connections}
            case _:
                raise KeyError(path)
        return {}

    def make(self, name, profile):
        bucket = self.handler.server.buckets[name] = Bucket(name, profile)
        return {"base": bucket.profile.base, "region": bucket.profile.region,
                "access_key": ACCESS_KEY, "secret_key": SECRET_KEY, "service_key": SERVICE_KEY}

    @staticmethod
    def put(bucket, asked):
        body = base64.b64decode(asked["body"])
        etag = f'"{hashlib.md5(body).hexdigest()}"'
        with bucket.lock:
            bucket.objects[asked["key"]] = Stored(body, etag, asked.get("headers", {}))

    @staticmethod
    def begin_upload(bucket, asked):
        upload = Upload(asked["key"], {})
        for number, part in enumerate(map(base64.b64decode, asked.get("parts", [])), 1):
            upload.parts[number] = Part(part, f'"{hashlib.md5(part).hexdigest()}"', {})
        with bucket.lock:
            bucket.uploads[upload.identity] = upload
        return upload.identity


class Request:
    """One request, taken apart."""

    def __init__(self, handler, method):
        self.method = method
        self.path, _, self.query_text = handler.path.partition("?")
        self.query = parse_qs(self.query_text, keep_blank_values=True)
        self.headers = header_lists(handler.headers)
        self.body = b""
        self.is_supabase = self.path.startswith("/storage/v1/")
        self.is_rest = self.is_supabase and not self.path.startswith(BASE + "/")
        inner = self.path.removeprefix(BASE)
        host = self.header("host").split(".")[0]
        if host in handler.server.buckets and not self.is_supabase:
            inner = f"/{host}{inner}"
        bucket, _, key = inner.lstrip("/").partition("/")
        try:
            # A plus is a blank here, as it is at Amazon: who means a plus has to escape it.
            self.bucket = unquote_plus(bucket)
            self.key = unquote_plus(key, errors="strict")
        except UnicodeDecodeError:
            self.key = ""

    def header(self, name, fallback=""):
        return self.headers.get(name, [fallback])[0]

    def first(self, name, fallback=""):
        return self.query.get(name, [fallback])[0]


class Stub(Handler):
    def answer_any(self):
        request = Request(self, self.command)
        if request.path.startswith("/control/"):
            try:
                answer = Control(self).run(
                    request.method, request.path, request.query, self.read_body())
                self.send_json(answer)
            except (KeyError, TypeError, ValueError) as error:
                self.send_json({"error": repr(error)}, status=400)
            return
        self.entry = entry = {
            "connection": self.connection_number, "method": request.method, "operation": "",
            "bucket": request.bucket, "key": request.key,
            "path": request.path, "query": re.sub("(X-Amz-Signature=)[^&]*", r"\1…",
                                                  request.query_text),
            "headers": {name: without_secrets(name, ", ".join(values))
                        for name, values in request.headers.items()},
            "body_length": 0, "status": 0, "code": "",
        }
        if request.is_rest:
            operation = supabase.name_operation(request, entry)
        else:
            operation = s3operations.name_operation(request)
        entry["operation"] = operation
        self.server.record(entry)
        bucket = self.server.buckets.get(entry["bucket"])
        fault = None
        try:
            try:
                if bucket:
                    bucket.connections.add(self.connection_number)
                    fault = bucket.take_fault(
                        request.method, operation, entry["key"], request.headers)
                self.fail_before(fault)
                request.body = self.receive(request, bucket, fault)
                entry["body_length"] = len(request.body)
                answer = self.decide(request, operation, bucket, fault)
            except S3Error as error:
                answer = (supabase.ordered(error) if request.is_rest
                          else s3operations.error_answer(error, request))
            self.send(request, answer, bucket, fault)
        except Gone:
            entry["code"] = entry["code"] or "dropped"
            self.close_connection = True

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_PATCH = do_OPTIONS = answer_any

    def receive(self, request, bucket, fault):
        if "chunked" in (self.headers.get("Transfer-Encoding") or ""):
            self.close_connection = True
            raise S3Error(501, "NotImplemented", "A header you provided implies functionality that "
                          "is not implemented: Transfer-Encoding")
        length = self.headers.get("Content-Length")
        if length is None and self.command in ("PUT", "PATCH"):
            raise S3Error(411, "MissingContentLength",
                          "You must provide the Content-Length header.")
        try:
            return bytes(self.read_body(
                until=fault.after if fault and fault.kind == "drop-request" else None))
        except Gone as gone:
            self.entry["body_length"] = len(gone.args[0])
            if fault and fault.done and self.entry["operation"] == "TusPatch":
                supabase.keep_piece(request, bucket, gone.args[0])
            self.hang_up()

    def fail_before(self, fault):
        if not fault:
            return
        if fault.kind == "drop-request" and fault.after == 0:
            self.hang_up(reset=fault.reset)
        if fault.kind == "stall-request":
            self.stall(fault.seconds)
            self.hang_up()
        if fault.kind == "status" and fault.early:
            self.close_connection = True
            raise self.ordered(fault)

    @staticmethod
    def ordered(fault):
        error = S3Error(fault.status, fault.code, headers=fault.headers)
        error.body = fault.body
        return error

    def decide(self, request, operation, bucket, fault):
        """What the answer is, fault included."""
        if not bucket and request.is_rest:
            return supabase.failure(404, "Bucket not found", "Bucket not found")
        if not request.is_rest:
            self.check(request, operation, bucket)
        if not bucket and operation != "CreateBucket":
            raise S3Error(404, "NoSuchBucket", "The specified bucket does not exist")
        if fault and fault.kind == "vanish":
            bucket.settings.vanished = True
        if bucket and bucket.settings.vanished:
            if request.is_rest:
                return supabase.failure(404, "Bucket not found", "Bucket not found")
            raise S3Error(404, "NoSuchBucket", "The specified bucket does not exist")
        if bucket and operation in bucket.settings.denied:
            raise S3Error(403, "AccessDenied", "Access Denied")
        if fault and fault.kind == "hold-request":
            self.await_silence(fault.seconds)
        if fault and fault.kind == "no-such-upload":
            bucket.uploads.pop(request.first("uploadId"), None)
        if fault and fault.kind == "status":
            if fault.done:
                self.run(request, operation, bucket)
            raise self.ordered(fault)
        if fault and fault.kind == "error-in-success":
            if fault.done:
                self.run(request, operation, bucket)
            code = fault.code if fault.code != "SlowDown" else "InternalError"
            return s3operations.error_in_success(code)
        answer = self.run(request, operation, bucket)
        if fault and fault.kind == "wrong-etag":
            answer.change_etag()
        if fault and fault.kind == "flip":
            s3operations.flip_stored(bucket, request, fault.bit)
        return answer

    def check(self, request, operation, bucket):
        profile = bucket.profile if bucket else PROFILES[
            "supabase" if request.is_supabase else self.server.default_profile]
        if bucket and (profile.base == BASE) != request.is_supabase:
            raise S3Error(404, "NoSuchBucket", "This bucket has another base path")
        now = bucket.now() if bucket else datetime.now(timezone.utc)
        refuse_headers(profile, request.headers)
        verify_signature(profile, request.method, request.path, request.query_text,
                         request.headers, now)
        verify_body_hash(profile, request.headers, request.body)
        if request.key:
            if len(request.key.encode()) > 1024:
                raise S3Error(400, "KeyTooLongError", "Your key is too long")
            if profile.key_pattern and not re.fullmatch(profile.key_pattern, request.key):
                raise S3Error(400, "InvalidKey", f"Invalid key: {request.key}")

    def run(self, request, operation, bucket):
        if request.is_rest:
            return supabase.run(request, operation, bucket, self.entry["key"])
        return s3operations.run(request, operation, bucket, self.server)

    def await_silence(self, seconds):
        """Waits until nobody has asked for the bucket for so long; counts those who did."""
        def later():
            return sum(entry["bucket"] == self.entry["bucket"]
                       and entry["number"] > self.entry["number"]
                       for entry in list(self.server.log))

        last, end = later(), time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(0.05)
            if (now := later()) > last:
                last, end = now, time.monotonic() + seconds
        self.entry["meanwhile"] = last

    def send(self, request, answer, bucket, fault):
        if fault and fault.kind == "hold-answer":
            self.await_silence(fault.seconds)
        self.entry["status"], self.entry["code"] = answer.status, answer.code
        self.send_response_only(answer.status)
        # The clock of the server is what its answers say, and what it judges signatures by.
        now = bucket.now() if bucket else datetime.now(timezone.utc)
        self.send_header("Date", email.utils.format_datetime(now, usegmt=True))
        self.send_header("x-amz-request-id", f"{self.entry['number']:016X}")
        for name, value in answer.headers.items():
            self.send_header(name, str(value).encode().decode("latin-1"))
        has_body = request.method != "HEAD" and answer.status not in (204, 304)
        body = answer.body if has_body else b""
        if answer.status not in (204, 304) and "Content-Length" not in answer.headers:
            self.send_header("Content-Length", str(len(answer.body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        if fault and fault.kind == "drop-answer" and fault.after == 0:
            self._headers_buffer = []
            self.hang_up(reset=fault.reset)
        self.end_headers()
        if fault and fault.kind in ("drop-answer", "stall-answer"):
            self.wfile.write(body[:fault.after])
            if fault.kind == "drop-answer":
                self.hang_up(reset=fault.reset)
            self.stall(fault.seconds)
            body = body[fault.after:]
        self.wfile.write(body)


class StubServer(Server):
    def __init__(self):
        super().__init__(Stub)
        self.buckets = {}
        self.default_profile = "aws"


if __name__ == "__main__":
    serve(StubServer())
