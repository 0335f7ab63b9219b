"""The bill of materials of an image: CycloneDX JSON, made once and kept beside the image."""

from __future__ import annotations

import uuid
import warnings
from collections.abc import Sequence

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from agentstore.kit.errors import NotFound
from sandbox.images import blobs
from sandbox.images.inventory import Package
from sandbox.images.store import StoredImage
from sandbox.models import Image

MEDIA_TYPE = "application/vnd.cyclonedx+json"
_PLACE = "bills"


def write_bill(image: StoredImage, packages: Sequence[Package]) -> None:
    """Make the bill of an image from what was found in it."""
    bom = Bom()
    bom.serial_number = uuid.uuid5(uuid.NAMESPACE_URL, image.image_id)
    built_at = Image.objects.filter(pk=image.image_id).values_list("built_at", flat=True).first()
    if built_at is not None:
        bom.metadata.timestamp = built_at
    digest = image.image_id.removeprefix("sha256:")
    whole = Component(
        name="agent image", type=ComponentType.CONTAINER, version=image.image_id, bom_ref=image.image_id,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
    )  # fmt: skip
    bom.metadata.component = whole
    for package in packages:
        bom.components.add(
            Component(
                name=package.name, version=package.version, type=ComponentType.LIBRARY,
                purl=PackageURL.from_string(package.purl), bom_ref=package.purl,
                properties=[Property(name="agentstore:found-in", value=package.place)],
            )
        )  # fmt: skip
    bom.register_dependency(whole, list(bom.components))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        text = JsonV1Dot6(bom).output_as_string(indent=1)
    blobs.write_note(_name(image.image_id), text)


def read_bill(image_id: str) -> str:
    """The bill of an image as JSON. Raises NotFound."""
    found = blobs.read_note(_name(image_id)) if image_id else None
    if found is None:
        raise NotFound(
            "There is no bill of materials for this image.", hint="It is made when the image is built."
        )
    return found


def delete_bill(image_id: str) -> None:
    """Forget the bill of an image; safe to repeat."""
    blobs.storage().delete(_name(image_id))


def _name(image_id: str) -> str:
    return f"{_PLACE}/{image_id.removeprefix('sha256:')}"
