"""Makes certificates, good and bad, and says which server shows which.

    certificates.py FOLDER

Writes `authority.crt`, which clients are to trust, `NAME.crt` and `NAME.key` for each certificate,
and `servers.json` for `closed_world.py`. Needs the library `cryptography`.
"""

import json
import os
import sys
from datetime import datetime, timedelta, timezone

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

folder = sys.argv[1]
now = datetime.now(timezone.utc)
day = timedelta(days=1)


def name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def make(file, host, issuer=None, begins=now - day, ends=now + 30 * day, authority=False):
    """A certificate for a host; signed by itself unless an issuer is given."""
    key = ec.generate_private_key(ec.SECP256R1())
    issuer_name, issuer_key = issuer or (name(host), key)
    certificate = (
        x509.CertificateBuilder().subject_name(name(host)).issuer_name(issuer_name)
        .public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(begins).not_valid_after(ends)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .sign(issuer_key, hashes.SHA256()))
    with open(os.path.join(folder, file + ".crt"), "wb") as out:
        out.write(certificate.public_bytes(serialization.Encoding.PEM))
    with open(os.path.join(folder, file + ".key"), "wb") as out:
        out.write(key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption()))
    return name(host), key


HOST = "1-public.test"
ours = make("authority", "our authority", authority=True)
theirs = make("stranger", "their authority", authority=True)
make("good", HOST, ours)
make("other_host", "2-public.test", ours)
make("expired", HOST, ours, begins=now - 9 * day, ends=now - day)
make("early", HOST, ours, begins=now + day)
make("self_signed", HOST)
make("untrusted", HOST, theirs)
servers = [("good", "TLSv1_3"), ("good", "TLSv1_2"), ("good", "TLSv1_1"), ("good", "TLSv1"),
           ("other_host", "TLSv1_3"), ("expired", "TLSv1_3"), ("early", "TLSv1_3"),
           ("self_signed", "TLSv1_3"), ("untrusted", "TLSv1_3")]
with open(os.path.join(folder, "servers.json"), "w", encoding="utf-8") as out:
    json.dump([{"certificate": certificate, "version": version, "port": 443 + number}
               for number, (certificate, version) in enumerate(servers)], out)
