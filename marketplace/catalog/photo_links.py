"""Photographs that feeds name by address: which ones a product has, and fetching them."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import BinaryIO, Final, cast

import structlog
from django.db import transaction
from django.db.models import QuerySet

from agentstore.kit.clock import now
from agentstore.kit.errors import StoreError
from agentstore.kit.fetch import Bounds, FetchFailed, fetch
from marketplace.catalog.media import UnreadablePhoto, attach_photo
from marketplace.catalog.models import Media, PhotoLink, Product

BOUNDS: Final = Bounds(max_bytes=10_000_000, seconds=20)
MOST_PHOTOS: Final = 10
_AT_ONCE: Final = 24
_SIDE_BY_SIDE: Final = 8
_CLAIM: Final = timedelta(minutes=10)
_FIRST_RETRY: Final = timedelta(minutes=5)
_MOST_ATTEMPTS: Final = 5
# How long one that failed is left alone, however often a feed names it meanwhile.
_REST: Final = timedelta(days=1)
_NEVER_ENDED: Final = "Fetching it never came to an end."

Got = BinaryIO | StoreError

log = structlog.get_logger(__name__)


def set_links(wanted: Mapping[int, Sequence[str]]) -> dict[int, tuple[list[str], list[str]]]:
    """Give products, by id, the photographs at these addresses, in this order, and no other fetched ones.

    Gives what changed: addresses before and after, by product id. Photographs uploaded by hand stay. What failed a
    day ago or longer is tried again.
    """
    after = {product_id: list(dict.fromkeys(urls))[:MOST_PHOTOS] for product_id, urls in wanted.items()}
    links = _links_of(PhotoLink.objects.filter(product__in=list(after)))
    _try_again(links)
    differing = [product_id for product_id, urls in after.items() if list(links.get(product_id, {})) != urls]
    # Read again under lock: one that is being fetched may have got its photograph meanwhile.
    links = _links_of(PhotoLink.objects.select_for_update().filter(product__in=differing).order_by("pk"))
    changed = {}
    new: list[PhotoLink] = []
    moved: list[PhotoLink] = []
    gone: list[PhotoLink] = []
    for product_id in differing:
        have, urls = links.get(product_id, {}), after[product_id]
        changed[product_id] = (list(have), urls)
        gone += [link for url, link in have.items() if url not in urls]
        for position, url in enumerate(urls):
            if url not in have:
                new.append(PhotoLink(product_id=product_id, url=url, position=position))
            elif have[url].position != position:
                have[url].position = position
                moved.append(have[url])
    PhotoLink.objects.filter(pk__in=[link.pk for link in gone]).delete()
    Media.objects.filter(
        pk__in=[link.media_id for link in gone if link.media_id], links__isnull=True
    ).delete()
    PhotoLink.objects.bulk_create(new)
    PhotoLink.objects.bulk_update(moved, ["position"])
    Media.objects.bulk_update(
        [Media(pk=link.media_id, position=link.position) for link in moved if link.media_id], ["position"]
    )
    return changed


def _links_of(links: QuerySet[PhotoLink]) -> dict[int, dict[str, PhotoLink]]:
    """Links in their order, by product id and address."""
    found: dict[int, dict[str, PhotoLink]] = {}
    for link in sorted(links, key=lambda link: (link.position, link.pk)):
        found.setdefault(link.product_id, {})[link.url] = link
    return found


def _try_again(links: Mapping[int, Mapping[str, PhotoLink]]) -> None:
    failed = [
        link.pk
        for mine in links.values()
        for link in mine.values()
        if link.status == PhotoLink.Status.FAILED and link.due_at < now() - _REST
    ]
    if not failed:
        return
    fresh = {"status": PhotoLink.Status.WAITING, "message": "", "due_at": now()}
    rested = PhotoLink.objects.filter(pk__in=failed, status=PhotoLink.Status.FAILED)
    # What may have killed its process gets one attempt, alone.
    rested.filter(message=_NEVER_ENDED).update(attempts=_MOST_ATTEMPTS - 1, **fresh)
    rested.update(attempts=0, **fresh)


def fetch_photos() -> int:
    """Fetch some of the photographs that wait; gives how many were dealt with. May run twice or after a crash.

    What breaks the fetching itself, or the process, is tried a few times, alone, and then given up.
    """
    links = _claim()
    if not links:
        return 0
    with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
        for link, got in zip(links, pool.map(_get, [link.url for link in links]), strict=True):
            _settle(link, got)
    return len(links)


@transaction.atomic
def _claim() -> list[PhotoLink]:
    waiting = PhotoLink.objects.filter(status=PhotoLink.Status.WAITING, due_at__lte=now())
    # A claim that never came to an end may have taken its process along: none else shall share that fate again.
    lost = waiting.filter(attempts__gt=0, message="")
    lost.filter(attempts__gte=_MOST_ATTEMPTS).update(status=PhotoLink.Status.FAILED, message=_NEVER_ENDED)
    alone = lost.select_for_update(skip_locked=True).order_by("due_at")[:1]
    due = waiting.select_for_update(skip_locked=True).order_by("due_at")[:_AT_ONCE]
    links = list(alone) or list(due)
    for link in links:
        link.attempts, link.message, link.due_at = link.attempts + 1, "", now() + _CLAIM
    PhotoLink.objects.bulk_update(links, ["attempts", "message", "due_at"])
    return links


def _get(url: str) -> Got:
    """The bytes, or why not. Runs beside others and touches no database."""
    # Whoever takes it closes it. The stubs do not know it as the binary file that it is.
    file = cast(BinaryIO, tempfile.SpooledTemporaryFile(max_size=1_000_000))  # noqa: SIM115
    try:
        fetch(url, into=file, bounds=BOUNDS)
    except StoreError as refused:
        file.close()
        return refused
    except Exception:  # one address must not stop the others; it is tried again like any failed fetch
        log.exception("photo_fetch_broke", url=url)
        file.close()
        return FetchFailed("The store could not fetch it.")
    file.seek(0)
    return file


@transaction.atomic
def _settle(link: PhotoLink, got: Got) -> None:
    fresh = PhotoLink.objects.select_for_update().filter(pk=link.pk).first()
    refusal = got if isinstance(got, StoreError) else None
    if fresh is not None and not isinstance(got, StoreError):
        try:
            product = Product.objects.get(pk=fresh.product_id)
            with transaction.atomic():
                fresh.media = attach_photo(
                    product=product, source=got, alt=product.title, position=fresh.position
                )
        except UnreadablePhoto as unreadable:
            refusal = unreadable
        except Exception:  # decoders raise what they like; what one photograph does is no other's matter
            log.exception("photo_keeping_broke", url=fresh.url)
            refusal = FetchFailed("The store could not keep it.")
    if not isinstance(got, StoreError):
        got.close()
    if fresh is None:
        return
    fresh.message = refusal.message[:200] if refusal else ""
    if refusal is None:
        fresh.status = PhotoLink.Status.DONE
    elif isinstance(refusal, FetchFailed) and fresh.attempts < _MOST_ATTEMPTS:
        fresh.due_at = now() + _FIRST_RETRY * 4 ** (fresh.attempts - 1)
    else:
        fresh.status = PhotoLink.Status.FAILED
    fresh.save()
