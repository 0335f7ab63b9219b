"""The store's images in the engine."""

from __future__ import annotations

import os

import pytest
from docker.errors import APIError

from agentstore.kit.ids import new_id
from sandbox import pool
from sandbox.driver import ImageMissing
from sandbox.drivers import docker_images, make_driver
from sandbox.engine.client import engine_client
from sandbox.images import build_source, get_image, store
from sandbox.images.base import current_base
from sandbox.images.packing import Packed, pack_layer
from tests.sandbox.conftest import SOME_IMAGE
from tests.sandbox.drivers import missing_drivers

pytestmark = pytest.mark.containers


@pytest.fixture(params=["docker"])
def driver(request):
    if reason := missing_drivers().get(request.param):
        pytest.skip(f"no {request.param} here: {reason}")
    return make_driver(request.param)


def tags():
    rows = engine_client().api.images(name=docker_images.repository())
    return {tag for row in rows for tag in row["RepoTags"] or ()}


def test_an_image_is_loaded_once_and_forgotten_when_nobody_keeps_it(own_stack, driver, echo_image):
    assert driver.keep_images(()) == 0
    driver.ensure_image(echo_image.image_id)
    driver.ensure_image(echo_image.image_id)
    assert tags() == {f"{docker_images.repository()}:{echo_image.image_id[7:]}"}
    found = engine_client().api.inspect_image(tags().pop())
    assert tuple(found["RootFS"]["Layers"]) == get_image(echo_image.image_id).layers
    assert driver.keep_images([echo_image.image_id]) == 0
    assert driver.keep_images(()) == 1
    assert tags() == set()
    driver.ensure_image(echo_image.image_id)
    assert len(tags()) == 1


def test_a_neighbour_keeps_what_it_brought_in(own_stack, driver, echo_image, settings):
    driver.ensure_image(echo_image.image_id)
    settings.SANDBOX_STACK = own_stack + "x"
    driver.ensure_image(echo_image.image_id)
    assert driver.keep_images(()) == 1
    settings.SANDBOX_STACK = own_stack
    assert len(tags()) == 1


def test_only_what_the_engine_lacks_is_sent(own_stack, driver, tmp_path, monkeypatch):
    """The base lies there once another image has brought it in; where it does not, it is sent after all."""
    sizes = []

    def load(data):
        sizes.append(os.fstat(data.fileno()).st_size)
        return sent(data)

    sent, base = driver._images._load, get_image(current_base().image_id)
    monkeypatch.setattr(driver._images, "_load", load)
    driver.ensure_image(base.image_id)
    del sizes[:]
    (tmp_path / "main.py").write_text(f"print('{new_id()}')")
    built = build_source(bundle_dir=tmp_path, runtime="python", command="python3 main.py")
    driver.ensure_image(built.image_id)
    assert [size < base.size for size in sizes] == [True]
    # As if that engine had never heard of it.
    strange = store.get_image(strange_base(monkeypatch, base))
    driver.ensure_image(strange.image_id)
    assert len(sizes) == 3, "refused without its layers, then whole"
    found = engine_client().api.inspect_image(strange.image_id)
    assert tuple(found["RootFS"]["Layers"]) == strange.layers


def strange_base(monkeypatch, base):
    """The id of an image of a layer that no engine has; it is the base from now on."""
    packed = pack_layer([Packed("note", str(new_id()).encode())])
    config = store.image_config(layers=[packed.diff_id], command=base.command, env=(), workdir="/", labels={})
    image_id = store.put_image(config).image_id
    monkeypatch.setattr(docker_images, "current_base_id", lambda: image_id)
    return image_id


def test_an_image_that_the_store_does_not_have_is_missing(own_stack, driver):
    with pytest.raises(ImageMissing):
        driver.ensure_image(SOME_IMAGE)


def test_our_tag_on_something_else_is_not_taken_for_the_image(own_stack, driver, echo_image):
    """As in an engine that names images by a manifest of its own: there the tag is all there is to look by."""
    driver.ensure_image(echo_image.image_id)
    client, (tag,) = engine_client(), tags()
    container = client.containers.create(tag, command=["true"])
    other = container.commit()
    container.remove()
    try:
        client.api.tag(other.id, *tag.split(":"))
        image = get_image(echo_image.image_id)
        assert driver._images.ensure(image) == echo_image.image_id
    finally:
        client.images.remove(str(other.id), force=True)


def test_the_engine_refuses_a_second_of_the_same_name(own_stack, driver, echo_image, spec):
    claimed = pool.claim(spec=spec, tenant="version-1", claim_key="one", wait_seconds=30)
    with pytest.raises(APIError):
        engine_client().containers.create(tags().pop(), name=driver.handle_of(claimed.id))
