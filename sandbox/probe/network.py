"""What can be reached, and what one could pretend to be."""

import fcntl
import os
import socket
import struct
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

from trying import attempt, attempt_each

# Families and kinds that reach beside the network namespace, or need a right that no agent has.
FOREIGN = {
    "vsock": (40, socket.SOCK_STREAM, 0),
    "alg": (38, socket.SOCK_SEQPACKET, 0),
    "packet": (17, socket.SOCK_RAW, 0),
    "packet_datagram": (17, socket.SOCK_DGRAM, 0),
    "raw": (socket.AF_INET, socket.SOCK_RAW, 1),
    "raw_ip": (socket.AF_INET, socket.SOCK_RAW, 255),
    "raw_ipv6": (socket.AF_INET6, socket.SOCK_RAW, 58),
    "ping": (socket.AF_INET, socket.SOCK_DGRAM, 1),
    "sctp": (socket.AF_INET, socket.SOCK_STREAM, 132),
    "dccp": (socket.AF_INET, 6, 33),
    "udplite": (socket.AF_INET, socket.SOCK_DGRAM, 136),
    "bluetooth": (31, socket.SOCK_RAW, 1),
    "can": (29, socket.SOCK_RAW, 1),
    "tipc": (30, socket.SOCK_RDM, 0),
    "rds": (21, socket.SOCK_SEQPACKET, 0),
    "xdp": (44, socket.SOCK_RAW, 0),
    "smc": (43, socket.SOCK_STREAM, 0),
    "key": (15, socket.SOCK_RAW, 2),
    "netlink_audit": (16, socket.SOCK_RAW, 9),
    "netlink_netfilter": (16, socket.SOCK_RAW, 12),
    "netlink_xfrm": (16, socket.SOCK_RAW, 6),
    "netlink_uevent": (16, socket.SOCK_RAW, 15),
    "netlink_crypto": (16, socket.SOCK_RAW, 21),
    "netlink_connector": (16, socket.SOCK_RAW, 11),
}


def network(targets, names):
    """Which of the addresses can be connected to (and sent a datagram without an error), which names resolve."""
    # Side by side: where there is a network, each that does not answer takes its time.
    with ThreadPoolExecutor(16) as pool:
        tries = [(*target, kind) for target in targets for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM)]
        told = pool.map(lambda wanted: attempt(_reach, *wanted), tries)
        reached = [f"{t[0]}:{t[1]}" for t, answer in zip(tries, told, strict=True) if answer == "allowed"]
        told = pool.map(lambda name: attempt(socket.getaddrinfo, name, 80), names)
        resolved = [name for name, answer in zip(names, told, strict=True) if answer == "allowed"]
    return {"reached": reached, "resolved": resolved}


def _reach(host, port, kind):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, kind) as connection:
        connection.settimeout(1)
        connection.connect((host, port))
        if kind == socket.SOCK_DGRAM:
            connection.send(b"hello")
            connection.settimeout(0.1)
            connection.recv(1)


def sockets():
    """Which kinds of socket can be made that reach beside the network namespace."""
    told = {}
    for name, (family, kind, protocol) in FOREIGN.items():
        told[name] = attempt(lambda *wanted: socket.socket(*wanted).close(), family, kind, protocol)
    told["tipc_pair"] = attempt(_pair, 30)
    return told


def _pair(family):
    for end in socket.socketpair(family, socket.SOCK_STREAM):
        end.close()


def spoofing(neighbour):
    """What became of each try to speak in another's name, or to change what we are known by."""
    # A second address: without its first nobody would hear the answer any more.
    request = struct.pack("16sH2x4s8x", b"lo:1", socket.AF_INET, socket.inet_aton(neighbour))
    apart = attempt_each({
        "address": (_ioctl, 0x8916, request),  # SIOCSIFADDR
        "hardware_address": (_ioctl, 0x8924, request),  # SIOCSIFHWADDR
        "flags": (_ioctl, 0x8914, struct.pack("16sH14x", b"lo", 0x143)),  # SIOCSIFFLAGS, promiscuous
        "route": (_netlink, 24, struct.pack("BBBBBBBBI", 2, 0, 0, 0, 254, 3, 0, 1, 0)),
        "interface": (_netlink, 16, struct.pack("BxHiII", 0, 0, 0, 1, 1)),
        "neighbour": (_netlink, 28, struct.pack("BxxxiHBB", 2, 1, 0x80, 0, 0)),
    })  # fmt: skip
    return {
        **apart,
        "arp": attempt(_send_arp, neighbour),
        "source": attempt(_bind, neighbour),
        "transparent": attempt(_option, socket.SOL_IP, 19, 1),  # IP_TRANSPARENT
        "device": attempt(_option, socket.SOL_SOCKET, 25, b"eth0\0"),  # SO_BINDTODEVICE
        "mark": attempt(_option, socket.SOL_SOCKET, 36, 1),  # SO_MARK
    }


def _send_arp(address):
    with socket.socket(17, socket.SOCK_RAW, socket.htons(0x0806)) as sender:
        sender.bind(("lo", 0))
        sender.send(b"\xff" * 6 + b"\x02" * 6 + b"\x08\x06" + b"\0" * 28)


def _ioctl(number, request):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, number, request)


def _netlink(kind, body):
    """A request to rtnetlink that has to be acknowledged; its refusal as OSError."""
    message = struct.pack("IHHII", 16 + len(body), kind, 0x0001 | 0x0004 | 0x0400, 1, 0) + body
    with socket.socket(16, socket.SOCK_RAW, 0) as talker:
        talker.settimeout(2)
        talker.bind((0, 0))
        talker.send(message)
        answer = talker.recv(4096)
    code = struct.unpack_from("i", answer, 16)[0]
    if code:
        raise OSError(-code, "")


def _bind(address):
    with socket.socket() as sender:
        sender.bind((address, 0))


def _option(level, option, value):
    with socket.socket() as any_socket:
        any_socket.setsockopt(level, option, value)


def unix_sockets(abstract, paths):
    """Which of the abstract names and paths can be connected to."""
    reached = []
    for address in [f"\0{name}" for name in abstract] + list(paths):
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(1)
                connection.connect(address)
            reached.append(address.replace("\0", "@"))
        except OSError:
            continue
    return {"reached": reached}


def listen_abstract(name):
    """Listen under an abstract name for as long as we live."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(f"\0{name}")
    server.listen()
    _kept.append(server)
    return {}


_kept = []


def gateway(path, token=None):
    """What the gateway says, to our token or to another."""
    url = os.environ["AGENTSTORE_URL"] + path
    token = os.environ["AGENTSTORE_TOKEN"] if token is None else token
    call = urllib.request.Request(url, headers={"Authorization": "Bearer " + token})
    try:
        with urllib.request.urlopen(call, timeout=5) as answer:
            return {"status": answer.status, "body": answer.read(4096).decode()}
    except urllib.error.HTTPError as refused:
        return {"status": refused.code, "body": ""}
    except OSError as away:
        return {"status": 0, "body": str(away)}
