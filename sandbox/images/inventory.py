"""The packages in an image, by what their package managers left behind; no program of the image is asked."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.parser import HeaderParser

from packaging.utils import canonicalize_name

from sandbox.images.contents import visible_files
from sandbox.images.store import StoredImage
from sandbox.spec import MIB

MAX_PACKAGES = 20_000
_MAX_FILE = 16 * MIB
_TEXT = 256


@dataclass(frozen=True, slots=True, order=True)
class Package:
    """One installed package. `kind` is purl's (deb, apk, pypi, npm), `distro` like `debian-12` for the first two.

    `source` is the source package that a distribution's advisories speak of.
    """

    kind: str
    name: str
    version: str
    source: str = ""
    distro: str = ""
    place: str = ""

    @property
    def purl(self) -> str:
        """The package URL."""
        from packageurl import PackageURL

        vendor = self.distro.partition("-")[0] or None
        scope, _, name = self.name.rpartition("/")
        return PackageURL(
            type=self.kind,
            namespace=vendor if self.kind in ("deb", "apk") else scope or None,
            name=name,
            version=self.version,
            qualifiers={"distro": self.distro} if self.distro else None,
        ).to_string()


def find_packages(image: StoredImage) -> list[Package]:
    """All that was found, sorted, each once; at most MAX_PACKAGES. Raises ImageMissing, ImageDamaged."""
    contents = list(visible_files(image, wanted=_is_wanted, most_bytes=_MAX_FILE))
    distro = next((_distro(content) for path, content in contents if path.endswith("os-release")), "")
    found = dict[tuple[str, str, str], Package]()
    for path, content in contents:
        for package in _read(path, content, distro):
            if package.name and package.version and len(package.name + package.version) < _TEXT:
                found.setdefault((package.kind, package.name, package.version), package)
            if len(found) >= MAX_PACKAGES:
                return sorted(found.values())
    return sorted(found.values())


def _is_wanted(path: str) -> bool:
    return any(pattern.fullmatch(path) for pattern, _ in _READERS) or path in (
        "etc/os-release",
        "usr/lib/os-release",
    )


def _read(path: str, content: bytes, distro: str) -> Iterator[Package]:
    for pattern, reader in _READERS:
        if pattern.fullmatch(path):
            yield from reader(content.decode(errors="replace"), distro, path)
            return


def _distro(content: bytes) -> str:
    lines = dict(line.partition("=")[::2] for line in content.decode(errors="replace").splitlines())
    told = [lines.get(name, "").strip("\"'") for name in ("ID", "VERSION_ID")]
    return "-".join(part for part in told if re.fullmatch(r"[\w.]{1,40}", part))


def _debian(text: str, distro: str, place: str) -> Iterator[Package]:
    """`/var/lib/dpkg/status`, or one file for each package as images without dpkg have it."""
    for paragraph in re.split(r"\n\s*\n", text):
        fields = dict(re.findall(r"^(Package|Version|Source|Status):[ \t]*(.*)$", paragraph, re.MULTILINE))
        if "Package" not in fields or ("Status" in fields and not fields["Status"].endswith(" installed")):
            continue
        source = fields.get("Source", "").partition(" ")[0] or fields["Package"]
        yield Package("deb", fields["Package"], fields.get("Version", ""), source, distro, place)


def _alpine(text: str, distro: str, place: str) -> Iterator[Package]:
    for paragraph in re.split(r"\n\s*\n", text):
        fields = dict(re.findall(r"^([PVo]):(.*)$", paragraph, re.MULTILINE))
        name = fields.get("P", "")
        yield Package("apk", name, fields.get("V", ""), fields.get("o", "") or name, distro, place)


def _python(text: str, distro: str, place: str) -> Iterator[Package]:
    headers = HeaderParser().parsestr(text.partition("\n\n")[0])
    name = str(headers.get("Name", ""))
    yield Package("pypi", canonicalize_name(name), str(headers.get("Version", "")), place=place)


def _javascript(text: str, distro: str, place: str) -> Iterator[Package]:
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        return
    if isinstance(told, dict) and isinstance(told.get("name"), str) and isinstance(told.get("version"), str):
        yield Package("npm", told["name"], told["version"], place=place)


_Reader = Callable[[str, str, str], Iterator[Package]]
_READERS: list[tuple[re.Pattern[str], _Reader]] = [
    (re.compile(r"var/lib/dpkg/status(\.d/(?!.*\.md5sums)[^/]+)?"), _debian),
    (re.compile(r"(usr/)?lib/apk/db/installed"), _alpine),
    (re.compile(r"(.*/)?[^/]+\.dist-info/METADATA"), _python),
    (re.compile(r"(.*/)?[^/]+\.egg-info(/PKG-INFO)?"), _python),
    (re.compile(r"(.*/)?node_modules/(@[^/]+/)?[^/]+/package\.json"), _javascript),
]
