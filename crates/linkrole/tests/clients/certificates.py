"""Certificates for servers on loopback that the tests run, each under an authority of its own."""

import collections
import datetime
import ipaddress
import os

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Made = collections.namedtuple("Made", "chain private sha1 sha256")


def certificate(subject, key, issuer, issuer_key, is_authority):
    named = lambda text: x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (x509.CertificateBuilder().subject_name(named(subject)).issuer_name(named(issuer))
            .public_key(key.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True))
    if not is_authority:
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        made = made.add_extension(x509.SubjectAlternativeName([address]), critical=False)
    return made.sign(issuer_key, hashes.SHA256())


def chain(folder):
    """A leaf for 127.0.0.1 and its authority in PEM files of a folder, and the authority's fingerprints."""
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = certificate("authority", authority_key, "authority", authority_key, True)
    leaf = certificate("leaf", key, "authority", authority_key, False)
    chain, private = (os.path.join(folder, name) for name in ("chain.pem", "key.pem"))
    with open(chain, "wb") as file:
        for one in (leaf, authority):
            file.write(one.public_bytes(serialization.Encoding.PEM))
    with open(private, "wb") as file:
        file.write(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                     serialization.NoEncryption()))
    prints = (authority.fingerprint(hash).hex() for hash in (hashes.SHA1(), hashes.SHA256()))
    return Made(chain, private, *prints)
