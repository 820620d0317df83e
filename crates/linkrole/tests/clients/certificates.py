"""Certificates for servers on loopback that the tests run, each under an authority of its own."""

import collections
import datetime
import ipaddress
import os

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Made = collections.namedtuple("Made", "chain private sha1 sha256")


def certificate(subject, key, issuer, issuer_key, is_authority, names=None, usages=(), lives=3600):
    named = lambda text: x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (x509.CertificateBuilder().subject_name(named(subject)).issuer_name(named(issuer))
            .public_key(key.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=2))
            .not_valid_after(now + datetime.timedelta(seconds=lives))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True))
    if not is_authority:
        if names is None:
            names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        made = made.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if usages:
        made = made.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    return made.sign(issuer_key, hashes.SHA256())


def write_key(path, key):
    with open(path, "wb") as file:
        file.write(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                     serialization.NoEncryption()))


class Authority:
    """An authority of clients, whose certificate and whose clients' are PEM files of a folder."""

    def __init__(self, folder, word):
        self.folder, self.word, self.made = folder, word, 0
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.file = os.path.join(folder, word + ".pem")
        with open(self.file, "wb") as file:
            own = certificate(word, self.key, word, self.key, True)
            file.write(own.public_bytes(serialization.Encoding.PEM))

    def client(self, *names, usages=(ExtendedKeyUsageOID.CLIENT_AUTH,), **more):
        """A certificate of these names, URIs where they have a scheme; answers it and its key."""
        self.made += 1
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.UniformResourceIdentifier(name) if "://" in name else x509.DNSName(name)
                 for name in names]
        files = [os.path.join(self.folder, f"{self.word}-{self.made}.{end}") for end in ("pem", "key")]
        with open(files[0], "wb") as file:
            leaf = certificate("client", key, self.word, self.key, False, names, usages, **more)
            file.write(leaf.public_bytes(serialization.Encoding.PEM))
        write_key(files[1], key)
        return files


def chain(folder):
    """A leaf for 127.0.0.1 and its authority in PEM files of a folder, and the authority's fingerprints."""
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = certificate("authority", authority_key, "authority", authority_key, True)
    leaf = certificate("leaf", key, "authority", authority_key, False)
    chain, private = (os.path.join(folder, name) for name in ("chain.pem", "key.pem"))
    with open(chain, "wb") as file:
        for one in (leaf, authority):
            file.write(one.public_bytes(serialization.Encoding.PEM))
    write_key(private, key)
    prints = (authority.fingerprint(hash).hex() for hash in (hashes.SHA1(), hashes.SHA256()))
    return Made(chain, private, *prints)
