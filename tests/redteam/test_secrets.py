"""The red team against the search for secrets: in which names and shapes one could slip into a commit."""

from __future__ import annotations

import time

import pytest

from remediator.actions._secrets import secret_content, secret_name


@pytest.mark.parametrize("name", ["a/.ENV", "x/.env.local", "deploy/Prod.Key", "id_ed25519.pub", "home/.ssh/config"])
def test_names_of_secrets_are_known_in_any_case_and_any_folder(name: str) -> None:
    assert secret_name(name) is not None


@pytest.mark.parametrize(
    "text",
    [
        "aws_secret_access_key=" + "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzzzzzzzzzz",
        "{'apiKey': '" + "8f7Kd02ns8Qx'}",
        "Authorization-Token: " + "Zm9vYmFyOnF1eDEyMw",
        "client_secret => '" + "aZ3$9kLq!77x'",
        "x = 'ey" + "JhbGciOiJIUzI1NiJ9.ey" + "JzdWIiOiIxMjM0NTY3ODkwIn0.abcdefghijk123'",
    ],
)
def test_assigned_secrets_are_seen(text: str) -> None:
    assert secret_content(text.encode()) is not None
    assert secret_content(text.encode("utf-16-le")) is not None


def test_looking_for_secrets_takes_no_longer_than_the_text_is_long() -> None:
    for piece in (
        "a" * 10,
        "password=",
        "-----BEGIN ",
        "eyJ",
        "x://a:",
        "token_",
        "=",
        "\n",
        "= \t",
        "login x ",
        "a:1:",
        "--",
        "bearer ",
        "=a",
        "M.",
        ".bak",
    ):
        begun = time.process_time()

        secret_content((piece * (1 << 20))[: 1 << 20].encode())

        # the work of a processor, which no busy neighbour adds to; a quadratic search takes minutes
        assert time.process_time() - begun < 20


@pytest.mark.parametrize(
    "text",
    [
        "tls.key: LS0tLS1CRUdJTi" + "BSU0EgUFJJVkFURSBLRVktLS0tLQ",
        "key: |\n  MIIEvQIBADANBgkq" + "hkiG9w0BAQEFAASCBKcw",
        "---- BEGIN SSH2 ENCRYPTED PRIVATE " + "KEY ----",
        "machine api.example.org\n  login me\n  password " + "hunter22",
        "db.example.org:5432:shop:ann:" + "s3cr3tWord",
        "DB_PASSWORD=" + "hunter2",
        '{"password": "' + 'hunter2x1"}',
        "<password>" + "s3cr3tPassw0rd!</password>",
        "curl -H 'Authorization: Bearer " + "7f3c9a1b5d2e8f60a4c1'",
        "Authorization: Basic " + "YW5uOm9wZW4tc2VzYW1lOTk=",
        "tool --api-token " + "S3cr3tWord99x run",
        "Server=db;User Id=sa;Pwd=" + "Str0ngPassw0rd;",
        "ENCRYPTION_KEY=" + "9f8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c",
        "ann:$apr1$" + "Xy12abcd$Zn0IeJuv7s3HicC0xZVcbu",
        "redis://:" + "s3cr3tpw@db:6379/0",
        "https://ghx9abcDEF1234567890zyx" + "@example.org/a.git",
        "sv=2020&sig=" + "aB3%2Bd9" * 6,
        'x = "' + "hvs." + "zs7Q5WQb5f7f2ayrDrYYxOV2" + '"',
        "dop_v1_" + "35d13836" * 8,
        "glsa_" + "V47Is3FO5ZI6nYWNv3FgaWUQw749TrdI_e937887d",
        '{"kty":"RSA","d":"' + "aB3dE5gH7jK9mN1pQ2sT4vW6yZ8cF0" * 12 + '"}',
    ],
)
def test_secrets_of_every_shape_are_seen(text: str) -> None:
    for encoded in (text.encode(), text.encode("utf-16"), b"a line\n" * 100 + text.encode() + b"\nmore\n"):
        assert secret_content(encoded) is not None


@pytest.mark.parametrize(
    "text",
    [
        "github.com/x/y v1.0.0 h1:" + "s8sPOT2uyMGVDuh1Kdw0HuCwUa5K3n6kqEIzKPDcZbY=",
        '"integrity": "sha512-' + "aB3dE5gH7jK9mN1pQ2sT4vW6yZ+/" * 3 + 'ab=="',
        "password = get_password(request)\ntoken = os.environ['TOKEN']\npassword: str\n",
        "Send `Authorization: Bearer TOKEN`; `--password PASSWORD` is read from a file.\n",
        "bypass: 10 times, passes: tests/one.py\nmax_tokens: 4096\nauthor: Ann Example\n",
        "a basic understanding_of_internationalization, bearer responsibilities/characteristics\n",
        "02:42:ac:11:00:02\nff:ff:ff:ff:ff:ff\n",
    ],
)
def test_sums_and_code_and_words_are_no_secrets(text: str) -> None:
    assert secret_content(text.encode()) is None


@pytest.mark.parametrize(
    "name",
    [
        ".env~",
        "..env.swp",
        "#.env#",
        "server.key.bak",
        "x/server.pem~",
        ".netrc.old",
        "a/secrets/db",
        "db_password.txt",
    ],
)
def test_copies_of_secrets_and_their_folders_are_known(name: str) -> None:
    assert secret_name(name) is not None
