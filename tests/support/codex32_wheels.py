"""Small wheels, made here, and an index that serves them as PyPI does."""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path


def wheel(
    folder: Path,
    name: str,
    version: str,
    files: Mapping[str, str],
    *,
    requires: Iterable[str] = (),
) -> Path:
    """A pure wheel with these files; ``{name}-{version}.dist-info`` is written for it."""
    told = f"{name}-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {each}\n" for each in requires)
    everything = {
        **files,
        f"{told}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
        f"{told}/WHEEL": "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\n"
        "Tag: py3-none-any\n",
    }
    record = "".join(f"{path},sha256={_digest(text)},\n" for path, text in everything.items())
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for inside, text in everything.items():
            archive.writestr(inside, text)
        archive.writestr(f"{told}/RECORD", f"{record}{told}/RECORD,,\n")
    return path


def source(folder: Path, name: str, version: str, canary: Path) -> Path:
    """A source distribution whose ``setup.py`` leaves a file at ``canary`` if it is run."""
    path = folder / f"{name}-{version}.tar.gz"
    files = {
        "setup.py": f"open({str(canary)!r}, 'w').write('ran')\n"
        f"from setuptools import setup\nsetup(name={name!r}, version={version!r})\n",
        "backend.py": f"open({str(canary)!r}, 'w').write('ran')\n",
        "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\n'
        'backend-path = ["."]\n',
        "PKG-INFO": f"Metadata-Version: 1.0\nName: {name}\nVersion: {version}\n",
    }
    with tarfile.open(path, "w:gz") as archive:
        for inside, text in files.items():
            member = tarfile.TarInfo(f"{name}-{version}/{inside}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return path


def simple_pages(folder: Path) -> dict[str, bytes]:
    """The pages and files of an index of all that lies in ``folder``, by path (PEP 503)."""
    pages: dict[str, bytes] = {}
    for path in sorted(folder.iterdir()):
        name = path.name.split("-")[0].replace("_", "-").lower()
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        link = f'<a href="/files/{path.name}#sha256={digest}">{path.name}</a>\n'
        pages[f"/simple/{name}/"] = pages.get(f"/simple/{name}/", b"") + link.encode()
        pages[f"/files/{path.name}"] = path.read_bytes()
    return pages


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
