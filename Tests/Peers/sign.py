"""Makes and checks signatures with libraries that are not ours, so that ours can be held against them.

Reads a list of questions as JSON from standard input and writes the list of answers.
"""

import base64
import hashlib
import hmac
import importlib
import json
import sys
from datetime import datetime, timezone

# Each library is loaded by the one question that needs it: some take seconds.


def standard(question):
    webhook = importlib.import_module(question["library"]).Webhook(question["secret"])
    when = datetime.fromtimestamp(int(question["timestamp"]), tz=timezone.utc)
    return webhook.sign(question["id"], when, question["body"])


def kie(question):
    signed = f"{question['task_id']}.{question['timestamp']}".encode()
    code = hmac.new(question["key"].encode(), signed, hashlib.sha256)
    return base64.b64encode(code.digest()).decode()


def fal(question):
    digest = hashlib.sha256(question["body"].encode()).hexdigest()
    parts = [question["request_id"], question["user_id"], question["timestamp"], digest]
    message = "\n".join(parts).encode()
    seed = bytes.fromhex(question["seed"])
    if question["library"] == "nacl":
        import nacl.signing

        key = nacl.signing.SigningKey(seed)
        signature, public = key.sign(message).signature, key.verify_key.encode()
    else:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        key = Ed25519PrivateKey.from_private_bytes(seed)
        signature = key.sign(message)
        public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    x = base64.urlsafe_b64encode(public).decode().rstrip("=")
    return {"signature": signature.hex(), "x": x}


def token(question):
    import jwt

    try:
        claims = jwt.decode(question["token"], question["secret"], algorithms=["HS256"],
                            options={"require": ["exp", "nbf", "iss"]})
        return {"claims": claims, "header": jwt.get_unverified_header(question["token"])}
    except jwt.InvalidTokenError as error:
        return {"error": type(error).__name__}


def sigv4(question):
    import botocore.auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    moment = datetime.strptime(question["time"], "%Y%m%dT%H%M%SZ")
    botocore.auth.get_current_datetime = lambda remove_tzinfo=True: moment
    request = AWSRequest(method="PUT", url="http://127.0.0.1:9000" + question["path"],
                         params=[tuple(pair) for pair in question["query"]])
    for name, value in question["headers"]:
        request.headers[name] = value
    keys = Credentials(question["access_key"], question["secret_key"], question["token"])
    botocore.auth.S3SigV4Auth(keys, "s3", "us-east-1").add_auth(request)
    return request.headers["Authorization"]


ask = {"standard": standard, "kie": kie, "fal": fal, "token": token, "sigv4": sigv4}
questions = json.load(sys.stdin)
json.dump([ask[question["kind"]](question) for question in questions], sys.stdout)
