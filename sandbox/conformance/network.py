"""Nothing can be reached but loopback, and nobody impersonated."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psutil

from sandbox.bench import Bench
from sandbox.conformance.registry import ATTACKS, LOOKS, Seen, check

METADATA = (
    *(("169.254.169.254", 80), ("169.254.170.2", 80), ("100.100.100.200", 80), ("192.0.0.192", 80)),
    *(("fd00:ec2::254", 80), ("fd20:ce::254", 80), ("168.63.129.16", 80)),
)
INTERNET = (("1.1.1.1", 53), ("8.8.8.8", 53), ("2606:4700:4700::1111", 53))
# Where hosts are found from a bridge, a VM and Docker's desktop.
_HOSTS = {"127.0.0.1", "::1", "172.17.0.1", "10.0.2.2", "192.168.65.254", "192.168.127.254"}
_NONE = "Start it without any network (`--network none`; gVisor: `--network=none`)."


@check(
    LOOKS,
    proves="There is no interface but loopback.",
    rests_on="`--network none`; `--network=none` of gVisor",
    fix=_NONE,
)
def loopback_only(bench: Bench) -> Seen:
    """By name."""
    seen = bench.shared().told("outlook")["interfaces"]
    return set(seen) <= {"lo"}, seen


@check(
    LOOKS,
    proves="Out of reach: the host's ports on all of its addresses, cloud metadata, DNS, the internet, by IPv4 "
    "and IPv6.",
    rests_on="`--network none`; `--network=none` of gVisor",
    fix=_NONE,
)
def no_network(bench: Bench) -> Seen:
    """A port is open on every address of the host meanwhile."""
    with _listener() as port:
        addresses = set(_HOSTS)
        for interface in psutil.net_if_addrs().values():
            found = [a for a in interface if a.family in (socket.AF_INET, socket.AF_INET6)]
            addresses |= {a.address.split("%")[0] for a in found}
        targets = [*((address, port) for address in sorted(addresses)), *METADATA, *INTERNET]
        seen = bench.shared().ask("network", targets=targets, names=[], deadline=90)
    return not seen["reached"], seen["reached"] or f"{len(targets)} addresses out of reach"


@check(
    LOOKS,
    proves="No name resolves.",
    rests_on="`--network none`: there is no way to a name server",
    fix=_NONE,
)
def no_names(bench: Bench) -> Seen:
    """Names of the internet, of the host, of the cloud."""
    names = ["example.com", "host.docker.internal", "metadata.google.internal", socket.gethostname()]
    seen = bench.shared().ask("network", targets=[], names=names, deadline=60)
    return not seen["resolved"], seen["resolved"] or "no name resolves"


@check(
    LOOKS,
    proves="No socket that reaches beside the network namespace, loads a module, or is raw can be made.",
    rests_on="seccomp: Unix, TCP, UDP and rtnetlink sockets only; gVisor's own network stack",
    fix="Use the profile sandbox/engine/seccomp.json.",
)
def no_foreign_sockets(bench: Bench) -> Seen:
    """AF_VSOCK, AF_ALG, AF_PACKET, raw, ping, SCTP, DCCP, TIPC, RDS, XDP, netlink other than routes…"""
    probe = bench.shared()
    seen = probe.told("sockets")
    # A kernel without the family answers otherwise than the filter, and as well.
    virtual = {"ping", "packet", "packet_datagram", "netlink_uevent"} if probe.has_own_kernel else set()
    unfiltered = {"EPERM"} if not probe.has_own_kernel else set(seen.values()) - {"allowed"}
    made = {name: answer for name, answer in seen.items() if answer not in unfiltered and name not in virtual}
    return not made, made or "none can be made"


@check(
    LOOKS,
    proves="Nobody can be impersonated: no ARP, no foreign source address, no change of routes or interfaces.",
    rests_on="no neighbour on the wire, no CAP_NET_ADMIN or CAP_NET_RAW",
    fix=_NONE,
)
def no_spoofing(bench: Bench) -> Seen:
    """gVisor takes options that mean nothing on loopback alone."""
    probe = bench.shared()
    seen = probe.told("spoofing", neighbour="172.17.0.2")
    virtual = {"mark", "transparent"} if probe.has_own_kernel else set()
    allowed = sorted(name for name, answer in seen.items() if answer == "allowed" and name not in virtual)
    return not allowed, allowed or seen


@check(
    LOOKS,
    proves="The host's Unix sockets cannot be reached, by an abstract name or by a path.",
    rests_on="a network namespace of its own; nothing of the host mounted",
    fix=_NONE,
)
def no_unix_sockets_of_the_host(bench: Bench) -> Seen:
    """One of each listens meanwhile."""
    name, path = f"agentstore-{secrets.token_hex(8)}", str(bench.secret_dir / "precious.sock")
    with ExitStack() as closing:
        for address in (f"\0{name}", path):
            server = closing.enter_context(socket.socket(socket.AF_UNIX))
            server.bind(address)
            server.listen()
        (bench.secret_dir / "precious.sock").chmod(0o666)
        seen = bench.shared().ask("unix_sockets", abstract=[name], paths=[path])
    (bench.secret_dir / "precious.sock").unlink()
    return not seen["reached"], seen["reached"] or "out of reach"


@check(
    ATTACKS,
    proves="Two sandboxes side by side: neither reaches the other's ports, abstract sockets, files, or token.",
    rests_on="a network namespace, a mount namespace and a door directory for each",
    fix=_NONE,
)
def hides_neighbours(bench: Bench) -> Seen:
    """Both listen on 8080 and under an abstract name."""
    one = bench.shared()
    with bench.probe() as other:
        other.ask("listen_abstract", name=f"neighbour-{other.id.hex}")
        places = [str(path) for path in bench.places_of(other)]
        reached = one.ask(
            "network", deadline=60, names=["agent-2", other.id.hex],
            targets=[("172.17.0.2", 8080), ("172.17.0.3", 8080), ("10.0.2.15", 8080)],
        )  # fmt: skip
        unix = one.ask("unix_sockets", abstract=[f"neighbour-{other.id.hex}"], paths=places)
        read = one.ask("find", canary=other.token, paths=["/run/agentstore/mcp.json", *places])
    found = [*reached["reached"], *reached["resolved"], *unix["reached"], *read["found"]]
    return not found, found or "out of reach"


@contextmanager
def _listener() -> Iterator[int]:
    """A port on all addresses of the host."""
    with socket.socket(socket.AF_INET6) as server:
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        server.bind(("::", 0))
        server.listen()
        yield server.getsockname()[1]
