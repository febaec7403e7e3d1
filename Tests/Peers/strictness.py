"""Proves that a peer refuses what tests rely on it to refuse, and takes what is right.

Reads a peer as JSON from standard input (kind, endpoint, access_key, secret_key, region, bucket,
service_key) and writes a list of what was not as expected. What is expected of servers that are not
ours is what they were seen to do: when one of them learns to be stricter, this says so.
"""

import hashlib
import io
import json
import re
import sys
import threading
import time
import zlib
from datetime import datetime, timedelta, timezone
from unittest import mock
from urllib.parse import quote, urlsplit

import boto3
import botocore.auth
from awscrt.checksums import crc64nvme
from boto3.exceptions import S3UploadFailedError
from boto3.s3.transfer import TransferConfig
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from asker import MIB, Peer, text


def signatures(peer):
    peer.expect("a good request", peer.ask("PUT", "good", body=b"x"), 200)
    peer.expect("a key with odd letters", peer.ask("PUT", "a b+c=d/e&f", body=b"x"), 200)
    peer.expect("another secret", peer.ask("PUT", "bad", body=b"x", secret="wrong"), 403)
    peer.expect_by_kind("no signature", peer.ask("PUT", "bad", body=b"x", drop=["Authorization"]),
                        403, rclone=400, moto=500)
    if peer.name != "moto":
        peer.expect_by_kind("20 minutes late", peer.ask("PUT", "bad", body=b"x", minutes=-20),
                            (403, "RequestTimeTooSkewed"), rclone=400)
        peer.expect_by_kind("20 minutes early", peer.ask("PUT", "bad", body=b"x", minutes=20),
                            (403, "RequestTimeTooSkewed"), rclone=403)
    if not peer.is_stub:
        return
    peer.expect("14 minutes late", peer.ask("PUT", "late", body=b"x", minutes=-14), 200)
    peer.expect("a header that is not signed",
                peer.ask("PUT", "bad", body=b"x", add={"x-amz-meta-more": "1"}),
                (403, "AccessDenied"))
    query = f"{peer.address.path}/{peer.bucket}?list-type=2&max-keys=1"
    peer.expect("a changed query", peer.ask("GET", query="list-type=2", path=query),
                (403, "SignatureDoesNotMatch"))
    peer.expect("no body hash", peer.ask("PUT", "bad", body=b"x", drop=["X-Amz-Content-SHA256"]),
                [(400, "InvalidRequest"), (403, "SignatureDoesNotMatch")])
    region = peer.ask("PUT", "region", body=b"x", region="ap-south-1")
    peer.expect_by_kind("another region", region, (400, "AuthorizationHeaderMalformed"),
                        supabase=200, plain=200)
    if peer.name == "supabase":
        path = f"{peer.address.path}/{peer.bucket}/bad"
        peer.expect("a signature without the base path",
                    peer.ask("PUT", "bad", body=b"x", base="", path=path),
                    (403, "SignatureDoesNotMatch"))
        peer.expect("a key with other letters", peer.ask("PUT", "schön", body=b"x"),
                    (400, "InvalidKey"))
    peer.expect("nothing of that is there", peer.ask("HEAD", "bad"), 404)


def presigned(peer):
    def address(seconds, minutes=0):
        request = AWSRequest("GET", f"{peer.endpoint}/{peer.bucket}/good")
        signer = S3SigV4QueryAuth(Credentials(peer.access_key, peer.secret_key), "s3", peer.region,
                                  expires=seconds)
        moment = datetime.now(timezone.utc) + timedelta(minutes=minutes)
        with mock.patch.object(botocore.auth, "get_current_datetime", lambda *_: moment):
            signer.add_auth(request)
        place = urlsplit(request.url)
        return f"{place.path}?{place.query}"

    if peer.name == "moto":
        return
    peer.expect("a presigned address", peer.send("GET", address(60), {}), 200)
    peer.expect_by_kind("one that is over", peer.send("GET", address(60, -2), {}), 403, rclone=400)
    tampered = re.sub("(X-Amz-Signature=).{8}", r"\g<1>00000000", address(60))
    peer.expect("one that was changed", peer.send("GET", tampered, {}), 403)
    if peer.is_stub:
        peer.expect("one for too long", peer.send("GET", address(700_000), {}), 400)


def integrity(peer):
    body, other = b"the body", b"the bodY"
    # Signed for one body and sent with another.
    request = peer.sign("PUT", "hash", body=body)
    got = peer.send("PUT", urlsplit(request.url).path, dict(request.headers.items()), other)
    peer.expect_by_kind("a body that is not what was signed", got,
                        (400, "XAmzContentSHA256Mismatch"), rclone=200, moto=200, ministack=200,
                        supabase=200, plain=200)
    md5 = {"Content-MD5": text(hashlib.md5(body).digest())}
    peer.expect("the right MD5", peer.ask("PUT", "md5", headers=md5, body=body), 200)
    peer.expect_by_kind("a wrong MD5", peer.ask("PUT", "md5-wrong", headers=md5, body=other), 400,
                        moto=200)
    for name, digest in (("sha256", hashlib.sha256(body).digest()),
                         ("crc32", zlib.crc32(body).to_bytes(4, "big")),
                         ("crc64nvme", crc64nvme(body).to_bytes(8, "big"))):
        headers = {f"x-amz-checksum-{name}": text(digest)}
        good = peer.ask("PUT", name, headers=headers, body=body)
        peer.expect_by_kind(f"the right {name}", good, 200, b2=(400, "InvalidArgument"))
        wrong = peer.ask("PUT", name + "-wrong", headers=headers, body=other)
        peer.expect_by_kind(f"a wrong {name}", wrong, 400, rclone=200, moto=200, supabase=200,
                            plain=200)
        if peer.name in ("aws", "r2"):
            head = peer.ask("HEAD", name, headers={"x-amz-checksum-mode": "ENABLED"})[2]
            peer.expect(f"{name} comes back", (head.get(f"x-amz-checksum-{name}"), ""),
                        [(text(digest), "")])
    got = peer.ask("PUT", "cut", body=body, length=100)
    peer.expect("a body that was cut off", peer.ask("HEAD", "cut"), 404)
    if peer.is_stub:
        peer.expect("and no answer to it", got, 0)
        chunked = {"Transfer-Encoding": "chunked"}
        peer.expect("a body of no length", peer.ask("PUT", "chunked", add=chunked), 501)
        streaming = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
        peer.expect("a signature for each chunk",
                    peer.ask("PUT", "streaming", payload=streaming, body=body),
                    (501, "NotImplemented"))
    if peer.name == "r2":
        for headers in ({"x-amz-acl": "private"}, {"x-amz-tagging": "a=b"}):
            peer.expect("an ACL or a tag", peer.ask("PUT", "acl", headers=headers, body=body), 501)
        peer.expect("two writes in a second", peer.ask("PUT", "sha256", body=body), 429)
        peer.control("settings", clock_advance=1)
        peer.expect("a write a second later", peer.ask("PUT", "sha256", body=body), 200)
        peer.control("settings", clock_advance=0)


def upload(peer, key, sizes, condition=None, algorithm="", order=None):
    headers = {"x-amz-checksum-algorithm": algorithm} if algorithm else {}
    made = peer.ask("POST", key, "uploads=", headers)
    identity = re.search(rb"<UploadId>(.*?)</UploadId>", made[3])
    if not identity:
        return made
    name, lines = quote(identity[1].decode(), safe=""), []
    for number, size in enumerate(sizes, 1):
        body = bytes([number]) * size
        digest = text(hashlib.sha256(body).digest())
        sums = {"x-amz-checksum-sha256": digest} if algorithm else {}
        part = peer.ask("PUT", key, f"partNumber={number}&uploadId={name}", sums, body)
        more = f"<ChecksumSHA256>{digest}</ChecksumSHA256>" if algorithm else ""
        etag = part[2].get("etag", "").replace('"', "&quot;")
        lines.append(f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag>{more}</Part>")
    lines = [lines[index] for index in order] if order else lines
    body = f"<CompleteMultipartUpload>{''.join(lines)}</CompleteMultipartUpload>".encode()
    return peer.ask("POST", key, f"uploadId={name}", condition, body)


def sdk(peer):
    """Amazon's own client with nothing set, as most programs use it."""
    s3 = boto3.client("s3", endpoint_url=peer.endpoint, region_name=peer.region,
                      aws_access_key_id=peer.access_key, aws_secret_access_key=peer.secret_key,
                      config=Config(retries={"total_max_attempts": 1},
                                    s3={"addressing_style": "path"}))
    body = b"sdk" * (2 * MIB)
    try:
        s3.upload_fileobj(io.BytesIO(body), peer.bucket, "sdk/parts",
                          ExtraArgs={"ContentType": "video/mp4", "Metadata": {"job": "1"}},
                          Config=TransferConfig(multipart_threshold=5 * MIB,
                                                multipart_chunksize=5 * MIB))
    except (ClientError, S3UploadFailedError) as error:
        # It sends a checksum with everything, and B2 refuses each.
        peer.expect("the SDK", (0, str(error)), 0 if peer.name == "b2" else 200)
        return
    found = s3.get_object(Bucket=peer.bucket, Key="sdk/parts")
    peer.expect("what the SDK put", (found["Body"].read() == body, ""), [(True, "")])
    metadata = {name.lower(): value for name, value in found["Metadata"].items()}
    peer.expect("its metadata", (found["ContentType"], metadata.get("job")), [("video/mp4", "1")])
    keys = [item["Key"] for item in s3.list_objects_v2(
        Bucket=peer.bucket, Prefix="sdk/").get("Contents", [])]
    peer.expect("its list", (keys, ""), [(["sdk/parts"], "")])
    s3.delete_object(Bucket=peer.bucket, Key="sdk/parts")
    peer.expect("after its delete", peer.ask("HEAD", "sdk/parts"), 404)


def rights(peer):
    """Of a user who may read and not write."""
    if peer.name not in ("moto", "ministack"):
        return
    iam = boto3.client("iam", endpoint_url=peer.endpoint, region_name=peer.region,
                       aws_access_key_id=peer.access_key, aws_secret_access_key=peer.secret_key)
    policy = {"Version": "2012-10-17",
              "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}
    iam.create_user(UserName=peer.bucket)
    iam.put_user_policy(UserName=peer.bucket, PolicyName="read", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName=peer.bucket)["AccessKey"]
    reader = Peer(peer.__dict__ | {
        "access_key": key["AccessKeyId"], "secret_key": key["SecretAccessKey"]})
    peer.expect("reading", reader.ask("GET", "good"), 200)
    peer.expect("writing", reader.ask("PUT", "good", body=b"y"), (403, "AccessDenied"))


def parts(peer):
    five = 5 * MIB
    done = upload(peer, "whole", [five, 10])
    peer.expect("two parts", done, 200)
    if peer.name != "rclone":
        tags = b"".join(hashlib.md5(bytes([number]) * size).digest()
                        for number, size in ((1, five), (2, 10)))
        etag = peer.ask("HEAD", "whole")[2].get("etag")
        peer.expect("their ETag", (etag, ""), [(f'"{hashlib.md5(tags).hexdigest()}-2"', "")])
    peer.expect_by_kind("a small part", upload(peer, "small", [100, 10]),
                        (400, "EntityTooSmall"), rclone=200, ministack=200, plain=200)
    if peer.is_stub:
        peer.expect("parts in another order", upload(peer, "order", [five, 10], order=[1, 0]),
                    (400, "InvalidPartOrder"))
        peer.expect_by_kind("unequal parts", upload(peer, "unequal", [five, five + 1, 10]), 200,
                            r2=(400, "InvalidPart"))
        peer.expect_by_kind("a larger last part", upload(peer, "larger", [five, five + 1]), 200,
                            r2=(400, "InvalidPart"))
    if peer.name in ("aws", "r2"):
        peer.expect("parts with checksums",
                    upload(peer, "sums", [five, 10], algorithm="SHA256"), 200)
        head = peer.ask("HEAD", "sums", headers={"x-amz-checksum-mode": "ENABLED"})[2]
        joined = b"".join(hashlib.sha256(bytes([number]) * size).digest()
                          for number, size in ((1, five), (2, 10)))
        peer.expect("their checksum", (head.get("x-amz-checksum-sha256"), ""),
                    [(text(hashlib.sha256(joined).digest()) + "-2", "")])


def conditions(peer):
    only_new = {"If-None-Match": "*"}
    if peer.name == "b2":
        peer.expect("a condition", peer.ask("PUT", "once", headers=only_new, body=b"x"),
                    (501, "NotImplemented"))
        return
    ignored = peer.name in ("rclone", "supabase", "plain")
    honoured = 200 if ignored else [(412, "PreconditionFailed"), (429, "TooManyRequests")]
    peer.expect("the first", peer.ask("PUT", "once", headers=only_new, body=b"x"), 200)
    peer.expect("the second", peer.ask("PUT", "once", headers=only_new, body=b"y"), honoured)
    if peer.is_stub:
        peer.control("settings", clock_advance=10)
    done = upload(peer, "once", [10], only_new)
    peer.expect("one in parts", done, 200 if ignored else (412, "PreconditionFailed"))
    if peer.is_stub and not ignored:
        left = [found for found in peer.state()["uploads"] if found["key"] == "once"]
        peer.expect("the upload afterwards", (len(left), ""), 0 if peer.name == "r2" else 1)
        peer.control("faults", kind="status", status=409, code="ConditionalRequestConflict",
                     conditional=True, times=1)
        peer.expect("a conflict", peer.ask("PUT", "conflict", headers=only_new, body=b"x"),
                    (409, "ConditionalRequestConflict"))
        peer.expect("and then", peer.ask("PUT", "conflict", headers=only_new, body=b"x"), 200)
    won, barrier = [], threading.Barrier(16)

    def race(number):
        request = {"headers": only_new, "body": b"%d" % number}
        barrier.wait()
        if peer.ask("PUT", "race", **request)[0] == 200:
            won.append(number)

    racers = [threading.Thread(target=race, args=(number,)) for number in range(16)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    # Where the condition is ignored nearly all win; some fail at writing the same file at once.
    peer.expect("winners of a race of 16", (len(won), ""), list(range(2, 17)) if ignored else 1)


def ranges(peer):
    if peer.name == "r2":
        peer.control("settings", clock_advance=60)
    etag = peer.ask("PUT", "range", body=b"0123456789")[2].get("etag", "")
    got = peer.ask("GET", "range", headers={"Range": "bytes=2-4"})
    peer.expect_by_kind("a range", got, 206, rclone=200)
    peer.expect("its bytes", (got[3], ""), [(b"234", "")])
    if peer.is_stub:
        same = peer.ask("GET", "range", headers={"Range": "bytes=2-", "If-Range": etag})
        peer.expect("a range of the same", same, 206)
        changed = peer.ask("GET", "range", headers={"Range": "bytes=2-", "If-Range": '"other"'})
        peer.expect("a range of another", changed, 200)
        peer.expect("not modified", peer.ask("GET", "range", headers={"If-None-Match": etag}), 304)


def faults(peer):
    if not peer.is_stub:
        return
    if peer.name == "r2":
        peer.control("settings", clock_advance=120)

    def order(case, wanted, request=("PUT", "fault"), body=b"x", **fault):
        peer.control("faults", times=1, **fault)
        got = peer.ask(*request, body=body)
        peer.expect(f"fault {case}", got, wanted)
        return got

    got = order("slow down", (503, "SlowDown"), kind="status", headers={"Retry-After": "2"})
    peer.expect("its Retry-After", (got[2].get("retry-after"), ""), [("2", "")])
    order("early refusal", 500, kind="status", status=500, code="InternalError", early=True)
    order("a dropped request", 0, body=b"x" * 1000, kind="drop-request", after=100)
    peer.expect("nothing is there", peer.ask("HEAD", "fault"), 404)
    order("a lost answer", 0, kind="drop-answer")
    peer.expect("but it is there", peer.ask("HEAD", "fault"), 200)
    order("a wrong ETag", 200, request=("GET", "fault"), body=b"", kind="wrong-etag")
    order("no upload", (404, "NoSuchUpload"), request=("GET", "fault", "uploadId=1"),
          body=b"", kind="no-such-upload")
    order("a flipped bit", 200, request=("PUT", "flipped"), kind="flip", bit=0)
    peer.expect("is stored", (peer.ask("GET", "flipped")[3], ""), [(b"y", "")])
    peer.control("faults", kind="error-in-success", operation="CompleteMultipartUpload")
    peer.expect("an error in a success", upload(peer, "late", [10]), (200, "InternalError"))
    peer.control("settings", denied=["DeleteObject"])
    peer.expect("denied", peer.ask("DELETE", "fault"), (403, "AccessDenied"))
    peer.control("settings", denied=[], quota_bytes=0)
    peer.expect("a quota", peer.ask("PUT", "full", body=b"x"), (403, "QuotaExceeded"))
    peer.control("settings", quota_bytes=-1, skew_minutes=30)
    got = peer.ask("PUT", "skew", body=b"x")
    peer.expect("a clock that is off", got, (403, "RequestTimeTooSkewed"))
    peer.expect("and one set by it", peer.ask("PUT", "skew", body=b"x", minutes=30), 200)
    peer.control("settings", skew_minutes=0)
    peer.control("faults", kind="stall-answer", seconds=0.2, after=0)
    started = time.monotonic()
    peer.expect("a stall", peer.ask("GET", "fault"), 200)
    peer.expect("lasts", (time.monotonic() - started >= 0.2, ""), [(True, "")])
    peer.control("faults", kind="hold-answer", seconds=0.2)
    started = time.monotonic()
    peer.expect("an answer that waits", peer.ask("GET", "fault"), 200)
    peer.expect("for silence", (time.monotonic() - started >= 0.2, ""), [(True, "")])
    peer.control("faults", kind="vanish", skip=1)
    peer.expect("the bucket is there", peer.ask("GET", "fault"), 200)
    for _ in range(2):
        peer.expect("and gone", peer.ask("GET", "fault"), (404, "NoSuchBucket"))
    peer.control("settings", vanished=False)
    log = json.loads(peer.send("GET", f"/control/log?bucket={peer.bucket}", {})[3])
    leaks = [entry for entry in log if re.search("Signature=[0-9a-f]", json.dumps(entry))]
    peer.expect("secrets in the log", (len(leaks), ""), 0)


def supabase(peer):
    if peer.name != "supabase":
        return
    key = {"Authorization": f"Bearer {peer.service_key}"}
    place = f"/storage/v1/object/{peer.bucket}/rest/a%20b.png"

    def rest(method, path=place, headers=key, body=b""):
        got = peer.send(method, path, headers, body)
        try:
            return got[0], json.loads(got[3]).get("statusCode", ""), got[2], got[3]
        except (ValueError, AttributeError):
            return got

    peer.expect("no key", rest("POST", headers={}, body=b"x"), (400, "403"))
    typed = key | {"Content-Type": "image/png"}
    peer.expect("created", rest("POST", headers=typed, body=b"x"), 200)
    peer.expect("not twice", rest("POST", body=b"y"), (400, "409"))
    peer.expect("but replaced", rest("POST", headers=key | {"x-upsert": "true"}, body=b"z"), 200)
    there = place.replace("/object/", "/object/authenticated/")
    peer.expect("read", (rest("GET", there)[3], ""), [(b"z", "")])
    caching = rest("HEAD", there)[2].get("cache-control")
    peer.expect("its caching", (caching, ""), [("no-cache", "")])
    peer.expect("a bad key", rest("POST", place + "%C3%B6", body=b"x"), (400, "400"))
    peer.expect("deleted", rest("DELETE"), 200)
    peer.expect("and gone", rest("GET", there), (400, "404"))

    def begin(length, name="tus/a.mp4", **more):
        said = ",".join(f"{field} {text(value.encode())}" for field, value in (
            ("bucketName", peer.bucket), ("objectName", name), ("contentType", "video/mp4"),
            ("cacheControl", "3600")))
        return rest("POST", "/storage/v1/upload/resumable", key | more | {
            "Tus-Resumable": "1.0.0", "Upload-Length": str(length), "Upload-Metadata": said})

    def patch(path, offset, body, **more):
        return rest("PATCH", path, key | more | {
            "Tus-Resumable": "1.0.0", "Upload-Offset": str(offset),
            "Content-Type": "application/offset+octet-stream"}, body)

    chunk = 6 * MIB
    made = begin(chunk + 5)
    peer.expect("begun", made, 201)
    path = urlsplit(made[2]["location"]).path
    peer.expect("a small chunk", patch(path, 0, b"x" * 10), 400)
    peer.expect("a chunk", patch(path, 0, b"x" * chunk), 204)
    peer.expect("a wrong offset", patch(path, 0, b"x" * chunk), 409)
    peer.expect("the offset", (rest("HEAD", path)[2].get("upload-offset"), ""), [(str(chunk), "")])
    peer.expect("nothing to be seen", peer.ask("HEAD", "tus/a.mp4"), 404)
    peer.expect("too much", patch(path, chunk, b"x" * 6), 413)
    peer.expect("the rest", patch(path, chunk, b"x" * 5), 204)
    head = peer.ask("HEAD", "tus/a.mp4")[2]
    peer.expect("its type", (head.get("content-type"), head.get("cache-control")),
                [("video/mp4", "max-age=3600")])
    peer.expect("a browser", rest("GET", there, key | {"User-Agent": "Mozilla/5.0"}), 401)
    late = begin("", "tus/c.mp4", **{"Upload-Defer-Length": "1"})
    peer.expect("begun without a length", late, 201)
    late = urlsplit(late[2]["location"]).path
    peer.expect("a chunk of it", patch(late, 0, b"x" * chunk), 204)
    peer.expect("no length yet", (rest("HEAD", late)[2].get("upload-defer-length"), ""),
                [("1", "")])
    peer.expect("its end without a length", patch(late, chunk, b"x"), 400)
    length = {"Upload-Length": str(chunk + 1)}
    peer.expect("its end", patch(late, chunk, b"x", **length), 204)
    peer.expect("not without either length", begin("", "tus/d.mp4"), 400)
    known = urlsplit(begin(5, "tus/e.mp4")[2]["location"]).path
    peer.expect("a length said twice", patch(known, 0, b"x" * 5, **length), 400)
    peer.expect("not twice", begin(5), 409)
    peer.expect("but replaced", begin(5, **{"x-upsert": "true"}), 201)
    other = urlsplit(begin(5, "tus/b.mp4")[2]["location"]).path
    peer.expect("given up", rest("DELETE", other, key | {"Tus-Resumable": "1.0.0"}), 204)
    peer.expect("and gone", rest("HEAD", other), 404)


if __name__ == "__main__":
    tested = Peer(json.load(sys.stdin))
    for proof in (signatures, presigned, integrity, sdk, rights, parts, conditions, ranges,
                  faults, supabase):
        proof(tested)
    json.dump(tested.wrong, sys.stdout)
