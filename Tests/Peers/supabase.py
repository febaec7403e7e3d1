"""Supabase Storage beside its S3 path: the REST interface and resumable uploads (tus 1.0.0).

Errors have the status 400 whatever happened; what happened is in the body. Resumable uploads are
the exception: there the status is the real one and the body plain text, but for a wrong key.

Of writers that meet at one key the first to complete wins, as Supabase's documentation has it.
"""

import base64
import hashlib
import json
import re
import uuid
from urllib.parse import unquote

import s3operations
from s3rules import MIB, SERVICE_KEY, S3Error
from s3state import Stored, Tus

OBJECT, RESUMABLE = "/storage/v1/object/", "/storage/v1/upload/resumable"
CHUNK = 6 * MIB


def failure(status, error, message):
    body = json.dumps({"statusCode": str(status), "error": error, "message": message}).encode()
    kind = {"Content-Type": "application/json; charset=utf-8"}
    return s3operations.Answer(400, kind, body, error)


def refused(status, message):
    return s3operations.Answer(status, {"Content-Type": "text/plain"}, message.encode(), message)


def ordered(error):
    """A fault that a test ordered, as a gateway in front of the storage answers."""
    body = error.body or json.dumps(
        {"statusCode": str(error.status), "error": error.code, "message": error.message})
    kind = {"Content-Type": "application/json"}
    return s3operations.Answer(error.status, kind | error.headers, body.encode(), error.code)


def answer_json(value):
    return s3operations.Answer(
        200, {"Content-Type": "application/json; charset=utf-8"}, json.dumps(value).encode())


def metadata(request):
    """Upload-Metadata: names, each with a value in base64."""
    pairs = {}
    for pair in request.header("upload-metadata").split(","):
        name, _, value = pair.strip().partition(" ")
        try:
            pairs[name] = base64.b64decode(value, validate=True).decode()
        except ValueError:
            pairs[name] = ""
    return pairs


def name_operation(request, entry):
    """The operation; bucket and key go into `entry`, from wherever they are said."""
    if request.path.startswith(RESUMABLE):
        if request.method == "POST":
            said = metadata(request)
            entry["bucket"], entry["key"] = said.get("bucketName", ""), said.get("objectName", "")
        else:
            # The address of an upload: bucket, key and version in base64url.
            code = request.path.rpartition("/")[2]
            try:
                name = base64.urlsafe_b64decode(code + "=" * (-len(code) % 4)).decode()
            except ValueError:
                name = ""
            entry["bucket"], _, rest = name.partition("/")
            entry["key"] = rest.rpartition("/")[0]
        return {"POST": "TusCreate", "PATCH": "TusPatch", "HEAD": "TusHead",
                "DELETE": "TusDelete"}.get(request.method, request.method)
    rest = request.path.removeprefix(OBJECT)
    if rest.startswith("list-v2/") and request.method == "POST":
        entry["bucket"], entry["key"] = unquote(rest.removeprefix("list-v2/")), ""
        return "RestList"
    if request.method in ("GET", "HEAD"):
        rest = re.sub("^(authenticated|info)/", "", rest)
    bucket, _, key = rest.partition("/")
    entry["bucket"], entry["key"] = unquote(bucket), unquote(key)
    if not request.path.startswith(OBJECT):
        return f"{request.method} REST"
    return {"POST": "RestCreate", "PUT": "RestUpdate", "GET": "RestGet", "HEAD": "RestHead",
            "DELETE": "RestDelete"}.get(request.method, request.method)


def run(request, operation, bucket, key):
    is_tus = operation.startswith("Tus")
    if "Mozilla" in request.header("user-agent"):
        return s3operations.Answer(401, {}, b"", "secret keys are not for browsers")
    if operation != "TusHead" and request.header("authorization") != f"Bearer {SERVICE_KEY}":
        return failure(403, "Unauthorized", "Invalid Compact JWS")
    if bucket.profile_name != "supabase":
        return failure(404, "Bucket not found", "Bucket not found")
    if operation in ("RestCreate", "RestUpdate", "TusCreate") and not re.fullmatch(
            bucket.profile.key_pattern, key):
        message = f"Invalid key: {key}"
        return refused(400, message) if is_tus else failure(400, "InvalidKey", message)
    try:
        return FUNCTIONS[operation](request, bucket, key)
    except KeyError:
        return failure(404, "not_found", "Route not found")
    except S3Error as error:
        return failure(error.status, error.code, error.message)


def exists(is_tus):
    message = "The resource already exists"
    return refused(409, message) if is_tus else failure(409, "Duplicate", message)


def store(bucket, key, body, headers, may_replace, is_tus):
    """Create-only is decided under the lock, as the database does it there."""
    with bucket.lock:
        if key in bucket.objects and not may_replace:
            return exists(is_tus)
        bucket.write(key, Stored(body, f'"{hashlib.md5(body).hexdigest()}"', headers), {})
    return None


def create(request, bucket, key):
    if request.header("content-type").startswith("multipart/form-data"):
        return failure(501, "NotImplemented", "the stub takes the bytes themselves")
    may_replace = request.method == "PUT" or request.header("x-upsert") == "true"
    if request.method == "PUT" and key not in bucket.objects:
        return failure(404, "not_found", "Object not found")
    headers = {"content-type": request.header("content-type", "application/octet-stream"),
               "cache-control": request.header("cache-control", "no-cache")}
    if said := request.header("x-metadata"):
        try:
            headers |= {f"x-amz-meta-{name}": str(value)
                        for name, value in json.loads(base64.b64decode(said)).items()}
        except ValueError:
            return failure(400, "InvalidRequest", "x-metadata is not JSON in base64")
    if answer := store(bucket, key, request.body, headers, may_replace, is_tus=False):
        return answer
    return answer_json({"Key": f"{bucket.name}/{key}", "Id": str(uuid.uuid4())})


def get(request, bucket, key):
    if key not in bucket.objects:
        return failure(404, "not_found", "Object not found")
    request.key = key
    return s3operations.get_object(request, bucket)


def list_objects(request, bucket, key):
    asked = json.loads(request.body)
    prefix, after = asked.get("prefix", ""), asked.get("cursor", "")
    with bucket.lock:
        names = sorted(name for name in bucket.objects if name.startswith(prefix) and name > after)
        page = names[:asked.get("limit", 1000)]
        objects = [{"id": str(uuid.uuid4()), "key": name, "name": name,
                    "metadata": {"size": len(bucket.objects[name].body)}} for name in page]
    more = len(names) > len(page)
    return answer_json({"hasNext": more, "folders": [], "objects": objects}
                       | ({"nextCursor": page[-1]} if more else {}))


def delete(request, bucket, key):
    with bucket.lock:
        if not bucket.objects.pop(key, None):
            return failure(404, "not_found", "Object not found")
    return answer_json({"message": "Successfully deleted"})


# Resumable uploads

def tus(status, **headers):
    return s3operations.Answer(status, {"Tus-Resumable": "1.0.0"} | {
        name.replace("_", "-"): value for name, value in headers.items()})


def tus_create(request, bucket, key):
    if request.header("tus-resumable") != "1.0.0":
        return refused(412, "Tus-Resumable Required")
    length, said = request.header("upload-length"), metadata(request)
    is_deferred = request.header("upload-defer-length") == "1"
    if length.isdigit() == is_deferred:
        return refused(400, "Upload-Length or Upload-Defer-Length header required")
    upsert = request.header("x-upsert") == "true"
    if key in bucket.objects and not upsert:
        return exists(is_tus=True)
    seconds = said.get("cacheControl", "")
    headers = {"content-type": said.get("contentType") or "application/octet-stream",
               "cache-control": f"max-age={seconds}" if seconds.isdigit() else "no-cache"}
    name = f"{bucket.name}/{key}/{uuid.uuid4()}"
    code = base64.urlsafe_b64encode(name.encode()).decode().rstrip("=")
    with bucket.lock:
        bucket.resumable[code] = Tus(key, int(length) if length else None, headers, upsert)
    return tus(201, Location=f"http://{request.header('host')}{RESUMABLE}/{code}")


def keep_piece(request, bucket, body):
    """What came of a piece before its connection broke, as the server there keeps it."""
    with bucket.lock:
        upload = bucket.resumable.get(request.path.rpartition("/")[2])
        if upload and request.header("upload-offset") == str(len(upload.body)):
            upload.body += body


def tus_patch(request, bucket, key):
    code = request.path.rpartition("/")[2]
    if request.header("content-type") != "application/offset+octet-stream":
        return refused(415, "Content-Type must be application/offset+octet-stream")
    with bucket.lock:
        upload = bucket.resumable.get(code)
        if not upload:
            return refused(404, "The file for this url was not found")
        if key in bucket.objects and not upload.upsert:
            return exists(is_tus=True)
        offset, end = len(upload.body), len(upload.body) + len(request.body)
        if request.header("upload-offset") != str(offset):
            return refused(409, "Upload-Offset conflict")
        if said := request.header("upload-length"):
            if upload.length is not None or not said.isdigit() or int(said) < offset:
                return refused(400, "Upload-Length or Upload-Defer-Length header required")
            upload.length = int(said)
        if upload.length is not None and end > upload.length:
            return refused(413, "Upload-Length exceeded")
        if end != upload.length and end % CHUNK:
            return refused(400, "chunks end every 6 MiB, all but the last")
        upload.body += request.body
        if end == upload.length:
            body = bytes(upload.body)
            if answer := store(bucket, key, body, upload.headers, upload.upsert, is_tus=True):
                return answer
            del bucket.resumable[code]
    return tus(204, Upload_Offset=end)


def tus_head(request, bucket, key):
    upload = bucket.resumable.get(request.path.rpartition("/")[2])
    if not upload:
        return refused(404, "The file for this url was not found")
    length = ({"Upload_Defer_Length": 1} if upload.length is None
              else {"Upload_Length": upload.length})
    return tus(200, Upload_Offset=len(upload.body), Cache_Control="no-store", **length)


def tus_delete(request, bucket, key):
    if not bucket.resumable.pop(request.path.rpartition("/")[2], None):
        return refused(404, "The file for this url was not found")
    return tus(204)


FUNCTIONS = {
    "RestCreate": create, "RestUpdate": create, "RestGet": get, "RestHead": get,
    "RestDelete": delete, "RestList": list_objects, "TusCreate": tus_create,
    "TusPatch": tus_patch, "TusHead": tus_head, "TusDelete": tus_delete,
}
