"""The operations of the strict S3 stub, each a function of a request and a bucket."""

import email.utils
import hashlib
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from datetime import timezone
from urllib.parse import quote
from xml.sax.saxutils import escape

from s3rules import S3Error, declared_checksum, verify_checksums
from s3state import Bucket, Part, Stored, Upload, flipped

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
KEPT_HEADERS = ("content-type", "content-disposition", "content-encoding", "content-language",
                "cache-control", "expires")


@dataclass
class Answer:
    status: int = 200
    headers: dict = field(default_factory=dict)
    body: bytes = b""
    code: str = ""

    def change_etag(self):
        wrong = "d41d8cd98f00b204e9800998ecf8427e"
        if "ETag" in self.headers:
            self.headers["ETag"] = f'"{wrong}"'
        self.body = re.sub(rb"(<ETag>&quot;)\w+", rb"\g<1>" + wrong.encode(), self.body)


def xml(name, *inner, status=200, headers=None):
    text = (f'<?xml version="1.0" encoding="UTF-8"?>\n<{name} xmlns="{NAMESPACE}">'
            f'{"".join(inner)}</{name}>')
    return Answer(status, {"Content-Type": "application/xml"} | (headers or {}), text.encode())


def tag(name, value):
    if isinstance(value, bool):
        value = str(value).lower()
    return f"<{name}>{escape(str(value), {chr(34): '&quot;'})}</{name}>"


def error_answer(error, request):
    body = getattr(error, "body", "")
    if not body:
        body = ('<?xml version="1.0" encoding="UTF-8"?>\n<Error>' + tag("Code", error.code)
                + tag("Message", error.message) + tag("Resource", request.path)
                + tag("RequestId", "0000") + "</Error>")
    kind = {"Content-Type": "text/html" if body.startswith("<!DOCTYPE") else "application/xml"}
    return Answer(error.status, kind | error.headers, body.encode(), error.code)


def error_in_success(code):
    """Amazon sends blanks while it works, so the status is long gone when the work fails."""
    body = ('<?xml version="1.0" encoding="UTF-8"?>\n    <Error>' + tag("Code", code)
            + tag("Message", "We encountered an internal error. Please try again.") + "</Error>")
    return Answer(200, {"Content-Type": "application/xml"}, body.encode(), code)


def flip_stored(bucket, request, bit):
    upload = bucket.uploads.get(request.first("uploadId"))
    number = request.first("partNumber")
    kept = upload.parts.get(int(number)) if upload and number else bucket.objects.get(request.key)
    if kept:
        kept.body = flipped(kept.body, bit)


OPERATIONS = {
    ("GET", "location"): "GetBucketLocation",
    ("GET", "uploads"): "ListMultipartUploads",
    ("GET", "list-type"): "ListObjectsV2",
    ("GET", "uploadId"): "ListParts",
    ("PUT", "uploadId"): "UploadPart",
    ("POST", "uploadId"): "CompleteMultipartUpload",
    ("DELETE", "uploadId"): "AbortMultipartUpload",
    ("POST", "uploads"): "CreateMultipartUpload",
}
PLAIN = {"PUT": "PutObject", "GET": "GetObject", "HEAD": "HeadObject", "DELETE": "DeleteObject"}
PLAIN_BUCKET = {"PUT": "CreateBucket", "HEAD": "HeadBucket", "DELETE": "DeleteBucket"}
# Parts of a query that choose no other operation.
MODIFIERS = {"partNumber", "prefix", "delimiter", "max-keys", "continuation-token", "start-after",
             "encoding-type", "fetch-owner", "max-uploads", "key-marker", "upload-id-marker",
             "max-parts", "part-number-marker", "x-id"}


def name_operation(request):
    """Amazon's name for it, or what the stub does not know."""
    chosen = [name for name in request.query
              if name not in MODIFIERS and not name.startswith(("X-Amz-", "response-"))]
    if not chosen:
        return (PLAIN if request.key else PLAIN_BUCKET).get(request.method, request.method)
    return OPERATIONS.get((request.method, chosen[0]), f"{request.method} ?{chosen[0]}")


def run(request, operation, bucket, server):
    if operation == "CreateBucket":
        if bucket:
            raise S3Error(409, "BucketAlreadyOwnedByYou", "The bucket you tried to create exists")
        server.buckets[request.bucket] = Bucket(request.bucket, server.default_profile)
        return Answer(200, {"Location": f"/{request.bucket}"})
    if operation == "DeleteBucket":
        if bucket.objects:
            raise S3Error(409, "BucketNotEmpty", "The bucket you tried to delete is not empty")
        server.buckets.pop(bucket.name, None)
        return Answer(204)
    if operation not in FUNCTIONS or "x-amz-copy-source" in request.headers:
        raise S3Error(501, "NotImplemented", f"{operation} is not implemented")
    return FUNCTIONS[operation](request, bucket)


# Objects

def kept_headers(request, bucket):
    kept = {name: request.header(name) for name in KEPT_HEADERS if name in request.headers}
    kept.setdefault("content-type", "binary/octet-stream")
    if bucket.profile.cache_control:
        kept.setdefault("cache-control", bucket.profile.cache_control)
    metadata = {name: ",".join(values) for name, values in request.headers.items()
                if name.startswith("x-amz-meta-")}
    if sum(len(name.removeprefix("x-amz-meta-")) + len(value.encode())
           for name, value in metadata.items()) > 2048:
        raise S3Error(400, "MetadataTooLarge", "Your metadata headers exceed the maximum size")
    return kept | metadata


def checksum_headers(checksums, kind=""):
    headers = {f"x-amz-checksum-{name}": value for name, value in checksums.items()}
    return headers | ({"x-amz-checksum-type": kind} if checksums and kind else {})


def put_object(request, bucket):
    sums = verify_checksums(bucket.profile, request.headers, request.body)
    etag = f'"{hashlib.md5(request.body).hexdigest()}"'
    stored = Stored(request.body, etag, kept_headers(request, bucket), sums,
                    "FULL_OBJECT" if sums else "")
    bucket.write(request.key, stored, request.headers)
    return Answer(200, {"ETag": etag} | checksum_headers(sums, stored.checksum_type))


def get_object(request, bucket):
    with bucket.lock:
        kept = bucket.objects.get(request.key)
    if not kept:
        raise S3Error(404, "NoSuchKey", "The specified key does not exist.")
    date = email.utils.format_datetime(
        kept.modified.astimezone(timezone.utc).replace(microsecond=0), usegmt=True)
    headers = {"ETag": kept.etag, "Last-Modified": date, "Accept-Ranges": "bytes"}
    if request.header("if-none-match") in (kept.etag, "*"):
        return Answer(304, headers)
    if request.header("if-match", kept.etag) not in (kept.etag, "*"):
        raise S3Error(412, "PreconditionFailed", "If-Match did not hold")
    headers |= kept.headers
    for name in KEPT_HEADERS:
        if overriding := request.first(f"response-{name}"):
            headers[name] = overriding
    if request.header("x-amz-checksum-mode").upper() == "ENABLED":
        headers |= checksum_headers(kept.checksums, kept.checksum_type)
    wanted, size = request.header("range"), len(kept.body)
    if not wanted or request.header("if-range", kept.etag) not in (kept.etag, date):
        return Answer(200, headers | {"Content-Length": size}, kept.body)
    found = re.fullmatch(r"bytes=(\d*)-(\d*)", wanted)
    if not found or found[0] == "bytes=-":
        return Answer(200, headers | {"Content-Length": size}, kept.body)
    if found[1]:
        start, end = int(found[1]), min(int(found[2] or size - 1), size - 1)
    else:
        start, end = max(size - int(found[2]), 0), size - 1
    if start > end:
        raise S3Error(416, "InvalidRange", "The requested range is not satisfiable",
                      {"Content-Range": f"bytes */{size}"})
    headers |= {"Content-Range": f"bytes {start}-{end}/{size}", "Content-Length": end - start + 1}
    return Answer(206, headers, kept.body[start:end + 1])


def delete_object(request, bucket):
    with bucket.lock:
        bucket.objects.pop(request.key, None)
    return Answer(204)


def whole(request, name, limit=1000):
    value = request.first(name, str(limit))
    if not value.isdigit():
        raise S3Error(400, "InvalidArgument", f"Provided {name} not an integer")
    return min(int(value), limit)


def stamp(moment):
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def list_objects(request, bucket):
    coded = request.first("encoding-type") == "url"
    prefix, delimiter = request.first("prefix"), request.first("delimiter")
    after = request.first("continuation-token") or request.first("start-after")
    limit = whole(request, "max-keys")

    def name(key):
        return quote(key, safe="/") if coded else key

    found, last, truncated = [], "", False
    with bucket.lock:
        for key in sorted(bucket.objects, key=lambda key: key.encode()):
            if not key.startswith(prefix) or key.encode() <= after.encode():
                continue
            rest = key[len(prefix):]
            if delimiter and delimiter in rest:
                group = prefix + rest[:rest.index(delimiter) + len(delimiter)]
                line = f"<CommonPrefixes>{tag('Prefix', name(group))}</CommonPrefixes>"
                if line in found or after.startswith(group):
                    last = key
                    continue
            else:
                kept = bucket.objects[key]
                line = ("<Contents>" + tag("Key", name(key))
                        + tag("LastModified", stamp(kept.modified)) + tag("ETag", kept.etag)
                        + tag("Size", len(kept.body)) + tag("StorageClass", "STANDARD")
                        + "</Contents>")
            if len(found) == limit:
                truncated = True
                break
            found.append(line)
            last = key
    return xml("ListBucketResult", tag("Name", bucket.name), tag("Prefix", name(prefix)),
               tag("KeyCount", len(found)), tag("MaxKeys", limit),
               tag("EncodingType", "url") if coded else "", tag("IsTruncated", truncated),
               tag("NextContinuationToken", last) if truncated else "", *found)


# Uploads in parts

def create_upload(request, bucket):
    algorithm, kind = declared_checksum(bucket.profile, request.headers)
    bucket.refuse_if_full(0)
    if bucket.profile.failed_condition_aborts:
        bucket.refuse_condition(request.key, request.headers)
    upload = Upload(request.key, kept_headers(request, bucket), algorithm, kind)
    with bucket.lock:
        bucket.uploads[upload.identity] = upload
    headers = {"x-amz-checksum-algorithm": algorithm.upper(), "x-amz-checksum-type": kind}
    return xml("InitiateMultipartUploadResult", tag("Bucket", bucket.name),
               tag("Key", request.key), tag("UploadId", upload.identity),
               headers=headers if algorithm else None)


def upload_part(request, bucket):
    upload = bucket.upload(request.first("uploadId"), request.key)
    number = request.first("partNumber")
    if not number.isdigit() or not 1 <= int(number) <= 10_000:
        raise S3Error(400, "InvalidArgument",
                      "Part number must be an integer between 1 and 10000, inclusive")
    sums = verify_checksums(bucket.profile, request.headers, request.body)
    sent = next(iter(sums), "")
    # The SDKs send a CRC32 with each part by default, whatever the upload was made with.
    undeclared = sent == "crc32" and not upload.algorithm
    if sent != upload.algorithm and not undeclared and (
            sent or upload.checksum_type == "COMPOSITE"):
        raise S3Error(400, "InvalidRequest", "Checksum Type mismatch occurred, expected checksum "
                      f"Type: {upload.algorithm or 'null'}, actual checksum Type: {sent or 'null'}")
    etag = f'"{hashlib.md5(request.body).hexdigest()}"'
    with bucket.lock:
        # It may have been aborted while the body arrived.
        bucket.upload(upload.identity, request.key)
        bucket.refuse_if_full(sum(len(part.body) for part in upload.parts.values())
                              + len(request.body))
        upload.parts[int(number)] = Part(request.body, etag, sums)
    return Answer(200, {"ETag": etag} | checksum_headers(sums))


def listed_parts(body):
    try:
        root = ElementTree.fromstring(body)
    except ElementTree.ParseError:
        root = None
    parts = []
    for part in root if root is not None else []:
        fields = {re.sub("^{.*}", "", child.tag): (child.text or "") for child in part}
        number, etag = fields.pop("PartNumber", ""), fields.pop("ETag", "")
        if not number.isdigit() or not etag:
            raise S3Error(400, "MalformedXML", "The XML you provided was not well-formed")
        sums = {name.removeprefix("Checksum").lower(): value for name, value in fields.items()}
        parts.append((int(number), etag, sums))
    if not parts or len(parts) > 10_000:
        raise S3Error(400, "MalformedXML", "The XML you provided was not well-formed")
    return parts


def complete_upload(request, bucket):
    with bucket.lock:
        upload = bucket.upload(request.first("uploadId"), request.key)
        stored = bucket.assemble(upload, listed_parts(request.body))
        for name, value in stored.checksums.items():
            if request.header(f"x-amz-checksum-{name}", value) != value:
                raise S3Error(400, "BadDigest", f"The {name} you specified did not match the "
                              "calculated checksum.")
        try:
            free = bucket.settings.joins_unconditionally
            bucket.write(request.key, stored, {} if free else request.headers)
        except S3Error as error:
            if error.status == 412 and bucket.profile.failed_condition_aborts:
                del bucket.uploads[upload.identity]
            raise
        del bucket.uploads[upload.identity]
    sums = [tag("Checksum" + name.upper(), value) for name, value in stored.checksums.items()]
    return xml("CompleteMultipartUploadResult", tag("Location", request.path),
               tag("Bucket", bucket.name), tag("Key", request.key), tag("ETag", stored.etag), *sums,
               tag("ChecksumType", stored.checksum_type) if sums else "")


def abort_upload(request, bucket):
    with bucket.lock:
        upload = bucket.upload(request.first("uploadId"), request.key)
        del bucket.uploads[upload.identity]
    return Answer(204)


def list_uploads(request, bucket):
    coded = request.first("encoding-type") == "url"
    limit = whole(request, "max-uploads")
    marker = (request.first("key-marker"), request.first("upload-id-marker"))

    def name(key):
        return quote(key, safe="/") if coded else key

    with bucket.lock:
        found = sorted((upload for upload in bucket.uploads.values()
                        if upload.key.startswith(request.first("prefix"))),
                       key=lambda upload: (upload.key, upload.identity))
    if marker[0]:
        found = [upload for upload in found if (upload.key, upload.identity) > marker
                 and (marker[1] or upload.key != marker[0])]
    shown, truncated = found[:limit], len(found) > limit
    lines = ["<Upload>" + tag("Key", name(upload.key)) + tag("UploadId", upload.identity)
             + tag("Initiated", stamp(upload.initiated)) + "</Upload>" for upload in shown]
    following = [tag("NextKeyMarker", name(shown[-1].key)),
                 tag("NextUploadIdMarker", shown[-1].identity)] if truncated and shown else []
    return xml("ListMultipartUploadsResult", tag("Bucket", bucket.name),
               tag("KeyMarker", name(marker[0])), tag("UploadIdMarker", marker[1]), *following,
               tag("MaxUploads", limit), tag("EncodingType", "url") if coded else "",
               tag("IsTruncated", truncated), *lines)


def list_parts(request, bucket):
    upload = bucket.upload(request.first("uploadId"), request.key)
    limit, marker = whole(request, "max-parts"), whole(request, "part-number-marker", 0)
    if request.first("part-number-marker"):
        marker = int(request.first("part-number-marker"))
    with bucket.lock:
        numbers = sorted(number for number in upload.parts if number > marker)
        shown, truncated = numbers[:limit], len(numbers) > limit
        lines = ["<Part>" + tag("PartNumber", number)
                 + tag("LastModified", stamp(upload.parts[number].modified))
                 + tag("ETag", upload.parts[number].etag)
                 + tag("Size", len(upload.parts[number].body))
                 + "".join(tag("Checksum" + name.upper(), value)
                           for name, value in upload.parts[number].checksums.items())
                 + "</Part>" for number in shown]
    return xml("ListPartsResult", tag("Bucket", bucket.name), tag("Key", request.key),
               tag("UploadId", upload.identity), tag("PartNumberMarker", marker),
               tag("NextPartNumberMarker", shown[-1] if shown else 0), tag("MaxParts", limit),
               tag("IsTruncated", truncated), *lines)


def location(request, bucket):
    region = bucket.profile.region
    text = f'<LocationConstraint xmlns="{NAMESPACE}">{region}</LocationConstraint>'
    return Answer(200, {"Content-Type": "application/xml"}, text.encode())


FUNCTIONS = {
    "PutObject": put_object, "GetObject": get_object, "HeadObject": get_object,
    "DeleteObject": delete_object, "ListObjectsV2": list_objects, "HeadBucket": lambda *_: Answer(),
    "GetBucketLocation": location, "CreateMultipartUpload": create_upload,
    "UploadPart": upload_part, "CompleteMultipartUpload": complete_upload,
    "AbortMultipartUpload": abort_upload, "ListMultipartUploads": list_uploads,
    "ListParts": list_parts,
}
