"""Programs of others that a benchmark is held beside: found on the path, or out of Debian's packages."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from selfheal.stack.packages import Apt, alone, require_programs, unpack
from selfheal.stack.tools import default_folder


def found(program: str, in_package: str) -> Path:
    """Return a program from the path, or out of the package of its name, unpacked beside the other tools.

    `in_package` is its place in the package. Raise PackagesError if it cannot be had.
    """
    installed = shutil.which(program)
    if installed is not None:
        return Path(installed)
    root = default_folder().resolve() / f"peers-{program}"
    if not (root / in_package).exists():
        require_programs()
        with alone(root.parent), TemporaryDirectory(prefix="unpacking-", dir=root.parent) as name:
            unpack(Apt(Path(name)).fetch(program), Path(name) / "root")
            shutil.rmtree(root, ignore_errors=True)
            (Path(name) / "root").rename(root)
    return root / in_package
