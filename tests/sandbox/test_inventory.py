"""The packages of an image, by what package managers leave behind, and the bill that is made of them."""

from __future__ import annotations

import io
import json

import pytest

from agentstore.kit.errors import NotFound
from sandbox.images import build_source, get_image, load_archive, store
from sandbox.images.bill import read_bill, write_bill
from sandbox.images.inventory import find_packages
from tests.sandbox.archives import docker_archive, tar_of, wheel
from tests.sandbox.conftest import SOME_IMAGE

pytestmark = pytest.mark.django_db
DPKG = b"""Package: libssl3
Status: install ok installed
Source: openssl (3.0.0-1)
Version: 3.0.11-1

Package: gone
Status: deinstall ok config-files
Version: 1
"""
APK = b"C:Q1\nP:musl\nV:1.2.4-r2\no:musl\n\nC:Q2\nP:libcrypto3\nV:3.1.4-r1\no:openssl\n"
FILES = [
    ("etc/os-release", b'ID=debian\nVERSION_ID="12"\n'),
    ("var/lib/dpkg/status", DPKG),
    ("lib/apk/db/installed", APK),
    (
        "opt/x/site-packages/Flask_Login-0.6.dist-info/METADATA",
        b"Name: Flask_Login\nVersion: 0.6\n\nVersion: 9",
    ),
    ("srv/node_modules/@scope/a/package.json", b'{"name": "@scope/a", "version": "1.0.0"}'),
    ("srv/node_modules/b/package.json", b"no json"),
    ("srv/package.json", b'{"name": "own", "version": "1.0.0"}'),
]


def image_of(*layers):
    diff_ids = [store.put_layer(io.BytesIO(tar_of(*files))).diff_id for files in layers]
    return store.put_image(
        store.image_config(layers=diff_ids, command=("x",), env=(), workdir="/", labels={})
    )


def test_every_package_manager_is_read(image_dir):
    found = {package.purl for package in find_packages(image_of(FILES))}
    assert found == {
        "pkg:deb/debian/libssl3@3.0.11-1?distro=debian-12",
        "pkg:apk/debian/musl@1.2.4-r2?distro=debian-12",
        "pkg:apk/debian/libcrypto3@3.1.4-r1?distro=debian-12",
        "pkg:pypi/flask-login@0.6",
        "pkg:npm/%40scope/a@1.0.0",
    }


def test_what_a_later_layer_removed_or_replaced_is_not_there(image_dir):
    image = image_of(FILES, [("var/lib/dpkg/.wh.status", b""), ("lib/apk/db/installed", b"P:musl\nV:9\n")])
    assert {(p.name, p.version) for p in find_packages(image) if p.kind in ("deb", "apk")} == {("musl", "9")}


def test_a_source_bundles_image_lists_the_base_and_its_wheels(tmp_path):
    (tmp_path / "wheels").mkdir()
    wheel(
        tmp_path / "wheels" / "greeting-1.0-py3-none-any.whl",
        {"greeting.py": b"", "greeting-1.0.dist-info/METADATA": b"Name: greeting\nVersion: 1.0\n"},
    )
    (tmp_path / "main.py").write_text("")
    image = get_image(build_source(bundle_dir=tmp_path, runtime="python", command="python3 main.py").image_id)
    found = {(package.kind, package.name) for package in find_packages(image)}
    assert {("pypi", "greeting"), ("deb", "python3-minimal"), ("deb", "libc6")} <= found


def test_the_bill_is_cyclonedx_and_goes_with_its_image(image_dir):
    image = image_of(FILES)
    with pytest.raises(NotFound):
        read_bill(image.image_id)
    write_bill(image, find_packages(image))
    bill = json.loads(read_bill(image.image_id))
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert bill["metadata"]["component"]["version"] == image.image_id
    assert "pkg:pypi/flask-login@0.6" in {component["purl"] for component in bill["components"]}
    with pytest.raises(NotFound):
        read_bill(SOME_IMAGE)


def test_an_uploaded_image_is_listed_too(tmp_path, image_dir):
    image = get_image(load_archive(docker_archive(tmp_path / "a.tar", [tar_of(*FILES)])).image_id)
    assert len(find_packages(image)) == 5
