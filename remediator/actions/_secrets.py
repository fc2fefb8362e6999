"""Whether a file looks like it holds a secret: by its name, by shapes that keys and tokens have, by how random it is.

It errs on the side of leaving a file out. It finds no secret that looks like ordinary text: that is what the policy's
`never` and a repository's `.gitignore` are for.
"""

from __future__ import annotations

import math
import re
from collections import Counter

from remediator.policy.work_trees import matching

NAMES = (
    *(".env", ".env.*", ".env-*", "*.env", ".envrc", "*.pem", "*.key", "*.p8", "*.p12", "*.pfx", "*.jks", "*.keystore"),
    *("*.kdb", "*.kdbx", "*.ppk", "*.ovpn", "*.tfstate", "*.tfstate.*", "*.tfvars", "*.tfvars.json", "wallet.dat"),
    *(
        "id_rsa*",
        "id_dsa*",
        "id_ecdsa*",
        "id_ed25519*",
        ".netrc",
        "_netrc",
        ".pgpass",
        ".htpasswd",
        ".npmrc",
        ".pypirc",
    ),
    *(".git-credentials", ".my.cnf", ".boto", ".s3cfg", "rclone.conf", ".rclone.conf", "kubeconfig", ".vault-token"),
    *("credentials", "credentials.*", "*_credentials.json", "secrets", "secrets.*", "*.secret", "*.secrets", "*.token"),
    *("*.token.*", "*_history", "shadow", "service-account*.json", "*password.txt", "*passwords.txt", "*_password"),
    *(".ssh/**", "**/.ssh/**", ".gnupg/**", "**/.gnupg/**", ".aws/**", "**/.aws/**", ".kube/**", "**/.kube/**"),
    *("secrets/**", "**/secrets/**", ".secrets/**", "**/.secrets/**", ".docker/config.json", "**/.docker/config.json"),
    *(".config/gh/**", "**/.config/gh/**", ".config/gcloud/**", "**/.config/gcloud/**"),
)
"""Patterns of names that hold secrets by custom; the letters' case does not matter."""

_COPIES = re.compile(r"(?i)(?:~|\.(?:bak|backup|old|orig|save|copy|rej|sw[a-p]))+$|#$")
"""What programs put behind the name of a copy; before it stands perhaps a dot or a #."""

ARCHIVES = (
    *(b"PK\x03\x04", b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"7z\xbc\xaf\x27\x1c", b"\x28\xb5\x2f\xfd", b"Rar!\x1a\x07"),
    *(b"\x04\x22\x4d\x18", b"SQLite format 3\x00", b"\x80\x02}", b"%!PS"),
)
"""How files begin that cannot be looked through as they lie there (their formats' own marks)."""

_SHAPES: tuple[tuple[str, re.Pattern[bytes]], ...] = tuple(
    (what, re.compile(shape))
    for what, shape in (
        ("a private key", rb"---- ?BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY|PuTTY-User-Key-File-|AGE-SECRET-KEY-1"),
        # the same in base64: its first words at each of three offsets, or the numbers that it begins with (PKCS #1, #8)
        ("a packed private key", rb"LS0tLS1CRUdJTi|0tLS0tQkVHSU4g|tLS0tLUJFR0lOI"),
        ("a packed private key", rb"MII[A-Za-z0-9+/]{3}IBA(?:DANBgkq|AKC)|MI[GH][A-Za-z0-9]AgEAM|MC4CAQAwBQYDK2V"),
        ("an access key of AWS", rb"\b(?:AKIA|ASIA|AROA|AIDA)[0-9A-Z]{16}\b"),
        ("a token of GitHub", rb"\bgh[pousr]_[A-Za-z0-9]{30,}|\bgithub_pat_[A-Za-z0-9_]{30,}"),
        ("a token of GitLab", rb"\bgl(?:pat|dt|rt|ft|ptt|soat|cbt|imt|oas|agent)-[A-Za-z0-9_-]{20,}"),
        ("a token of Slack", rb"\bxox[abeoprs]-[A-Za-z0-9-]{10,}|hooks\.slack\.com/services/[A-Za-z0-9/]{20,}"),
        ("a key of Stripe", rb"\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,}|\bwhsec_[A-Za-z0-9+/]{24,}"),
        ("a key of Google", rb"\bAIza[0-9A-Za-z_-]{35}|\bya29\.[0-9A-Za-z_-]{20,}|\bGOCSPX-[0-9A-Za-z_-]{20,}"),
        ("a token of a package index", rb"\bpypi-AgE[A-Za-z0-9_-]{20,}|\bnpm_[A-Za-z0-9]{30,}|\bdckr_pat_[\w-]{20,}"),
        ("a key of a model's service", rb"\bsk-(?:ant-|proj-)?[A-Za-z0-9_-]{32,}|\bhf_[A-Za-z0-9]{30,}"),
        (
            "a key of a mail service",
            rb"\bSG\.[\w-]{20,}\.[\w-]{20,}|\bkey-[0-9a-f]{32}\b|\b[0-9a-f]{32}-us[0-9]{1,2}\b",
        ),
        (
            "a token of a chat",
            rb"\b[0-9]{8,10}:AA[\w-]{33}|\b[MNO][\w-]{23,27}\.[\w-]{6}\.[\w-]{27,}|/api/webhooks/[0-9]{17,}/",
        ),
        ("a token of a cloud", rb"\bdo[opr]_v1_[0-9a-f]{64}|\bdapi[0-9a-f]{32}|\bFlyV1 fm[12]_|\bSK[0-9a-f]{32}\b"),
        (
            "a token of a service",
            rb"\bATATT3[\w-]{30,}|\bgl(?:sa|c)_[\w+/=]{20,}|\bshp(?:at|ca|pa|ss)_[0-9a-f]{32}|\blin_api_[A-Za-z0-9]{32,}",
        ),
        ("a token of Vault", rb"\bhv[sbr]\.[\w-]{24,}"),
        ("a JSON web token", rb"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"),
        ("a password in a URL", rb"[a-z][a-z0-9+.-]{1,15}://[^\s/:@'\"<>{}$]{0,64}:[^\s/@'\"<>{}$]{3,64}@"),
        ("a token in a URL", rb"[a-z]://[A-Za-z0-9_-]{20,64}@|[?&]sig=[A-Za-z0-9%+/_-]{24,}"),
        ("a password's hash", rb":\$(?:1|2[abxy]|5|6|7|y|apr1|argon2id?)\$[./A-Za-z0-9$,=]{8,}"),
        ("a password of .netrc", rb"\b(?:login|machine|default)\s{1,20}\S{1,200}\s{1,20}password\s{1,20}\S{3,}"),
        ("a password of .pgpass", rb"(?m)^[^\s:]{1,99}:(?:[0-9]{1,5}|\*):[^\s:]{1,99}:[^\s:]{1,99}:[^\s:]{3,}$"),
    )
)
_NAMED = (
    rb"passw(?:or)?d|passphrase|pass(?=[\"'\s:=>])|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credential|auth"
    rb"|(?:account|encryption|master|signing|storage|shared|session)[_-]?key"
)
_ASSIGNED = re.compile(
    rb"(?:" + _NAMED + rb")[A-Za-z0-9_-]{0,24}[\"']?\s{0,4}(?:=>|[:=>])\s{0,4}(?:(?:bearer|basic|token)\s{1,4})?"
    rb"[\"']?([^\s\"',;}{)(<>$][^\s\"',;}{)(<>]{5,199})"
)
_OPTION = re.compile(rb"--[a-z-]{0,24}(?:" + _NAMED + rb")\s{1,4}[\"']?([^\s\"',;}{)(<>$-][^\s\"',;}{)(<>]{5,199})")
_BEARER = re.compile(rb"\b(?:bearer|basic)\s{1,4}(?=\S{0,200}?[0-9])([a-z0-9+/._~=-]{16,})")
_RANDOM = re.compile(rb"(?<!\bh1)[=:]\s{0,4}[\"']?([A-Za-z0-9+/_-]{32,}={0,2})(?![A-Za-z0-9+/_.-])")
_HASH = re.compile(rb"[0-9a-fA-F-]+|sha(?:256|384|512)-[A-Za-z0-9+/]{43,86}={0,2}")
_ENTROPY_NAMED = 3.2
"""Bits per byte of a value whose name says that it is a secret; words and versions lie below."""
_ENTROPY = 4.5
"""Bits per byte of a long value whatever its name; English text in one word lies below, random base64 at about 5."""


def secret_name(path: str) -> str | None:
    """Given a path in a work tree, return the pattern of secrets' names that it, or what it is a copy of, fits."""
    folder, slash, name = path.rpartition("/")
    original = _COPIES.sub("", name)
    if original != name:
        copies = (original, original.lstrip("#"), original.removeprefix("."))
        return next((found for copy in copies if (found := matching(folder + slash + copy, NAMES, fold=True))), None)
    return matching(path, NAMES, fold=True)


def secret_content(data: bytes) -> str | None:
    """Given a file's content, return what secret it seems to hold, in words that do not hold it, or None."""
    # two bytes per letter look like one
    plain = data.replace(b"\0", b"")
    for what, shape in _SHAPES:
        if shape.search(plain):
            return what
    # a pattern that minds no case takes three times as long
    small = plain.lower()
    for pattern in (_ASSIGNED, _OPTION, _BEARER):
        if any(_is_secret(plain[slice(*found.span(1))]) for found in pattern.finditer(small)):
            return "a password or token that is assigned"
    if any(_is_random(found[1]) for found in _RANDOM.finditer(plain)):
        return "a long random value that is assigned"
    return None


def is_archive(data: bytes) -> bool:
    """Say whether a file is packed or a database, so that nobody can see from outside what it holds."""
    return data.startswith(ARCHIVES) or data[257:262] == b"ustar"


def _is_secret(value: bytes) -> bool:
    """Say whether a value whose name says that it is a secret looks like one: mixed, or of letters and digits."""
    if _is_plain_word(value):
        return False
    if len(value) >= 10:
        return _entropy(value) >= _ENTROPY_NAMED
    return re.search(rb"[A-Za-z]", value) is not None and re.search(rb"[0-9]", value) is not None


def _is_random(value: bytes) -> bool:
    # sums of files are as random, and no secret
    return _HASH.fullmatch(value) is None and _entropy(value) >= _ENTROPY


def _is_plain_word(value: bytes) -> bool:
    """Say whether a value is a name in code, such as `os.environ` or `get_token`: letters only, nothing mixed in."""
    return re.fullmatch(rb"[A-Za-z]+(?:[._\[-][A-Za-z]+)*[\].]?", value) is not None


def _entropy(value: bytes) -> float:
    """Return Shannon's entropy of a value, in bits per byte."""
    counts = Counter(value)
    return -sum(count / len(value) * math.log2(count / len(value)) for count in counts.values())
