"""Byte-compiles a bundle's layers in a sandbox: the compiler is ours, what it reads is a stranger's.

Halves the time that a Python agent takes to start, since a sandbox can't keep what it compiles. The result is
checked and kept as a layer on top of the one that it was made from, once per layer. A compilation that fails,
hangs or gives something else costs the agent its fast start and nothing more.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import structlog
from django.conf import settings

from agentstore.kit.errors import StoreError
from agentstore.kit.ids import new_id
from sandbox import doors
from sandbox.contract import agent_environment
from sandbox.driver import Driver, DriverError, Launch
from sandbox.failures import AgentFailure
from sandbox.images import blobs
from sandbox.images.errors import ImageRefused
from sandbox.images.layers import read_entries
from sandbox.images.packing import Packed, pack_layer
from sandbox.images.store import NOTES, StoredImage, image_config, note_layers, open_layer, put_image
from sandbox.images.store import layer_size as size_of
from sandbox.places import proof_stack
from sandbox.protocols import for_name
from sandbox.protocols.client import exchange
from sandbox.spec import MIB, RunSpec, Trust
from sandbox.tokens import mint_token

log = structlog.get_logger(__name__)
RECIPE = "1"
MAX_SECONDS = 90.0
MAX_BYTES = 256 * MIB
_LOOK_SECONDS = 0.05
_INSIDE = Path(__file__).with_name("compile_inside.py")
_PROGRAM = "usr/local/lib/agentstore/compile.py"
_BYTECODE = re.compile(r"(?P<where>.*/)?__pycache__/(?P<stem>[^/]+)\.cpython-\d+\.pyc")


def compile_layer(*, base: StoredImage, layer: str, root: str, driver: Driver, until: float) -> str | None:
    """The diff id of a layer with the bytecode of `layer`'s Python files below `root`; None without any.

    `until` is a time of `time.monotonic` by which it has to be there. Never raises for what the layer does.
    """
    recipe = f"{RECIPE} {base.image_id} {layer} {root} {_INSIDE.read_bytes()!r}"
    note = f"{NOTES}/bytecode-{hashlib.sha256(recipe.encode()).hexdigest()}"
    if (known := blobs.read_note(note)) is not None:
        try:
            note_layers({known: size_of(known)} if known else {})
            return known or None
        except DriverError:
            log.info("images.bytecode_gone", layer=layer[7:19])
    sources = _sources(layer)
    if not sources:
        return None
    started = time.monotonic()
    try:
        with tempfile.TemporaryFile(dir=blobs.scratch_dir()) as answer:
            _run(base, layer, root, driver, until, answer)
            answer.seek(0)
            found = list(_checked(answer, sources))
            made = pack_layer(found).diff_id if found else ""
    except (StoreError, AgentFailure, OSError, TimeoutError, tarfile.TarError, ValueError) as failed:
        log.warning("images.not_compiled", layer=layer[7:19], error=repr(failed)[:300])
        return None
    blobs.write_note(note, made)
    log.info(
        "images.compiled", layer=layer[7:19], files=len(found), seconds=round(time.monotonic() - started, 2)
    )
    return made or None


def _sources(layer: str) -> set[str]:
    with open_layer(layer) as stream, tarfile.TarFile(fileobj=stream) as tar:
        return {
            entry.name
            for entry, _ in read_entries(tar)
            if entry.kind == "file" and entry.name.endswith(".py")
        }


def _run(base: StoredImage, layer: str, root: str, driver: Driver, until: float, answer: IO[bytes]) -> None:
    """Compile in a sandbox of its own, and write what it serves to `answer`."""
    program = pack_layer([Packed(_PROGRAM, _INSIDE.read_bytes())])
    image = put_image(
        image_config(
            layers=[*base.layers, layer, program.diff_id],
            # Isolated: nothing of the bundle is imported, whatever it is called.
            command=["python3", "-I", "-S", f"/{_PROGRAM}", f"/{root}"],
            env=base.env, workdir="/", labels={"agentstore.source": "compile"},
        )
    )  # fmt: skip
    spec = RunSpec(
        image_id=image.image_id, trust=Trust.UNTRUSTED, cpus=1.0, memory_bytes=512 * MIB, tmp_bytes=64 * MIB
    )
    sandbox_id = new_id()
    Path(settings.RUN_DIR).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=settings.RUN_DIR, prefix="g") as no_gateway:
        handle = driver.handle_of(sandbox_id)
        try:
            launch = Launch(
                sandbox_id=sandbox_id, spec=spec, stack=proof_stack(), door_dir=doors.prepare(sandbox_id),
                gateway_dir=doors.prepare_gateway(sandbox_id, root=Path(no_gateway)),
                env=agent_environment(spec=spec, token=mint_token().text),
            )  # fmt: skip
            handle = driver.start(launch).handle
            asyncio.run(_fetch(doors.local_door(sandbox_id), until, answer))
        finally:
            driver.stop(handle)
            doors.remove(sandbox_id)


async def _fetch(door: doors.Door, until: float, answer: IO[bytes]) -> None:
    while not await for_name("http").is_ready(door, 2.0):
        if time.monotonic() > until:
            raise TimeoutError("the compiler did not start")
        await asyncio.sleep(_LOOK_SECONDS)
    left = max(0.1, until - time.monotonic())
    async with exchange(
        door, deadline=left, method="GET", target="/compiled", answer_bytes=MAX_BYTES
    ) as told:
        async for piece in told.pieces():
            answer.write(piece)


def _checked(answer: IO[bytes], sources: set[str]) -> Iterator[Packed]:
    """The bytecode files in an answer, each beside a source of the layer. Raises ImageRefused for anything else."""
    seen = set[str]()
    with tarfile.TarFile(fileobj=answer) as tar:
        for member in tar:
            found = _BYTECODE.fullmatch(member.name)
            beside = f"{found['where'] or ''}{found['stem']}.py" if found else ""
            if not member.isreg() or member.issparse() or beside not in sources or member.name in seen:
                raise ImageRefused(f"The compiler gave {member.name!r:.100}.", code="bad_bytecode")
            seen.add(member.name)
            content = tar.extractfile(member)
            yield Packed(member.name, content.read() if content else b"")
