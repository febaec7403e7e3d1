"""Runs an S3 server that is not ours on a free port of the loopback.

    peer.py rclone | moto | ministack

Says `listening on http://127.0.0.1:PORT ACCESS_KEY SECRET_KEY` when it answers, and ends with
standard input.
"""

import ctypes
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

ACCESS_KEY, SECRET_KEY = "holdfast-test-key", "holdfast-test-secret/with+signs=="


def tell(address, access_key=ACCESS_KEY, secret_key=SECRET_KEY):
    print(f"listening on {address} {access_key} {secret_key}", flush=True)


def tell_when_ready(port):
    address = f"http://127.0.0.1:{port}"
    while True:
        try:
            urllib.request.urlopen(address, timeout=5).close()
        except urllib.error.HTTPError:
            pass
        except OSError:
            time.sleep(0.02)
            continue
        break
    tell(address)


def owner(address):
    """The credentials of a user who may do everything."""
    import boto3

    iam = boto3.client("iam", endpoint_url=address, region_name="us-east-1",
                       aws_access_key_id="test", aws_secret_access_key="test")
    iam.create_user(UserName="owner")
    everything = {"Version": "2012-10-17",
                  "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    iam.put_user_policy(UserName="owner", PolicyName="all", PolicyDocument=json.dumps(everything))
    key = iam.create_access_key(UserName="owner")["AccessKey"]
    return key["AccessKeyId"], key["SecretAccessKey"]


def end_with_input(end):
    def wait():
        sys.stdin.buffer.read()
        end()
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()


def rclone():
    folder = tempfile.mkdtemp(prefix="holdfast-rclone.")

    def end():
        child.kill()
        child.wait()
        shutil.rmtree(folder, ignore_errors=True)

    # It must not outlive this process, even when that is killed.
    def die_with_parent():
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)

    program = os.path.join(os.path.dirname(sys.executable), "rclone")
    child = subprocess.Popen(
        [program, "serve", "s3", "--config", "/dev/null", "--addr", "127.0.0.1:0",
         "--auth-key", f"{ACCESS_KEY},{SECRET_KEY}", folder],
        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, preexec_fn=die_with_parent)
    end_with_input(end)
    for line in child.stderr:
        if found := re.search(r"http://127\.0\.0\.1:(\d+)", line):
            tell_when_ready(found[1])
    # It ended, by itself or by us; let whoever ends it finish.
    time.sleep(5)
    end()
    sys.exit(1)


def moto():
    # It checks nobody before it has seen three requests: those that make a user and its rights.
    os.environ["INITIAL_NO_AUTH_ACTION_COUNT"] = "3"
    from moto.moto_server.werkzeug_app import (
        DomainDispatcherApplication, MotoRequestHandler, create_backend_app)
    from werkzeug.serving import make_server

    class Quiet(MotoRequestHandler):
        def log(self, *_):
            pass

    server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app),
                         threaded=True, request_handler=Quiet)
    address = f"http://127.0.0.1:{server.server_address[1]}"
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    end_with_input(lambda: None)
    tell(address, *owner(address))
    serving.join()


def ministack():
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    port = listener.getsockname()[1]
    folder = tempfile.TemporaryDirectory(prefix="holdfast-ministack.")
    os.environ.update(GATEWAY_PORT=str(port), BIND_HOST="127.0.0.1", LOG_LEVEL="ERROR",
                      TMPDIR=folder.name, MINISTACK_HOST="127.0.0.1", SERVICES="s3,iam,sts",
                      IOT_MTLS_ENABLED="0",
                      AUTH="true")
    tempfile.tempdir = folder.name
    import asyncio

    from hypercorn.asyncio import serve
    from hypercorn.config import Config
    from ministack.app import app

    config = Config()
    config.bind = [f"fd://{listener.fileno()}"]
    config.keep_alive_timeout = 75
    config.loglevel = "ERROR"
    end_with_input(folder.cleanup)

    def announce():
        # It checks no signature of its root, so the tests are somebody else.
        address = f"http://127.0.0.1:{port}"
        tell(address, *owner(address))

    threading.Thread(target=announce, daemon=True).start()
    asyncio.run(serve(app, config))


if __name__ == "__main__":
    {"rclone": rclone, "moto": moto, "ministack": ministack}[sys.argv[1]]()
