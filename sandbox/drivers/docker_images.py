"""The store's images in a Docker engine: loaded when they are first needed, forgotten when nobody needs them.

An engine that names images by their configuration has an image under the store's own id. One that keeps them in
containerd names them by a manifest of its own making; there the image is found by our tag, and taken only when
its layers are the store's. No upload can set a tag: what an engine gets is an archive that the store wrote.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Collection
from typing import Any

import docker
from docker.errors import APIError, DockerException, ImageNotFound

from sandbox.driver import DriverError, ImageMissing
from sandbox.engine.client import engine_errors
from sandbox.images.base import current_base_id
from sandbox.images.store import StoredImage, docker_archive, get_image
from sandbox.places import stack_name

_loading = threading.Lock()


def repository() -> str:
    """The name under which this installation tags what it brings in; two on one engine don't share it."""
    return f"agentstore/store-{hashlib.sha256(stack_name().encode()).hexdigest()[:12]}"


class EngineImages:
    """What one engine has of the store."""

    def __init__(self, client: docker.DockerClient) -> None:
        self._api: Any = client.api  # its stubs leave out what an inspection gives
        self._load = client.images.load

    def ensure(self, image: StoredImage) -> str:
        """The engine's id of an image, loaded if it has none. Raises ImageMissing, DriverError."""
        with engine_errors():
            if found := self._find(image):
                return found
            # Ten starts of a new version are one load.
            with _loading:
                if found := self._find(image):
                    return found
                self._bring_in(image)
                if found := self._find(image):
                    return found
        raise DriverError("The container engine took the image and does not have it.")

    def _bring_in(self, image: StoredImage) -> None:
        """Most images lie on the base, which came with another: it is sent where the engine lacks it.

        An engine keeps layers by their digests, and refuses an archive without one that it has not.
        """
        for known in (_layers_of_the_base(image), ()):
            with docker_archive(image.image_id, tags=[_tag(image.image_id)], without=known) as archive:
                try:
                    self._load(archive)
                except DockerException:
                    if not known:
                        raise
                else:
                    return

    def keep(self, keep: Collection[str]) -> int:
        """Take our tag off every other image; the engine removes those that nobody else has tagged."""
        name, removed = repository(), 0
        wanted = {_tag(image_id) for image_id in keep}
        with engine_errors():
            for row in self._api.images(name=name):
                for tag in set(row["RepoTags"] or ()) - wanted:
                    if tag.startswith(f"{name}:"):
                        removed += self._untag(tag)
        return removed

    def _untag(self, tag: str) -> bool:
        try:
            self._api.remove_image(tag)
        except ImageNotFound:
            return False
        except APIError as refused:
            # A container has it; the next round finds it free.
            if refused.status_code != 409:
                raise
            return False
        return True

    def _find(self, image: StoredImage) -> str | None:
        """Our tag goes on where another installation brought the image in, so that it can't take it away."""
        tag = _tag(image.image_id)
        for name in (image.image_id, tag):
            try:
                found = self._api.inspect_image(name)
            except ImageNotFound:
                continue
            if tuple((found.get("RootFS") or {}).get("Layers") or ()) != image.layers:
                continue
            if tag not in (found.get("RepoTags") or ()):
                self._api.tag(found["Id"], *tag.split(":"))
            return str(found["Id"])
        return None


def _layers_of_the_base(image: StoredImage) -> tuple[str, ...]:
    """Those that the image begins with; none where it does not lie on the base of today."""
    with contextlib.suppress(ImageMissing):
        base = get_image(current_base_id() or "").layers
        return base if image.layers[: len(base)] == base else ()
    return ()


def _tag(image_id: str) -> str:
    return f"{repository()}:{image_id.removeprefix('sha256:')}"
