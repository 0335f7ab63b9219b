"""The store's images in a Docker engine: loaded when they are first needed, forgotten when nobody needs them.

An engine that names images by their configuration has an image under the store's own id. One that keeps them in
containerd names them by a manifest of its own making; there the image is found by our tag, and taken only when
its layers are the store's. No upload can set a tag: what an engine gets is an archive that the store wrote.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Collection
from typing import Any

import docker
from docker.errors import APIError, ImageNotFound

from sandbox.driver import DriverError
from sandbox.engine.client import engine_errors
from sandbox.images.store import StoredImage, docker_archive
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
                with docker_archive(image.image_id, tags=[_tag(image.image_id)]) as archive:
                    self._load(archive)
                if found := self._find(image):
                    return found
        raise DriverError("The container engine took the image and does not have it.")

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


def _tag(image_id: str) -> str:
    return f"{repository()}:{image_id.removeprefix('sha256:')}"
