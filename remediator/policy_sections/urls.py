"""The shape of `urls:` in a policy file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator

from remediator.policy.addresses import is_loopback, read_address
from remediator.policy.values import METHODS, Url
from remediator.policy_sections.texts import address_of, some_of
from selfheal.common.documents import Section, told


def _url(value: str) -> str:
    address = address_of(value)
    if address.query:
        told("must end with its path", "leave out what follows ?")
    return value


def _file_name(value: str) -> str:
    remedy = "name a private file (mode 0600) that holds the header"
    if not value or "\0" in value:
        told("is no path", remedy)
    if any(sign.isspace() for sign in value):
        # and not shown, here or by a refusal later: it may be the secret itself
        told("holds a blank, as a header does", remedy)
    return value


class _UrlRule(Section):
    methods: Annotated[Any, some_of(METHODS, "method")] = ("GET", "HEAD")
    authorization_file: Annotated[str, AfterValidator(_file_name)] | None = None


def _secrets_stay_hidden(urls: dict[str, _UrlRule]) -> dict[str, _UrlRule]:
    for url, rule in urls.items():
        address = read_address(url)
        if rule.authorization_file is not None and address.scheme != "https" and not is_loopback(address.host):
            told(f"{url} would carry what authorization_file holds in the clear", "write https://, or leave it out")
    return urls


WrittenUrls = Annotated[dict[Annotated[str, AfterValidator(_url)], _UrlRule], AfterValidator(_secrets_stay_hidden)]


def read_urls(written: dict[str, _UrlRule], folder: Path) -> tuple[Url, ...]:
    """Given the section as it was read and the policy's folder, return its values."""
    return tuple(
        Url(
            read_address(url),
            tuple(rule.methods),
            None if rule.authorization_file is None else folder / rule.authorization_file,
        )
        for url, rule in written.items()
    )
