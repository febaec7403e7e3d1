"""What the strict S3 stub holds a request against: profiles, signatures, checksums.

The signature is recomputed by `awssig`, and checksums by the AWS runtime: neither is ours.
"""

import base64
import hashlib
import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from urllib.parse import parse_qsl

from awscrt import checksums
from awssig import AWSSigV4S3Verifier, InvalidSignatureError

ACCESS_KEY, SECRET_KEY = "holdfast-test-key", "holdfast-test-secret/with+signs=="
SERVICE_KEY = "holdfast-test-service-key"
MIB = 1024 * 1024
LONGEST_SKEW = timedelta(minutes=15)
LONGEST_LIFE = 7 * 24 * 3600


class S3Error(Exception):
    def __init__(self, status, code, message="", headers=None):
        super().__init__(code)
        self.status, self.code, self.message = status, code, message or code
        self.headers = headers or {}


@dataclass(frozen=True)
class Profile:
    """How a vendor differs from the others; what is not said here is alike for all."""

    region: str
    regions: tuple = ()  # all that a signature may name; empty: only `region`
    base: str = ""  # part of the path, and of what is signed
    conditions: str = "honoured"  # or ignored, or refused
    checksums: str = "verified"  # or ignored, or refused
    checks_body_hash: bool = True
    smallest_part: int = 5 * MIB
    equal_parts: bool = False
    failed_condition_aborts: bool = False
    seconds_between_writes: float = 0
    refused_headers: tuple = ()
    key_pattern: str = ""
    cache_control: str = ""
    full_object: tuple = ("crc32", "crc32c", "crc64nvme")


PROFILES = {
    "aws": Profile(region="eu-central-1"),
    "r2": Profile(
        region="auto", regions=("auto", "us-east-1", ""), equal_parts=True,
        failed_condition_aborts=True, seconds_between_writes=1, full_object=("crc64nvme",),
        refused_headers=("x-amz-acl", "x-amz-grant-", "x-amz-tagging")),
    "supabase": Profile(
        region="eu-central-1", regions=("*",), base="/storage/v1/s3", conditions="ignored",
        checksums="ignored", checks_body_hash=False, cache_control="no-cache",
        key_pattern=r"[A-Za-z0-9_/!.*'()&$@=;:+,?\- ]+"),
    "b2": Profile(
        region="us-west-004", conditions="refused", checksums="refused",
        refused_headers=("x-amz-tagging",)),
    "plain": Profile(
        region="us-east-1", regions=("*",), conditions="ignored", checksums="ignored",
        checks_body_hash=False, smallest_part=0),
}


# Signatures

def header_lists(headers):
    """Small names, each with all its values, as they were before HTTP made Latin-1 of them."""
    lists = {}
    for name, value in headers.items():
        try:
            value = value.encode("latin-1").decode()
        except UnicodeError:
            pass
        lists.setdefault(name.lower(), []).append(value.strip())
    return lists


@dataclass
class Presented:
    """What a request claims to be signed with."""

    access_key: str
    region: str
    signed: list
    when: datetime
    lifetime: int | None = None  # of a presigned address


def presented(headers, query):
    fields = dict(parse_qsl(query, keep_blank_values=True))
    if "X-Amz-Signature" in fields:
        credential = fields.get("X-Amz-Credential", "")
        names = fields.get("X-Amz-SignedHeaders", "")
        date, lifetime = fields.get("X-Amz-Date", ""), fields.get("X-Amz-Expires", "")
        wrong = "AuthorizationQueryParametersError"
        if not lifetime.isdigit() or not 1 <= int(lifetime) <= LONGEST_LIFE:
            raise S3Error(400, wrong, "X-Amz-Expires must be between 1 and 604800 seconds")
    else:
        line = ", ".join(headers.get("authorization", []))
        if not line:
            raise S3Error(403, "AccessDenied", "Access Denied: no signature")
        wrong, lifetime = "AuthorizationHeaderMalformed", None
        found = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=([^,]+), ?SignedHeaders=([^,]+), ?"
                             r"Signature=[0-9a-f]{64}", line)
        if not found:
            raise S3Error(400, wrong, "The authorization header is malformed")
        credential, names = found[1], found[2]
        date = ", ".join(headers.get("x-amz-date", []))
    parts = credential.split("/")
    if len(parts) != 5 or parts[3:] != ["s3", "aws4_request"] or parts[1] != date[:8]:
        raise S3Error(400, wrong, f"the credential scope is malformed: {credential}")
    try:
        when = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
    except ValueError:
        raise S3Error(403, "AccessDenied", "AWS authentication requires a valid Date") from None
    return Presented(parts[0], parts[2], names.split(";"), when, lifetime and int(lifetime))


def verify_signature(profile, method, path, query, headers, now):
    """- Raises: what S3 answers when it does not know, believe or understand the signature."""
    claim = presented(headers, query)
    if profile.regions != ("*",) and claim.region not in (profile.regions or (profile.region,)):
        raise S3Error(400, "AuthorizationHeaderMalformed",
                      f"the region '{claim.region}' is wrong; expecting '{profile.region}'")
    if claim.access_key != ACCESS_KEY:
        raise S3Error(403, "InvalidAccessKeyId", "The access key does not exist in our records")
    if claim.lifetime is None:
        if abs(now - claim.when) > LONGEST_SKEW:
            raise S3Error(403, "RequestTimeTooSkewed",
                          "The difference between the request time and the server's time is too "
                          "large")
    elif now < claim.when - LONGEST_SKEW:
        raise S3Error(403, "AccessDenied", "Request is not valid yet")
    elif now > claim.when + timedelta(seconds=claim.lifetime):
        raise S3Error(403, "AccessDenied", "Request has expired")
    unsigned = [name for name in headers if name not in claim.signed and
                (name == "host" or name.startswith("x-amz-"))]
    if unsigned:
        raise S3Error(403, "AccessDenied", "There were headers present in the request which were "
                      f"not signed: {', '.join(sorted(unsigned))}")
    if claim.lifetime is not None:
        headers = headers | {"x-amz-content-sha256": ["UNSIGNED-PAYLOAD"]}
    elif "x-amz-content-sha256" not in headers:
        raise S3Error(400, "InvalidRequest",
                      "Missing required header for this request: x-amz-content-sha256")
    try:
        # The time was judged above, by a clock that a test can set.
        AWSSigV4S3Verifier(
            request_method=method, uri_path=path, query_string=query, headers=headers, body=b"",
            region=claim.region, service="s3", timestamp_mismatch=None,
            key_mapping=lambda _: SECRET_KEY).verify()
    except InvalidSignatureError:
        raise S3Error(403, "SignatureDoesNotMatch",
                      "The request signature we calculated does not match the signature you "
                      "provided. Check your key and signing method.") from None


def verify_body_hash(profile, headers, body):
    declared = headers.get("x-amz-content-sha256", ["UNSIGNED-PAYLOAD"])[0]
    if declared.startswith("STREAMING-"):
        # Supabase and Amazon take these; nobody who tests against this stub has to send them.
        raise S3Error(501, "NotImplemented", f"{declared} not implemented")
    if declared == "UNSIGNED-PAYLOAD":
        return
    if not re.fullmatch("[0-9a-f]{64}", declared):
        raise S3Error(400, "InvalidArgument", "x-amz-content-sha256 must be UNSIGNED-PAYLOAD or a "
                      "valid sha256 value")
    if profile.checks_body_hash and hashlib.sha256(body).hexdigest() != declared:
        raise S3Error(400, "XAmzContentSHA256Mismatch",
                      "The provided 'x-amz-content-sha256' header does not match what was computed.")


# Checksums

def number(function, size):
    return lambda body: function(bytes(body)).to_bytes(size, "big")


ALGORITHMS = {
    "crc32": number(checksums.crc32, 4),
    "crc32c": number(checksums.crc32c, 4),
    "crc64nvme": number(checksums.crc64nvme, 8),
    "sha1": lambda body: hashlib.sha1(body).digest(),
    "sha256": lambda body: hashlib.sha256(body).digest(),
}
# Headers of that name that are no checksum.
WORDS = ("algorithm", "mode", "type")


def text(digest):
    return base64.b64encode(digest).decode()


def refuse_headers(profile, headers):
    for name in headers:
        if any(name.startswith(refused) for refused in profile.refused_headers):
            raise S3Error(501, "NotImplemented", f"Header '{name}' with value "
                          f"'{headers[name][0]}' not implemented")
        if profile.checksums == "refused" and (
                name.startswith("x-amz-checksum-") or name == "x-amz-sdk-checksum-algorithm"):
            raise S3Error(400, "InvalidArgument",
                          f"Unsupported header '{name}' received for this API call.")


def verify_checksums(profile, headers, body):
    """The checksums that were sent, by algorithm, after they proved true of the body."""
    if sent := headers.get("content-md5"):
        try:
            digest = base64.b64decode(sent[0], validate=True)
        except ValueError:
            digest = b""
        if len(digest) != 16:
            raise S3Error(400, "InvalidDigest", "The Content-MD5 you specified is not valid.")
        if hashlib.md5(body).digest() != digest:
            raise S3Error(400, "BadDigest", "The Content-MD5 you specified did not match what we "
                          "received.")
    if profile.checksums != "verified":
        return {}
    found = {}
    for name, values in headers.items():
        algorithm = name.removeprefix("x-amz-checksum-")
        if algorithm == name or algorithm in WORDS:
            continue
        if algorithm not in ALGORITHMS:
            raise S3Error(400, "InvalidRequest", f"unknown checksum algorithm: {algorithm}")
        if text(ALGORITHMS[algorithm](body)) != values[0]:
            raise S3Error(400, "BadDigest",
                          f"The {algorithm.upper()} you specified did not match the calculated "
                          "checksum.")
        found[algorithm] = values[0]
    if len(found) > 1:
        raise S3Error(400, "InvalidRequest",
                      "Expecting a single x-amz-checksum- header. Multiple checksum Types are not "
                      "allowed.")
    return found


def declared_checksum(profile, headers):
    """Algorithm and type of an upload's checksums, both empty when it has none."""
    algorithm = headers.get("x-amz-checksum-algorithm", [""])[0].lower()
    kind = headers.get("x-amz-checksum-type", [""])[0]
    if profile.checksums != "verified" or not (algorithm or kind):
        return "", ""
    if algorithm not in ALGORITHMS:
        raise S3Error(400, "InvalidRequest",
                      f"Checksum algorithm provided is unsupported: {algorithm}")
    kind = kind or ("FULL_OBJECT" if algorithm == "crc64nvme" else "COMPOSITE")
    allowed = {"FULL_OBJECT": algorithm in profile.full_object,
               "COMPOSITE": algorithm != "crc64nvme"}
    if not allowed.get(kind):
        raise S3Error(400, "InvalidRequest", f"The {kind} checksum type cannot be used with the "
                      f"{algorithm} checksum algorithm.")
    return algorithm, kind
