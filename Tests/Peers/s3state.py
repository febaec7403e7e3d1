"""What the strict S3 stub keeps: buckets with their objects, uploads, faults and settings."""

import hashlib
import threading
import time
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from s3rules import ALGORITHMS, PROFILES, S3Error, text


@dataclass
class Stored:
    body: bytes
    etag: str
    headers: dict = field(default_factory=dict)  # content type, cache control, metadata, …
    checksums: dict = field(default_factory=dict)
    checksum_type: str = ""
    modified: datetime = field(default_factory=lambda: datetime.now(timezone.utc))


@dataclass
class Part:
    body: bytes
    etag: str
    checksums: dict
    modified: datetime = field(default_factory=lambda: datetime.now(timezone.utc))


@dataclass
class Upload:
    key: str
    headers: dict
    algorithm: str = ""
    checksum_type: str = ""
    identity: str = field(default_factory=lambda: uuid.uuid4().hex)
    parts: dict = field(default_factory=dict)
    initiated: datetime = field(default_factory=lambda: datetime.now(timezone.utc))


@dataclass
class Tus:
    """A resumable upload of Supabase."""

    key: str
    length: int | None  # None as long as it is deferred
    headers: dict
    upsert: bool
    body: bytearray = field(default_factory=bytearray)


@dataclass
class Fault:
    """What goes wrong with the next `times` requests that fit, after `skip` that do."""

    kind: str
    times: int = 1  # below zero: always
    skip: int = 0
    method: str = ""
    operation: str = ""
    key: str = ""
    conditional: bool = False  # only requests with If-None-Match
    status: int = 503
    code: str = "SlowDown"
    headers: dict = field(default_factory=dict)
    body: str = ""  # instead of an error in XML
    early: bool = False  # before the request's body was read; the connection ends then
    after: int = 0  # bytes of the body, or of the answer's body
    reset: bool = False
    seconds: float = 60
    bit: int = 0
    done: bool = False  # the operation has its effect all the same, as far as it came

    def fits(self, method, operation, key, headers):
        return (self.times != 0 and self.method in ("", method)
                and self.operation in ("", operation) and self.key in ("", key)
                and (not self.conditional or "if-none-match" in headers))


@dataclass
class Settings:
    """What a test may change of a bucket at any time."""

    skew_minutes: float = 0  # how far the server's clock is off
    clock_advance: float = 0  # seconds that pass at once for the limit of writes
    vanished: bool = False
    denied: list = field(default_factory=list)  # operations
    quota_bytes: int = -1
    quota_status: int = 403  # or 507
    joins_unconditionally: bool = False  # the end of an upload in parts overwrites


class Bucket:
    def __init__(self, name, profile):
        self.name, self.profile_name, self.profile = name, profile, PROFILES[profile]
        self.lock = threading.RLock()
        self.objects, self.uploads, self.resumable, self.written = {}, {}, {}, {}
        self.faults, self.settings, self.connections = [], Settings(), set()

    def now(self):
        return datetime.now(timezone.utc) + timedelta(minutes=self.settings.skew_minutes)

    def take_fault(self, method, operation, key, headers):
        with self.lock:
            for fault in self.faults:
                if not fault.fits(method, operation, key, headers):
                    continue
                if fault.skip > 0:
                    fault.skip -= 1
                    continue
                fault.times -= 1
                return fault
        return None

    def refuse_if_full(self, count):
        limit = self.settings.quota_bytes
        if limit >= 0 and count + sum(len(kept.body) for kept in self.objects.values()) > limit:
            if self.settings.quota_status == 507:
                raise S3Error(507, "InsufficientStorage", "There is no space left.")
            raise S3Error(403, "QuotaExceeded", "The quota has been exceeded.")

    def refuse_if_too_soon(self, key):
        pause = self.profile.seconds_between_writes
        moment = time.monotonic() + self.settings.clock_advance
        if pause and moment - self.written.get(key, -pause) < pause:
            raise S3Error(429, "TooManyRequests",
                          "Reduce your concurrent request rate for the same object.")
        return moment

    def refuse_condition(self, key, headers):
        """Whether the object may be written, as If-None-Match and If-Match have it."""
        wanted, unwanted = headers.get("if-match"), headers.get("if-none-match")
        if not (wanted or unwanted) or self.profile.conditions == "ignored":
            return
        name = "If-Match" if wanted else "If-None-Match"
        if self.profile.conditions == "refused" or (unwanted and unwanted[0] != "*"):
            raise S3Error(501, "NotImplemented",
                          "A header you provided implies functionality that is not implemented: "
                          + name)
        kept = self.objects.get(key)
        if wanted and not kept:
            raise S3Error(404, "NoSuchKey", "The specified key does not exist.")
        if (unwanted and kept) or (wanted and wanted[0] != kept.etag):
            raise S3Error(412, "PreconditionFailed", "At least one of the pre-conditions you "
                          f"specified did not hold: {name}")

    def write(self, key, stored, headers):
        """One write at a time: the condition holds at the moment of the change."""
        with self.lock:
            moment = self.refuse_if_too_soon(key)
            self.refuse_condition(key, headers)
            self.refuse_if_full(len(stored.body))
            self.objects[key] = stored
            self.written[key] = moment

    def upload(self, identity, key):
        upload = self.uploads.get(identity)
        if not upload or upload.key != key:
            raise S3Error(404, "NoSuchUpload", "The specified upload does not exist. The upload ID "
                          "may be invalid, or the upload may have been aborted or completed.")
        return upload

    def assemble(self, upload, listed):
        """The object that the listed parts make: (number, ETag, checksums) of each."""
        profile = self.profile
        if [item[0] for item in listed] != sorted({item[0] for item in listed}):
            raise S3Error(400, "InvalidPartOrder", "The list of parts was not in ascending order.")
        parts = []
        for number, etag, sums in listed:
            part = upload.parts.get(number)
            if not part or part.etag.strip('"') != etag.strip('"'):
                raise S3Error(400, "InvalidPart", "One or more of the specified parts could not be "
                              f"found, or its entity tag is another: {number}")
            if upload.checksum_type == "COMPOSITE" and upload.algorithm not in sums:
                raise S3Error(400, "InvalidRequest",
                              f"The upload was created using a {upload.algorithm} checksum. The "
                              "complete request must include the checksum for each part. It was "
                              f"missing for part {number} in the request.")
            if any(part.checksums.get(name) != value for name, value in sums.items()):
                raise S3Error(400, "InvalidPart", f"the checksum of part {number} is another")
            parts.append(part)
        sizes = [len(part.body) for part in parts]
        if any(size < profile.smallest_part for size in sizes[:-1]):
            raise S3Error(400, "EntityTooSmall",
                          "Your proposed upload is smaller than the minimum allowed size")
        if profile.equal_parts and (len(set(sizes[:-1])) > 1 or sizes[-1] > sizes[0]):
            raise S3Error(400, "InvalidPart",
                          "All non-trailing parts must have the same length.")
        body = b"".join(part.body for part in parts)
        tags = b"".join(bytes.fromhex(part.etag.strip('"')) for part in parts)
        sums = {}
        if upload.checksum_type == "COMPOSITE":
            joined = b"".join(ALGORITHMS[upload.algorithm](part.body) for part in parts)
            sums[upload.algorithm] = f"{text(ALGORITHMS[upload.algorithm](joined))}-{len(parts)}"
        elif upload.checksum_type:
            sums[upload.algorithm] = text(ALGORITHMS[upload.algorithm](body))
        return Stored(body, f'"{hashlib.md5(tags).hexdigest()}-{len(parts)}"', upload.headers, sums,
                      upload.checksum_type)

    def describe(self):
        with self.lock:
            return {
                "profile": self.profile_name,
                "connections": len(self.connections),
                "objects": [
                    {"key": key, "size": len(kept.body), "etag": kept.etag,
                     "sha256": hashlib.sha256(kept.body).hexdigest(), "headers": kept.headers,
                     "checksums": kept.checksums, "checksum_type": kept.checksum_type}
                    for key, kept in sorted(self.objects.items())],
                "uploads": [
                    {"key": upload.key, "id": identity,
                     "parts": {number: len(part.body) for number, part in upload.parts.items()}}
                    for identity, upload in self.uploads.items()],
                "resumable": [
                    {"key": upload.key, "id": identity, "length": upload.length,
                     "offset": len(upload.body)} for identity, upload in self.resumable.items()],
            }


def flipped(body, bit):
    changed = bytearray(body)
    changed[bit // 8 % len(changed)] ^= 1 << bit % 8
    return bytes(changed)
