"""TLS: with a certificate of the right authority calls go through, in both directions."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl

import pytest

from ivimkit.errors import OptionError
from ivimkit.node.jobs import Jobs, JobState
from ivimkit.node.tls import TlsSettings
from node_parts import Archive, connected, events, image, push, running, wait_for, write_settings

pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

TABLE = '[tls]\ncertificate = "node.pem"\nkey = "node.key"\nca = "ca.pem"\n'


def _key():
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


def _certificate(
    name: str, key, issuer: str, issuer_key, *, is_ca: bool = False, host: str = "localhost"
):
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName(host)]
    if host == "localhost":
        names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """An authority, and a node, a peer and a stranger with certificates."""
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    folder = tmp_path_factory.mktemp("certificates")
    for authority, names in (("ca", ("node", "peer", "elsewhere")), ("other_ca", ("stranger",))):
        ca_key = _key()
        made = _certificate(authority, ca_key, authority, ca_key, is_ca=True)
        (folder / f"{authority}.pem").write_bytes(made.public_bytes(Encoding.PEM))
        for name in names:
            key = _key()
            host = "elsewhere.example" if name == "elsewhere" else "localhost"
            made = _certificate(name, key, authority, ca_key, host=host)
            (folder / f"{name}.pem").write_bytes(made.public_bytes(Encoding.PEM))
            text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            (folder / f"{name}.key").write_bytes(text)
    return folder


@pytest.fixture
def folder(certificates, tmp_path):
    """A folder for settings, with the certificates in it."""
    for path in certificates.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def _tls(folder, name: str, ca: str = "ca") -> TlsSettings:
    return TlsSettings(certificate=f"{name}.pem", key=f"{name}.key", ca=f"{ca}.pem").within(folder)


def _without_certificate(folder) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    return context


def test_only_callers_with_a_certificate_get_through(folder):
    settings = write_settings(folder, node="quiet_s = 1000\nforce_s = 1000", more=TABLE)
    text = settings.read_text().replace("quiet_s = 0.1\n", "").replace('["pacs"]', "[]")
    settings.write_text(text)
    with running(settings) as node:
        assert push(node.port, image(1, 1), tls=_tls(folder, "peer").client()) == [0]
        # With TLS 1.3 a refusal reaches the caller with its first message, not before.
        for context in (
            _without_certificate(folder),
            _tls(folder, "stranger").client(),
            None,
        ):
            with connected(node.port, tls=context) as association:
                assert not association.is_established
        wait_for(lambda: len(events(folder, "refused")) == 3)
        reasons = [line["reason"] for line in events(folder, "refused")]
        assert all(reason.startswith("no encrypted connection: ") for reason in reasons)


def test_a_caller_who_does_not_finish_the_handshake_blocks_nobody(folder):
    settings = write_settings(folder, more=TABLE, send_to="[]")
    with (
        running(settings) as node,
        socket.create_connection(("127.0.0.1", node.port), timeout=10),
    ):
        assert push(node.port, image(1, 1), tls=_tls(folder, "peer").client()) == [0]


@pytest.mark.parametrize(
    ("name", "more", "arrives"),
    [
        ("peer", "", True),
        ("stranger", "", False),
        ("elsewhere", "", False),
        ("elsewhere", "check_host_names = false", True),
    ],
)
def test_results_are_sent_to_those_who_show_a_certificate_for_their_address(
    folder, name, more, arrives
):
    archive = Archive().start(tls=_tls(folder, name).server())
    settings = write_settings(folder, peers={"mr1": 0, "pacs": archive.port}, more=TABLE + more)
    with running(settings) as node:
        push(node.port, image(1, 1), image(1, 2), tls=_tls(folder, "peer").client())
        wait_for(lambda: [*_done(node)] if arrives else events(folder, "not sent"))
    archive.stop()
    assert len(archive.received) == (2 if arrives else 0)


def test_a_peer_without_encryption_is_sent_results_without(folder):
    archive = Archive().start()
    settings = write_settings(folder, peers={"mr1": 0, "pacs": archive.port}, more=TABLE)
    text = settings.read_text()
    settings.write_text(
        text.replace(f"port = {archive.port}", f"port = {archive.port}\ntls = false")
    )
    with running(settings) as node:
        push(node.port, image(1, 1), image(1, 2), tls=_tls(folder, "peer").client())
        wait_for(lambda: [*_done(node)])
    archive.stop()
    assert len(archive.received) == 2


def _done(node):
    return (job for job in Jobs(node.root).every() if job.state is JobState.done)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("node.key", None, r"key in \[tls\] is .* not a file; expected one in PEM"),
        ("ca.pem", b"nonsense", r"the files of \[tls\] cannot be used"),
        ("node.pem", b"", r"the files of \[tls\] cannot be used"),
    ],
)
def test_files_that_cannot_be_used_are_said(folder, name, content, sentence):
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    for context in (_tls(folder, "node").server, _tls(folder, "node").client):
        with pytest.raises(OptionError, match=sentence):
            context()


def test_a_key_with_a_password_does_not_wait_for_somebody_to_type_it(folder):
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        PrivateFormat,
    )

    text = _key().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    )
    (folder / "node.key").write_bytes(text)
    with pytest.raises(OptionError, match="its private key without a password"):
        _tls(folder, "node").server()
