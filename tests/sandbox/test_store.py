"""Where images are kept: by content, once, never half, and noticed when the disk lied."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time

import pytest

from sandbox.driver import ImageMissing
from sandbox.images import ImageRefused, blobs, store
from sandbox.images.blobs import ImageDamaged
from sandbox.models import Layer
from tests.sandbox.archives import tar_of

pytestmark = pytest.mark.django_db
STORAGES = {
    "a directory": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "elsewhere": {"BACKEND": "tests.sandbox.elsewhere.Elsewhere"},
}


@pytest.fixture(params=STORAGES)
def kind(request, image_dir, settings):
    settings.STORAGES = {**settings.STORAGES, "images": {**STORAGES[request.param]}}
    if request.param == "a directory":
        settings.STORAGES["images"]["OPTIONS"] = {"location": str(image_dir)}
    return request.param


def put(content=b"layer"):
    return store.put_layer(io.BytesIO(tar_of(("file", content))))


def image_of(*layers, **fields):
    words = {"command": ("/hello",), "env": ("A=b",), "workdir": "/app", "labels": {"x": "y"}, **fields}
    return store.put_image(store.image_config(layers=[layer.diff_id for layer in layers], **words))


def test_an_image_is_what_was_put(kind):
    one, two = put(b"one"), put(b"two")
    image = image_of(one, two)
    assert store.get_image(image.image_id) == image
    assert (image.layers, image.command, image.env) == ((one.diff_id, two.diff_id), ("/hello",), ("A=b",))
    assert (image.workdir, image.labels, image.size) == ("/app", {"x": "y"}, one.size + two.size)
    with store.open_layer(one.diff_id) as layer:
        assert f"sha256:{hashlib.sha256(layer.read()).hexdigest()}" == one.diff_id


def test_equal_layers_are_kept_once(kind):
    assert put() == put()
    assert [digest for digest, _ in blobs.list_blobs("layers")] == [put().diff_id[7:]]
    assert Layer.objects.count() == 1


def test_what_is_not_there_is_said_to_be_missing(kind):
    for digest in (
        "sha256:" + "0" * 64,
        "agentstore/base:latest",
        "../../etc/passwd",
        "sha256:" + "../" * 21,
    ):
        with pytest.raises(ImageMissing):
            store.get_image(digest)
        with pytest.raises(ImageMissing):
            store.open_layer(digest)
    with pytest.raises(ImageMissing):
        image_of(store.StoredLayer("sha256:" + "1" * 64, 1))


@pytest.mark.parametrize("setting", ["User", "Volumes", "OnBuild", "Healthcheck", "Entrypoint", "Shell"])
def test_settings_that_an_engine_acts_on_are_not_kept(image_dir, setting):
    config = store.image_config(layers=[put().diff_id], command=("x",), env=(), workdir="/", labels={})
    config["config"][setting] = "x"
    with pytest.raises(ImageRefused) as refused:
        store.put_image(config)
    assert refused.value.code == "unsafe_setting"


def test_a_damaged_layer_is_noticed_and_heals_when_it_is_made_again(image_dir):
    layer = put()
    path = store.layer_path(layer.diff_id)
    path.write_bytes(b"X" * layer.size)
    for read in (store.layer_path, store.open_layer):
        with pytest.raises(ImageDamaged):
            read(layer.diff_id)
    put()
    assert store.layer_path(layer.diff_id) == path


def test_a_damaged_local_copy_is_fetched_again(settings, image_dir):
    settings.STORAGES = {**settings.STORAGES, "images": STORAGES["elsewhere"]}
    layer = put()
    path = store.layer_path(layer.diff_id)
    path.write_bytes(b"X" * layer.size)
    assert hashlib.sha256(store.layer_path(layer.diff_id).read_bytes()).hexdigest() == layer.diff_id[7:]


def test_a_damaged_configuration_is_noticed(image_dir):
    image = image_of(put())
    blobs.blob_path("images", image.image_id[7:]).write_bytes(b"{}")
    with pytest.raises(ImageDamaged):
        store.get_image(image.image_id)


PUT = """
import io, sys, django
django.setup()
from sandbox.images import blobs
class Endless(io.RawIOBase):
    def read(self, size):
        print("writing", flush=True)
        sys.stdin.readline()
        return b"x" * size
blobs.put_blob(Endless(), place="layers")
"""


def test_a_killed_writer_leaves_nothing_in_the_way(image_dir):
    environment = {
        **os.environ, "DJANGO_SETTINGS_MODULE": "agentstore.settings",
        "SANDBOX_IMAGE_STORAGE_OPTIONS": json.dumps({"location": str(image_dir)}),
    }  # fmt: skip
    writer = subprocess.Popen(
        [sys.executable, "-c", PUT], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert writer.stdin is not None
    assert writer.stdout is not None
    writer.stdout.readline()
    print("more", file=writer.stdin, flush=True)
    writer.stdout.readline()
    (left,) = (image_dir / "incoming").iterdir()
    os.utime(left, (0, 0))
    put()
    assert left.exists(), "a writer that is alive keeps its file, however long it takes"
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    put()
    assert list((image_dir / "incoming").iterdir()) == []
    assert [digest for digest, _ in blobs.list_blobs("layers")] == [put().diff_id[7:]]


def test_many_writers_of_the_same_layer_agree(image_dir):
    content = tar_of(("file", os.urandom(3_000_000)))
    digests = []
    writers = [
        threading.Thread(
            target=lambda: digests.append(blobs.put_blob(io.BytesIO(content), place="layers")[0])
        )
        for _ in range(8)
    ]
    until = time.monotonic() + 30
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(max(0.0, until - time.monotonic()))
    assert digests == [hashlib.sha256(content).hexdigest()] * 8
    assert blobs.blob_path("layers", digests[0]).read_bytes() == content


def test_the_archive_for_an_engine_names_each_layer_once(image_dir):
    one, two = put(b"one"), put(b"two")
    image = image_of(one, two, one)
    with (
        store.docker_archive(image.image_id, tags=["agentstore/x:y"]) as file,
        tarfile.open(fileobj=file) as tar,
    ):
        names = tar.getnames()
        manifest = tar.extractfile("manifest.json")
        config = tar.extractfile(f"{image.image_id[7:]}.json")
        assert manifest is not None
        assert config is not None
        (entry,) = json.load(manifest)
        assert hashlib.sha256(config.read()).hexdigest() == image.image_id[7:]
    assert len(names) == 4
    assert entry["RepoTags"] == ["agentstore/x:y"]
    assert entry["Layers"] == [f"{layer.diff_id[7:]}.tar" for layer in (one, two, one)]
