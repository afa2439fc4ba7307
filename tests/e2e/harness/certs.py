"""Certificates for tests: an authority, and what it signs."""

import datetime
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)


class Authority:
    """Signs certificates; `file` has its own, for whoever has to trust them."""

    def __init__(self, directory, name="authority"):
        self.directory = Path(directory)
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        usage = x509.KeyUsage(digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False,
                              key_encipherment=False, data_encipherment=False, key_agreement=False,
                              encipher_only=False, decipher_only=False)
        self.cert = (_builder(self.name, self.name, self.key)
                     .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
                     .add_extension(usage, critical=True)
                     .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False)
                     .sign(self.key, hashes.SHA256()))
        self.file = self.directory / f"{name}.pem"
        self.file.write_bytes(self.cert.public_bytes(serialization.Encoding.PEM))

    def sign(self, name, uri=None, file=None):
        """Writes FILE.pem and FILE.key (the name's own where none is given); returns both paths."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        names = [x509.DNSName("localhost"), *([x509.UniformResourceIdentifier(uri)] if uri else [])]
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        cert = (_builder(subject, self.name, key)
                .add_extension(x509.SubjectAlternativeName(names), critical=False)
                .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
                .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()),
                               critical=False)
                .sign(self.key, hashes.SHA256()))
        stem = self.directory / (file or name)
        paths = stem.with_suffix(".pem"), stem.with_suffix(".key")
        paths[0].write_bytes(cert.public_bytes(serialization.Encoding.PEM))
        paths[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                               serialization.NoEncryption()))
        return paths

    def context(self):
        """Of Python, for who trusts what it has signed, and nothing else."""
        return ssl.create_default_context(cafile=self.file)

    def environment(self, name, uri=None):
        """What an SDK is told to show this certificate, and to trust ours."""
        cert, key = self.sign(name, uri)
        return {"OTEL_EXPORTER_OTLP_CERTIFICATE": str(self.file), "NODE_EXTRA_CA_CERTS": str(self.file),
                "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": str(cert), "OTEL_EXPORTER_OTLP_CLIENT_KEY": str(key),
                # Where they are set, Python's requests heeds them before what it is told.
                "REQUESTS_CA_BUNDLE": str(self.file), "CURL_CA_BUNDLE": str(self.file)}


def _builder(subject, issuer, key):
    now = datetime.datetime.now(datetime.timezone.utc)
    return (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(now - DAY).not_valid_after(now + DAY))
