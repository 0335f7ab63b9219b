"""An image cannot take itself out of the sandbox, even one that no inspection has seen."""

from __future__ import annotations

import tarfile

from sandbox.bench import Bench
from sandbox.conformance.registry import ATTACKS, Seen, check
from sandbox.driver import DriverError
from sandbox.failures import AgentFailure
from sandbox.places import SANDBOX_UID, sandbox_uid

# cap_net_raw and cap_sys_admin, effective and permitted (capabilities(7), “File capability versioning”).
_CAPABILITIES = "\x01\x00\x00\x02\x00\x20\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
# Each would hide or redirect one of our mounts, or lead a mount out of the image.
_IN_THE_WAY = (
    ("run/agentstore/agent", "/etc"),
    ("run/agentstore/bin", "../../../../../../../../etc"),
    ("run", "/proc/1/root/run"),
)


@check(
    ATTACKS,
    proves="A setuid, setgid or setcap file that did get into an image gives nobody more rights.",
    rests_on="`no-new-privileges`, no capabilities in the bounding set",
    fix="Set no-new-privileges and drop all capabilities.",
)
def gains_nothing_from_setuid(bench: Bench) -> Seen:
    """Copies of the image's own interpreter, owned by root."""
    program = bench.file_of_the_image("usr/bin/python3.11")
    setuid, setcap = tarfile.TarInfo("app/setuid"), tarfile.TarInfo("app/setcap")
    setuid.mode, setcap.mode = 0o6755, 0o755
    setcap.pax_headers = {"SCHILY.xattr.security.capability": _CAPABILITIES}
    image = bench.hostile_image([(setuid, program), (setcap, program)])
    with bench.probe(image_id=image) as probe:
        seen = probe.ask("elevated", programs=["/app/setuid", "/app/setcap"])
        ids = {SANDBOX_UID, sandbox_uid(probe.id)}
    plain = {f"({i}, {i}, {i}) ({i}, {i}, {i}) ['CapEff:\\t0000000000000000\\n']" for i in ids}
    return all(answer in {*plain, "EPERM"} for answer in seen.values()), seen


@check(
    ATTACKS,
    proves="An image's environment replaces none of the contract's variables, and reaches none of our own programs.",
    rests_on="the contract's variables win; process 1 starts the relays with an empty environment",
    fix="Build the relay kit again: `manage.py build_base_image`.",
)
def keeps_environment_from_relays(bench: Bench) -> Seen:
    """LD_PRELOAD, ENV, another token, and a thousand more."""
    ours = {
        "AGENTSTORE_TOKEN": "x",
        "AGENTSTORE_URL": "http://x",
        "PORT": "1",
        "HOME": "/x",
        "MCP_URL": "http://x",
    }
    hostile = {
        "LD_PRELOAD": "/app/evil.so", "LD_LIBRARY_PATH": "/app", "LD_AUDIT": "/app/evil.so", "ENV": "/app/evil.sh",
        "SOCAT_DEFAULT_LISTEN_IP": "6", "IFS": "/", "BASH_ENV": "/app/evil.sh",
    }  # fmt: skip
    many = [f"V{number}=x" for number in range(1000)]
    env = [f"{name}={value}" for name, value in {**ours, **hostile}.items()] + many
    with bench.probe(image_id=bench.hostile_image(env=env)) as probe:
        seen = probe.ask("environments")
        reached = probe.ask("gateway", path="/", token="x")["status"]  # noqa: S106  (no secret)
        token = seen["own"]["AGENTSTORE_TOKEN"] == probe.token
    replaced = sorted(name for name, value in ours.items() if seen["own"].get(name) == value)
    leaked = sorted({name for names in seen["relays"].values() for name in names} & {*hostile, *ours, "V1"})
    kept = token and not replaced and not leaked and reached == 200 and bool(seen["relays"])
    return kept, f"replaced {replaced}, in the relays {leaked}, gateway {reached}"


@check(
    ATTACKS,
    proves="Links in an image in the place of our mounts lead nowhere outside of it: it starts as ever, or not at all.",
    rests_on="mounts are made inside the image's root, links resolved there",
    fix="Update runc or gVisor.",
)
def mounts_inside_the_image(bench: Bench) -> Seen:
    """Of /run, /tmp and all that we mount; a working directory of the engine's open files."""
    told = {}
    for place, target in _IN_THE_WAY:
        link = tarfile.TarInfo(place)
        link.type, link.linkname = tarfile.SYMTYPE, target
        told[place] = _start(bench, bench.hostile_image([(link, b"")]))
    for workdir in (
        "/proc/self/fd/7",
        "/run/agentstore/agent/../../..",
    ):
        told[workdir] = _start(bench, bench.hostile_image(workdir=workdir))
    return all(word in ("contained", "refused") for word in told.values()), told


def _start(bench: Bench, image: str) -> str:
    try:
        with bench.probe(image_id=image, start_seconds=5) as probe:
            found = probe.ask("find", canary=bench.secret, paths=[str(bench.secret_dir / "secret")])["found"]
            written = probe.ask("outlook")["writable"]
    except (DriverError, AgentFailure):
        return "refused"
    return f"found {found}, wrote {written}" if found or written else "contained"
