"""How servers are asked, and who may ask here: credentials, which stand in files of their own and never in this one."""

from __future__ import annotations

from pathlib import Path

from remediator.config import Config, Endpoint, Hmac, listens_locally, parse_listen_address
from remediator.config.beside import Beside
from remediator.config.written import ApiCredential, HookCredential, WrittenServer
from selfheal.common.keys import read_keys
from selfheal.common.problems import ConfigError, Problem
from selfheal.common.secrets import Secret, read_tokens
from selfheal.common.tls import server_context
from selfheal.common.web_config import WebConfig
from selfheal.common.web_config_file import read_web_config

LEAST_KEY = 32
"""Characters of a key that links are signed with."""


def endpoint(beside: Beside, server: WrittenServer, at: str) -> Endpoint:
    """Return where and how to ask."""
    basic, authorization, tls = server.basic_auth, server.authorization, server.tls_config
    if basic and authorization:
        beside.wrong(at, "basic_auth and authorization exclude each other", "keep one")
    if (tls.cert_file is None) != (tls.key_file is None):
        beside.wrong(f"{at}.tls_config", "cert_file and key_file belong together", "give both or neither")
    password = beside.secret(basic.password_file, f"{at}.basic_auth.password_file") if basic else None
    credentials = (
        beside.secret(authorization.credentials_file, f"{at}.authorization.credentials_file") if authorization else None
    )
    return Endpoint(
        url=server.url,
        username=basic.username if basic else "",
        password=password,
        authorization=Secret(f"{authorization.type} {credentials.reveal()}") if authorization and credentials else None,
        headers=dict(server.headers),
        ca_file=beside.present(tls.ca_file, f"{at}.tls_config.ca_file"),
        cert_file=beside.present(tls.cert_file, f"{at}.tls_config.cert_file"),
        key_file=beside.present(tls.key_file, f"{at}.tls_config.key_file"),
        insecure_skip_verify=tls.insecure_skip_verify,
    )


def link_key(beside: Beside, text: str | None) -> Secret | None:
    """Return what links are signed with, if a file is named for it."""
    found = None if text is None else beside.secret(text, "approval.link_key_file")
    if found is not None and len(found.reveal()) < LEAST_KEY:
        what = f"holds a key shorter than {LEAST_KEY} characters"
        beside.wrong("approval.link_key_file", what, "make one with: (umask 077; openssl rand -hex 32 > FILE)")
    return found


def hmac(beside: Beside, credential: HookCredential | None) -> Hmac | None:
    """Return how deliveries may be signed."""
    written = None if credential is None else credential.hmac
    if written is None:
        return None
    secret = beside.secret(written.secret_file, "hook.hmac.secret_file")
    if secret is None:
        return None
    if len(secret.reveal()) < 16:
        what = "holds a secret shorter than 16 characters"
        beside.wrong("hook.hmac.secret_file", what, "make one with: (umask 077; openssl rand -hex 32 > FILE)")
    return Hmac(secret, written.header, written.timestamp_header, written.tolerance)


def keys(beside: Beside, credential: ApiCredential | None) -> Path | None:
    """Return the file of API keys, which must be readable now and is read again when it changes."""
    if credential is None or credential.keys_file is None:
        return None
    path = beside.place(credential.keys_file)
    try:
        read_keys(path)
    except ValueError as error:
        what, _, remedy = str(error).partition("; ")
        beside.wrong("api.keys_file", what, remedy)
    return path


def tokens(beside: Beside, credential: HookCredential | ApiCredential | None, at: str) -> tuple[Secret, ...]:
    """Return the tokens that are valid there; none means no token is asked."""
    if credential is None or credential.token_file is None:
        return ()
    try:
        return read_tokens(beside.place(credential.token_file))
    except ValueError as error:
        what, _, remedy = str(error).partition("; ")
        beside.wrong(f"{at}.token_file", what, remedy or "make one with: (umask 077; openssl rand -hex 24 > FILE)")
        return ()


def web_config(beside: Beside, path: Path) -> WebConfig | None:
    """Given the file that asks for TLS and passwords, return it read; None where it cannot be used."""
    try:
        found = read_web_config(path)
        if found.tls is not None:
            server_context(found.tls, path)
    except ConfigError as error:
        beside.problems.extend(error.problems)
        return None
    return found


def check_credentials(beside: Beside, config: Config, web: WebConfig | None) -> None:
    """Refuse to be reachable from elsewhere without credentials."""
    try:
        host, _ = parse_listen_address(config.listen_address)
    except ValueError as error:
        what, _, remedy = str(error).partition("; ")
        beside.problems.append(Problem("--web.listen-address", "", what, remedy))
        return
    if listens_locally(host):
        return
    passwords = web is not None and web.asks_who
    hook = bool(config.hook_tokens or config.hook_hmac) or passwords
    api = bool(config.api_tokens or config.api_keys) or passwords
    for at, asked in (("hook", hook), ("api", api)):
        # a file of credentials that cannot be used has been told already
        if not asked and not any(problem.path.startswith(at) for problem in beside.problems):
            what = f"{config.listen_address} can be reached from elsewhere and {at} has no credential"
            beside.wrong(at, what, f"add {at}: {{token_file: {at}.token}} or listen on 127.0.0.1")
