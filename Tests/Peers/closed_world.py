"""A world of one machine, in which a wrong connection would really succeed.

    unshare --mount --net python3 closed_world.py --public LIST --denied LIST
        [--certificates FOLDER] PROGRAM [ARGUMENT ...]

In a network namespace of its own, every address there is belongs to the loopback. On all of them
listens a web server (ports 80 and 8080, and with certificates TLS on 443 and up, as listed there),
and on 127.0.0.1 a name server whose answers change as those of an attacker do. The program runs in
there with the standard input and output of this script, which then prints one line of JSON: at
which addresses connections were accepted, and what the name server was asked and said.

Knows the standard library only.
"""

import argparse
import asyncio
import collections
import ctypes
import glob
import ipaddress
import json
import os
import random
import shutil
import socket
import ssl
import struct
import sys
import tempfile
from urllib.parse import unquote

A, CNAME, AAAA = 1, 5, 28


# The network: rtnetlink(7)

def netlink(kind, flags, body):
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as link:
        request, acknowledge = 1, 4
        link.send(struct.pack("=IHHII", 16 + len(body), kind, flags | request | acknowledge, 1, 0)
                  + body)
        code = struct.unpack_from("=i", link.recv(65536), 16)[0]
        if code != 0:
            raise OSError(-code, f"rtnetlink message {kind}: {os.strerror(-code)}")


def own_every_address():
    loopback = socket.if_nametoindex("lo")
    new_link, new_route, create, up = 16, 24, 0x400, 1
    netlink(new_link, 0, struct.pack("=BxHiII", socket.AF_UNSPEC, 0, loopback, up, up))
    interface = struct.pack("=HHi", 8, 4, loopback)
    for family in (socket.AF_INET, socket.AF_INET6):
        table_local, by_boot, scope_host, type_local = 255, 3, 254, 2
        route = struct.pack("=BBBBBBBBI", family, 0, 0, 0, table_local, by_boot, scope_host,
                            type_local, 0)
        netlink(new_route, create, route + interface)


# The file system: what the resolver and the TLS library read

def own_configuration(folder, certificates):
    files = {"resolv.conf": "nameserver 127.0.0.1\noptions timeout:5 attempts:2\n",
             "nsswitch.conf": "hosts: dns\n", "hosts": ""}
    if certificates:
        with open(os.path.join(certificates, "authority.crt"), encoding="ascii") as authority:
            trusted = authority.read()
        # Debian and its children, Red Hat and its children, and the rest.
        for path in ("ssl/certs/ca-certificates.crt", "pki/tls/certs/ca-bundle.crt",
                     "ssl/cert.pem"):
            files[path] = trusted
    for path, text in files.items():
        os.makedirs(os.path.dirname(os.path.join(folder, path)), exist_ok=True)
        with open(os.path.join(folder, path), "w", encoding="ascii") as file:
            file.write(text)
    # Where the machine's loader looks for libraries.
    for path in glob.glob("/etc/ld.so.*"):
        if os.path.isfile(path):
            shutil.copy(path, folder)
    libc, bind = ctypes.CDLL(None, use_errno=True), 4096
    # A cache of names outside this world would be asked before the name server inside.
    empty = os.path.join(folder, "empty")
    os.mkdir(empty)
    for source, target in ((folder, "/etc"), (empty, "/run/nscd"), (empty, "/var/run/nscd")):
        if os.path.isdir(target) and libc.mount(source.encode(), target.encode(), None, bind, None):
            code = ctypes.get_errno()
            raise OSError(code, f"mount on {target}: {os.strerror(code)}")


# The name server: RFC 1035

def name_bytes(name):
    return b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0"


class NameServer(asyncio.DatagramProtocol):
    """Answers `NUMBER-KIND.test`; the number chooses the addresses, the kind how they change."""

    def __init__(self, public, denied, counts):
        self.public, self.denied, self.counts = public, denied, counts
        self.lookups = collections.Counter()

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, query, sender):
        end = query.index(b"\0", 12)
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode("latin-1"))
            at += 1 + query[at]
        kind = struct.unpack_from("!H", query, end + 1)[0]
        name = ".".join(labels).lower()
        records = self.answer(name, kind) if kind in (A, AAAA) else []
        self.counts["queries"] += 1
        head = query[:2] + struct.pack("!HHHHH", 0x8580, 1, len(records), 0, 0)
        body = b""
        for owner, kind, value in records:
            # Time to live: zero, so that nobody may keep it.
            body += name_bytes(owner) + struct.pack("!HHIH", kind, 1, 0, len(value)) + value
        self.transport.sendto(head + query[12:end + 5] + body, sender)

    def answer(self, name, kind):
        number, _, manner = name.removesuffix(".test").partition("-")
        if not number.isdigit() or not name.endswith(".test"):
            # Whatever else is taken for a name, such as a spelling that no system reads.
            return self.records(name, kind, ["::1" if kind == AAAA else "127.0.0.1"])
        count = self.lookups[name, kind]
        self.lookups[name, kind] += 1
        good = self.choose(self.public, number, kind)
        bad = self.choose(self.denied, number, kind)
        chain = manner.startswith("chain")
        manner = manner.removeprefix("chain")
        if manner == "random":
            dice = random.Random(f"{name} {kind} {count}")
            addresses = [dice.choice([good, bad]) for _ in range(dice.randint(1, 4))]
        else:
            addresses = {
                "public": [good], "denied": [bad],
                "flip": [bad if count % 2 else good], "flop": [good if count % 2 else bad],
                "both": [good, bad], "htob": [bad, good],
                "split": [good if kind == A else bad], "tilps": [bad if kind == A else good],
            }[manner]
        # Where both are there, one is always preferred: a third of the names has IPv4 alone, and a
        # third IPv6 alone.
        if int(number) % 3 == (0 if kind == AAAA else 1) and manner not in ("split", "tilps"):
            addresses = []
        if bad in addresses:
            self.counts["denied_answers"] += 1
        return self.records(name, kind, addresses, chain)

    @staticmethod
    def choose(addresses, number, kind):
        own = [text for text in addresses if (":" in text) == (kind == AAAA)]
        return own[int(number) % len(own)]

    @staticmethod
    def records(name, kind, addresses, chain=False):
        records, owner = [], name
        for step in range(3 if chain else 0):
            records.append((owner, CNAME, name_bytes(f"step{step}.{name}")))
            owner = f"step{step}.{name}"
        return records + [(owner, kind, ipaddress.ip_address(text).packed) for text in addresses]


# The web server: the same everywhere, as a canary and as a source

class WebServer:
    def __init__(self, counts):
        self.accepted, self.counts = collections.Counter(), counts

    async def serve(self, reader, writer):
        local = ipaddress.ip_address(writer.get_extra_info("sockname")[0].split("%")[0])
        self.accepted[str(getattr(local, "ipv4_mapped", None) or local)] += 1
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            self.counts["requests"] += 1
            target = head.split(" ")[1]
            answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhere\n"
            if target.startswith("/go/"):
                answer = (f"HTTP/1.1 302 Found\r\nLocation: {unquote(target[4:])}\r\n"
                          "Content-Length: 0\r\nConnection: close\r\n\r\n")
            writer.write(answer.encode("latin-1"))
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()


def any_address(port):
    return socket.create_server(("::", port), family=socket.AF_INET6, backlog=1024,
                                dualstack_ipv6=True)


def tls_servers(folder):
    """Port and context of each server that `certificates.py` has listed."""
    with open(os.path.join(folder, "servers.json"), encoding="utf-8") as file:
        for server in json.load(file):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            # The old versions need signatures that are forbidden otherwise.
            context.set_ciphers("DEFAULT@SECLEVEL=0")
            context.minimum_version = ssl.TLSVersion[server["version"]]
            context.maximum_version = ssl.TLSVersion[server["version"]]
            context.load_cert_chain(os.path.join(folder, server["certificate"] + ".crt"),
                                    os.path.join(folder, server["certificate"] + ".key"))
            yield server["port"], context


async def run(options):
    counts = collections.Counter()
    web = WebServer(counts)
    listeners = [(80, None), (8080, None)]
    if options.certificates:
        listeners += tls_servers(options.certificates)
    for port, context in listeners:
        await asyncio.start_server(web.serve, sock=any_address(port), ssl=context)
    await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: NameServer(options.public, options.denied, counts), ("127.0.0.1", 53))
    program = await asyncio.create_subprocess_exec(*options.program)
    status = await program.wait()
    print(json.dumps({"accepted": web.accepted, **counts}), flush=True)
    return status


def main():
    parser = argparse.ArgumentParser()
    addresses = {"type": lambda text: text.split(","), "required": True}
    parser.add_argument("--public", **addresses)
    parser.add_argument("--denied", **addresses)
    parser.add_argument("--certificates")
    parser.add_argument("program", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    own_every_address()
    with tempfile.TemporaryDirectory(prefix="closed-world-") as folder:
        own_configuration(folder, options.certificates)
        sys.exit(asyncio.run(run(options)))


main()
