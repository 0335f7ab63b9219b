"""What is collected, what is spared, and that a build going on loses nothing."""

from __future__ import annotations

import io
import threading
from datetime import timedelta

import pytest
from django.db import connection, connections, transaction

from agentstore.kit.clock import now
from sandbox.driver import ImageMissing
from sandbox.drivers.docker import DockerDriver
from sandbox.images import blobs, get_image, store
from sandbox.images.garbage import _remove_layer, collect_images, forget_on_this_host, store_usage
from sandbox.images.records import record_image
from sandbox.models import Image, Layer, Sandbox
from sandbox.spec import RunSpec
from tests.sandbox.archives import tar_of
from tests.sandbox.servers import warm_row

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("image_dir")]


def layer(content):
    return store.put_layer(io.BytesIO(tar_of(("file", content)))).diff_id


def image(*contents, source="source"):
    labels = {"agentstore.source": source, "agentstore.digest": "d" * 64, "of": repr(contents)}
    config = store.image_config(
        layers=[layer(content) for content in contents], command=("x",), env=(), workdir="/", labels=labels
    )
    stored = store.put_image(config)
    record_image(image=stored, source=source, digest="d" * 64)
    return stored


def age(**hours):
    then = now() - timedelta(hours=hours.get("by", 48))
    Image.objects.update(used_at=then)
    Layer.objects.update(used_at=then)


def layers_there():
    return {f"sha256:{digest}" for digest, _ in blobs.list_blobs("layers")}


def test_what_nobody_needs_goes_and_shared_layers_stay():
    kept, gone = image(b"base", b"kept"), image(b"base", b"gone")
    age()
    planned = collect_images(keep=[kept.image_id], dry_run=True)
    assert layers_there() == {*kept.layers, *gone.layers}, "a dry run removes nothing"
    done = collect_images(keep=[kept.image_id])
    assert (
        (done.images, done.layers) == (planned.images, planned.layers) == ([gone.image_id], [gone.layers[1]])
    )
    assert layers_there() == set(kept.layers)
    assert get_image(kept.image_id) == kept
    with pytest.raises(ImageMissing):
        get_image(gone.image_id)
    assert store_usage().size == kept.size


def test_what_was_touched_lately_is_spared():
    one = image(b"one")
    age()
    record_image(image=one, source="source", digest="d" * 64)
    loose = layer(b"a build has just put this")
    done = collect_images(keep=[])
    assert (done.images, done.layers) == ([], [])
    age()
    layer(b"a build has just put this")
    assert loose not in collect_images(keep=[one.image_id]).layers


def test_what_a_sandbox_runs_is_spared():
    running = image(b"runs")
    warm_row(RunSpec(image_id=running.image_id))
    age()
    assert collect_images(keep=[]).images == []
    Sandbox.objects.update(status=Sandbox.Status.STOPPED)
    assert collect_images(keep=[]).images == [running.image_id]


def test_blobs_without_rows_get_rows_and_their_time():
    """As after the database was restored from yesterday's copy."""
    one = image(b"one")
    Image.objects.all().delete()
    Layer.objects.all().delete()
    assert collect_images(keep=[]).images == []
    assert Image.objects.get().pk == one.image_id
    assert get_image(one.image_id) == one
    age()
    assert collect_images(keep=[]).images == [one.image_id]
    assert layers_there() == set()


def test_what_was_made_for_one_run_alone_goes(settings):
    config = store.image_config(layers=[layer(b"x")], command=("x",), env=(), workdir="/", labels={})
    run = store.put_image(config)
    blobs.write_note("made/bytecode-1", run.layers[0])
    age()
    settings.SANDBOX_IMAGE_GRACE_HOURS = 0
    collect_images(keep=[])
    assert [*blobs.list_blobs("images"), *blobs.list_notes("made")] == []


def test_a_host_forgets_what_the_store_no_longer_has():
    class Remembering(DockerDriver):
        kept: set[str] = set()

        def __init__(self) -> None:
            """Without an engine."""

        def keep_images(self, keep):
            self.kept = set(keep)
            return 3

    one, driver = image(b"one"), Remembering()
    assert forget_on_this_host(driver=driver) == 3
    assert driver.kept == {one.image_id}


@pytest.mark.django_db(transaction=True)
def test_a_build_and_the_collection_of_the_same_layer_see_each_other():
    """Whichever comes first at the row: afterwards the layer is there, for the build wants it."""
    diff_id = layer(b"contended")
    for _ in range(10):
        age()
        start = threading.Barrier(2)

        def collect(start=start):
            start.wait()
            _remove_layer(diff_id, now() - timedelta(hours=1))
            connections.close_all()

        thread = threading.Thread(target=collect)
        thread.start()
        start.wait()
        layer(b"contended")
        thread.join(20)
        assert layers_there() == {diff_id}
        assert Layer.objects.get().used_at > now() - timedelta(minutes=1)


@pytest.mark.django_db(transaction=True)
def test_a_layer_whose_row_a_build_holds_is_passed_by():
    diff_id = layer(b"held")
    age()
    done = []

    def collect():
        done.append(_remove_layer(diff_id, now()))
        connections.close_all()

    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM sandbox_layer WHERE diff_id = %s FOR UPDATE", [diff_id])
        thread = threading.Thread(target=collect)
        thread.start()
        thread.join(20)
    assert done == [False]
    assert layers_there() == {diff_id}
