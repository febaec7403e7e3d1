"""Sends S3 requests that botocore signed, as they are, so that each can be wrong in one way."""

import base64
import http.client
import json
import re
from datetime import datetime, timedelta, timezone
from unittest import mock
from urllib.parse import quote, urlsplit

import botocore.auth
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

MIB = 1024 * 1024
KINDS = ("rclone", "moto", "ministack", "aws", "r2", "supabase", "b2", "plain")
OURS = KINDS[3:]


class Peer:
    def __init__(self, said):
        self.__dict__.update(said)
        self.address = urlsplit(self.endpoint)
        self.name = self.kind.removeprefix("stub(").rstrip(")")
        self.is_stub = self.name in OURS
        self.wrong = []

    def expect(self, case, got, wanted):
        """`wanted` is a status, or a status and a code, or several of these in a list."""
        wanted = wanted if isinstance(wanted, list) else [wanted]
        status, code = got[0], got[1]
        if not any(status == want if isinstance(want, int) else (status, code) == want
                   for want in wanted):
            self.wrong.append(f"{self.kind}: {case}: expected {wanted}, got {status} {code}")

    def expect_by_kind(self, case, got, others, **kinds):
        """One wanted answer for all, but for those that are named."""
        self.expect(case, got, kinds.get(self.name, others))

    def sign(self, method, key, query="", headers=None, body=b"", secret=None, region=None,
             minutes=0, base=None, payload=None):
        path = f"{self.address.path if base is None else base}/{self.bucket}"
        path += f"/{quote(key, safe='/-_.~')}" if key else ""
        url = f"http://{self.address.netloc}{path}" + (f"?{query}" if query else "")
        request = AWSRequest(method, url, headers=headers or {}, data=body)
        signer = S3SigV4Auth(Credentials(self.access_key, secret or self.secret_key), "s3",
                             self.region if region is None else region)
        if payload:
            signer.payload = lambda _: payload
        moment = datetime.now(timezone.utc) + timedelta(minutes=minutes)
        with mock.patch.object(botocore.auth, "get_current_datetime", lambda *_: moment):
            signer.add_auth(request)
        return request

    def send(self, method, path, headers, body=b"", length=None):
        """Status, code, headers and body of the answer; 0 when there was none."""
        connection = http.client.HTTPConnection(
            self.address.hostname, self.address.port, timeout=30)
        try:
            connection.putrequest(method, path, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name, value)
            if method in ("PUT", "POST", "PATCH") and "Transfer-Encoding" not in headers:
                connection.putheader("Content-Length", str(len(body) if length is None else length))
            connection.endheaders(body or None)
            if length is not None and length > len(body):
                connection.sock.shutdown(1)
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException):
            return 0, "", {}, b""
        finally:
            connection.close()
        found = re.search(rb"<Code>(\w+)</Code>", text)
        return (answer.status, found[1].decode() if found else "",
                {name.lower(): value for name, value in answer.getheaders()}, text)

    def ask(self, method, key="", query="", headers=None, body=b"", drop=(), add=None, length=None,
            path="", **how):
        request = self.sign(method, key, query, headers, body, **how)
        sent = {name: value for name, value in request.headers.items() if name not in drop}
        place = urlsplit(request.url)
        target = path or place.path + (f"?{place.query}" if place.query else "")
        return self.send(method, target, sent | (add or {}), body, length)

    def control(self, path, **fields):
        return self.send("POST", f"/control/{path}", {},
                         json.dumps(fields | {"bucket": self.bucket}).encode())

    def state(self):
        return json.loads(self.send("GET", f"/control/state?bucket={self.bucket}", {})[3])


def text(digest):
    return base64.b64encode(digest).decode()
