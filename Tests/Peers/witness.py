"""Looks into S3 buckets with boto3, a client that is not ours, for tests that ask over HTTP.

Says `listening on http://127.0.0.1:PORT` and ends with standard input. Each question is a POST of
JSON with `ask` and where: endpoint, access_key, secret_key, region, bucket.
"""

import base64
import hashlib
import json
import threading

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from served import Handler, Server, serve


class Clients:
    def __init__(self):
        self.lock, self.made = threading.Lock(), {}

    def client(self, asked, service="s3"):
        where = (service, asked["endpoint"], asked["access_key"], asked["secret_key"],
                 asked["region"])
        with self.lock:
            if where not in self.made:
                self.made[where] = boto3.client(
                    service, endpoint_url=where[1], aws_access_key_id=where[2],
                    aws_secret_access_key=where[3], region_name=where[4],
                    config=Config(retries={"total_max_attempts": 1}, max_pool_connections=64,
                                  s3={"addressing_style": "path"},
                                  request_checksum_calculation="when_required",
                                  response_checksum_validation="when_required"))
            return self.made[where]


clients = Clients()


def make_bucket(s3, asked):
    where = {} if asked["region"] in ("us-east-1", "auto") else {
        "CreateBucketConfiguration": {"LocationConstraint": asked["region"]}}
    s3.create_bucket(Bucket=asked["bucket"], **where)


def objects(s3, asked):
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket=asked["bucket"], Prefix=asked.get("prefix", ""))
    return [{"key": item["Key"], "size": item["Size"], "etag": item["ETag"]}
            for page in pages for item in page.get("Contents", [])]


def stored(s3, asked):
    try:
        answer = s3.get_object(Bucket=asked["bucket"], Key=asked["key"])
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
            return None
        raise
    digest, size = hashlib.sha256(), 0
    for chunk in answer["Body"].iter_chunks(1024 * 1024):
        digest.update(chunk)
        size += len(chunk)
    return {"key": asked["key"], "size": size, "sha256": digest.hexdigest(),
            "etag": answer["ETag"], "content_type": answer.get("ContentType"),
            "disposition": answer.get("ContentDisposition"),
            "cache_control": answer.get("CacheControl"),
            "encoding": answer.get("ContentEncoding"),
            # rclone gives names back with capitals; as headers they mean the same.
            "metadata": {name.lower(): value for name, value in answer["Metadata"].items()}}


def uploads(s3, asked):
    pages = s3.get_paginator("list_multipart_uploads").paginate(
        Bucket=asked["bucket"], Prefix=asked.get("prefix", ""))
    try:
        return [{"key": item["Key"], "id": item["UploadId"]}
                for page in pages for item in page.get("Uploads", [])]
    except ClientError as error:
        # rclone's word for a bucket that never had any.
        if error.response["Error"]["Code"] == "NoSuchUpload":
            return []
        raise


def put(s3, asked):
    more = {name: asked[name] for name in ("ContentType", "CacheControl", "ContentDisposition",
                                           "Metadata") if name in asked}
    return s3.put_object(Bucket=asked["bucket"], Key=asked["key"],
                         Body=base64.b64decode(asked["body"]), **more)["ETag"]


def begin_upload(s3, asked):
    """An upload with parts, if any, that nobody completes."""
    upload = s3.create_multipart_upload(Bucket=asked["bucket"], Key=asked["key"])["UploadId"]
    for number, body in enumerate(asked.get("parts", []), 1):
        s3.upload_part(Bucket=asked["bucket"], Key=asked["key"], UploadId=upload,
                       PartNumber=number, Body=base64.b64decode(body))
    return upload


def delete(s3, asked):
    s3.delete_object(Bucket=asked["bucket"], Key=asked["key"])


def delete_bucket(s3, asked):
    for upload in uploads(s3, asked):
        s3.abort_multipart_upload(Bucket=asked["bucket"], Key=upload["key"], UploadId=upload["id"])
    for item in objects(s3, asked):
        s3.delete_object(Bucket=asked["bucket"], Key=item["key"])
    s3.delete_bucket(Bucket=asked["bucket"])


def presign(s3, asked):
    return s3.generate_presigned_url(asked["operation"], ExpiresIn=asked.get("seconds", 60),
                                     Params={"Bucket": asked["bucket"], "Key": asked["key"]})


def make_user(_, asked):
    """Credentials that may do what the policy says: for moto, which checks."""
    iam = clients.client(asked, "iam")
    iam.create_user(UserName=asked["name"])
    iam.put_user_policy(UserName=asked["name"], PolicyName="some",
                        PolicyDocument=json.dumps(asked["policy"]))
    key = iam.create_access_key(UserName=asked["name"])["AccessKey"]
    return {"access_key": key["AccessKeyId"], "secret_key": key["SecretAccessKey"]}


QUESTIONS = {function.__name__: function for function in (
    make_bucket, objects, stored, uploads, put, begin_upload, delete, delete_bucket, presign,
    make_user)}


class Witness(Handler):
    def do_POST(self):
        asked = json.loads(self.read_body())
        try:
            self.send_json({"answer": QUESTIONS[asked["ask"]](clients.client(asked), asked)})
        except (BotoCoreError, ClientError, KeyError, OSError) as error:
            self.send_json({"error": f"{type(error).__name__}: {error}"}, status=400)


if __name__ == "__main__":
    serve(Server(Witness))
