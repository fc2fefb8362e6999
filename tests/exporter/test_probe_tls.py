"""Certificates: who is trusted, until when, and that their end is known also once it has passed."""

from __future__ import annotations

import datetime
import socket
import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st

from exporter.probe.certificates import not_after, read_chain
from exporter.probe.dial import make_context
from exporter.probe.model import Exchange, Http, Probe, Reason, Tcp, Tls
from exporter.probe.run import Prober, Verdict
from selfheal.common.clock import SystemClock
from selfheal.common.re2 import compile_re2
from tests.exporter.probing import Authority, Service, answering, http_answer, serving

PAST = datetime.datetime(2021, 3, 4, 5, 6, 7, tzinfo=datetime.UTC)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


def ask(wanted: Http | Tcp, timeout: float = 10) -> Verdict:
    return Prober(Probe("test", wanted, 15, timeout), SystemClock()).run()


def ask_https(context: ssl.SSLContext, tls: Tls) -> Verdict:
    with serving(answering(http_answer()), context) as service:
        return ask(Http(f"https://127.0.0.1:{service.port}/", tls=tls))


def test_a_trusted_certificate_is_told_with_version_cipher_and_end(authority: Authority) -> None:
    issued = authority.issue("good")
    verdict = ask_https(issued.context(), Tls(ca_file=authority.file))

    assert verdict.reason is None
    assert verdict.found.facts["http_ssl"] == 1
    assert verdict.found.tls_version in ("TLS 1.2", "TLS 1.3")
    assert verdict.found.tls_cipher
    assert verdict.found.chain is not None
    assert verdict.found.chain.earliest_expiry == issued.certificate.not_valid_after_utc.timestamp()
    assert verdict.found.phases["tls"] > 0


def test_a_certificate_of_an_unknown_authority_fails_and_its_end_is_told(authority: Authority) -> None:
    issued = authority.issue("unknown")
    verdict = ask_https(issued.context(), Tls())

    assert verdict.reason is Reason.CERTIFICATE
    assert verdict.text.startswith("the certificate is not trusted: ")
    assert verdict.found.chain is not None
    assert verdict.found.chain.earliest_expiry == issued.certificate.not_valid_after_utc.timestamp()


def test_an_expired_certificate_fails_and_its_end_is_told(authority: Authority) -> None:
    verdict = ask_https(authority.issue("expired", PAST).context(), Tls(ca_file=authority.file))

    assert (verdict.reason, verdict.text) == (
        Reason.CERTIFICATE, "the certificate is not trusted: certificate has expired",
    )  # fmt: skip
    assert verdict.found.chain is not None
    assert verdict.found.chain.earliest_expiry == PAST.timestamp()


def test_a_certificate_of_another_host_fails(authority: Authority) -> None:
    issued = authority.issue("other", host="other.test")

    assert ask_https(issued.context(), Tls(ca_file=authority.file)).reason is Reason.CERTIFICATE
    assert ask_https(issued.context(), Tls(ca_file=authority.file, server_name="other.test")).reason is None


def test_without_verification_anything_is_taken_and_its_end_told(authority: Authority) -> None:
    verdict = ask_https(authority.issue("expired2", PAST).context(), Tls(insecure_skip_verify=True))

    assert verdict.reason is None
    assert verdict.found.chain is not None
    assert verdict.found.chain.earliest_expiry == PAST.timestamp()


def test_we_show_a_certificate_of_our_own(authority: Authority) -> None:
    context = authority.issue("strict").context(authority.file)
    ours = authority.issue("ours")
    tls = Tls(ca_file=authority.file, cert_file=ours.cert_file, key_file=ours.key_file)

    assert ask_https(context, tls).reason is None
    assert ask_https(context, Tls(ca_file=authority.file)).reason in (Reason.TLS, Reason.PROTOCOL)


def test_a_changed_authority_file_is_read_anew(authority: Authority, tmp_path: Path) -> None:
    context = authority.issue("moving").context()
    (tmp_path / "first").mkdir()
    ca_file = tmp_path / "ca.pem"
    ca_file.write_bytes(Authority(tmp_path / "first").file.read_bytes())
    assert ask_https(context, Tls(ca_file=ca_file)).reason is Reason.CERTIFICATE

    ca_file.write_bytes(authority.file.read_bytes())

    assert ask_https(context, Tls(ca_file=ca_file)).reason is None


def test_a_file_that_cannot_be_read_fails_the_probe_by_name(tmp_path: Path) -> None:
    with serving(answering(http_answer())) as service:
        verdict = ask(Http(f"https://127.0.0.1:{service.port}/", tls=Tls(ca_file=tmp_path / "none.pem")))

    assert (verdict.reason, verdict.text) == (
        Reason.SECRET, f"cannot read {tmp_path}/none.pem: no such file or directory",
    )  # fmt: skip


def test_a_server_that_speaks_no_tls_fails() -> None:
    with serving(lambda _, sock: sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as service:
        verdict = ask(Http(f"https://127.0.0.1:{service.port}/", tls=Tls()))

    assert verdict.reason is Reason.TLS
    assert verdict.text.startswith("the TLS handshake failed: ")


def test_a_handshake_that_hangs_is_given_up() -> None:
    with serving(lambda service, _: service.ended.wait(20)) as service:  # type: ignore[arg-type,return-value]
        verdict = ask(Http(f"https://127.0.0.1:{service.port}/", tls=Tls()), timeout=0.2)

    assert (verdict.reason, verdict.text) == (Reason.TIMEOUT, "the TLS handshake did not end in time")


def test_encryption_may_be_unwanted(authority: Authority) -> None:
    with serving(answering(http_answer()), authority.issue("unwanted").context()) as service:
        wanted = Http(f"https://127.0.0.1:{service.port}/", tls=Tls(ca_file=authority.file), fail_if_ssl=True)
        verdict = ask(wanted)

    assert (verdict.reason, verdict.text) == (Reason.TLS, "the connection is encrypted and should not be")


def test_tls_alone_is_a_tcp_probe(authority: Authority) -> None:
    with serving(lambda _, __: None, authority.issue("tcp").context()) as service:
        verdict = ask(Tcp("127.0.0.1", service.port, use_tls=True, tls=Tls(ca_file=authority.file)))

    assert verdict.reason is None
    assert verdict.found.chain is not None


def test_starttls_switches_in_the_middle_and_forgets_what_came_before(authority: Authority) -> None:
    context = authority.issue("mail").context()

    def mail(service: Service, sock: socket.socket) -> None:
        sock.sendall(b"220 hello\r\n")
        service.asked.append(sock.recv(100))
        # what an attacker puts behind the last plain line must not be read as if it had come encrypted
        sock.sendall(b"220 go\r\n250 injected\r\n")
        encrypted = context.wrap_socket(sock, server_side=True)
        encrypted.sendall(b"221 bye\r\n")
        encrypted.close()

    steps = (
        Exchange(compile_re2("^220 ")),
        Exchange(send="STARTTLS"),
        Exchange(compile_re2("^220 go"), starttls=True),
        Exchange(compile_re2("^250 injected")),
    )
    with serving(mail) as service:
        verdict = ask(Tcp("127.0.0.1", service.port, conversation=steps, tls=Tls(ca_file=authority.file)))

    assert service.asked == [b"STARTTLS\n"]
    assert (verdict.reason, verdict.text) == (
        Reason.REGEX, "the connection was closed before a line matched ^250 injected",
    )  # fmt: skip
    assert verdict.found.chain is not None


def at(*moment: int) -> datetime.datetime:
    return datetime.datetime(*moment, tzinfo=datetime.UTC)  # type: ignore[arg-type,misc]


@pytest.mark.parametrize(
    "ends",
    [PAST, at(2049, 12, 31, 23, 59, 59), at(2050, 1, 1), at(9999, 12, 31, 23, 59, 59)],
    ids=["two-digits", "last-of-two-digits", "four-digits", "without-end"],
)
def test_the_end_is_read_as_cryptography_reads_it(authority: Authority, ends: datetime.datetime) -> None:
    issued = authority.issue("dates", ends)
    der = ssl.PEM_cert_to_DER_cert(
        issued.cert_file.read_text().split("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----\n"
    )

    assert not_after(der) == issued.certificate.not_valid_after_utc.timestamp() == ends.timestamp()


@pytest.mark.parametrize(("digits", "year"), [(b"49", 2049), (b"50", 1950), (b"99", 1999)])
def test_two_digits_of_a_year_are_from_1950_to_2049(authority: Authority, digits: bytes, year: int) -> None:
    certificate = authority.issue("years", PAST).certificate.public_bytes(serialization.Encoding.DER)

    assert (
        not_after(certificate.replace(b"210304050607Z", digits + b"0304050607Z")) == at(year, 3, 4, 5, 6, 7).timestamp()
    )


@given(st.binary(max_size=200))
def test_garbage_is_no_certificate(data: bytes) -> None:
    with pytest.raises(ValueError):
        not_after(data)


def test_every_cut_of_a_certificate_is_refused_or_read_the_same(authority: Authority) -> None:
    text = (
        authority.issue("cut").cert_file.read_text().split("-----END CERTIFICATE-----")[0]
        + "-----END CERTIFICATE-----\n"
    )
    der = ssl.PEM_cert_to_DER_cert(text)
    for length in range(len(der)):
        with pytest.raises(ValueError):
            not_after(der[:length])


def test_no_certificate_is_no_chain() -> None:
    with pytest.raises(ValueError, match="showed no certificate"):
        read_chain([])


def test_a_key_with_a_passphrase_fails_the_probe_and_asks_nobody_at_the_terminal(
    authority: Authority, tmp_path: Path
) -> None:
    issued = authority.issue("locked")
    key = serialization.load_pem_private_key(issued.key_file.read_bytes(), None)
    key_file = tmp_path / "locked.key"
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    tls = Tls(ca_file=authority.file, cert_file=issued.cert_file, key_file=key_file)

    verdict = ask_https(authority.issue("asks").context(), tls)

    assert (verdict.reason, verdict.text) == (
        Reason.SECRET,
        f"cannot read {authority.file}, {issued.cert_file}, {key_file}: "
        "no certificate in PEM, or a key that is encrypted or another's",
    )


def test_one_that_differs_only_in_the_name_of_its_server_costs_no_other_context(authority: Authority) -> None:
    one, other = (Tls(ca_file=authority.file, server_name=name) for name in ("a.example", "b.example"))

    assert make_context(one) is make_context(other)
