"""What an attacker would look for from inside. Each returns what it saw; whether that is well is not judged
here.
"""

import ctypes
import errno
import os
import socket
import urllib.error
import urllib.request

_libc = ctypes.CDLL(None, use_errno=True)
# Numbers for x86_64 and aarch64 alike from 424 on; the older ones by machine.
_OLD = {
    "x86_64": {"mount": 165, "unshare": 272, "ptrace": 101, "bpf": 321, "userfaultfd": 323, "keyctl": 250},
    "aarch64": {"mount": 40, "unshare": 97, "ptrace": 117, "bpf": 280, "userfaultfd": 282, "keyctl": 219},
}


def outlook():
    """Who and where we are: identity, capabilities, interfaces, what can be written."""
    with open("/proc/self/status") as file:
        status = dict(line.split(":", 1) for line in file.read().splitlines() if ":" in line)
    return {
        "uid": os.getuid(),
        "gid": os.getgid(),
        "groups": os.getgroups(),
        "capabilities": int(status.get("CapEff", "0"), 16) | int(status.get("CapBnd", "0"), 16),
        "no_new_privileges": status.get("NoNewPrivs", "").strip(),
        "seccomp": status.get("Seccomp", "").strip(),
        "interfaces": sorted(name for _, name in socket.if_nameindex()),
        "writable": [place for place in PLACES if _can_write(place)],
        "engine_sockets": [path for path in ENGINE_SOCKETS if os.path.exists(path)],
        "disks": [
            d for d in os.listdir("/dev") if d.startswith(("sd", "vd", "nvme", "xvd", "loop", "mem", "kmsg"))
        ],
        "setuid_files": _setuid_files(),
        "environment": sorted(os.environ),
    }


PLACES = (
    "/",
    "/app",
    "/etc",
    "/usr",
    "/var",
    "/opt",
    "/root",
    "/home",
    "/run",
    "/run/agentstore/bin",
    "/run/agentstore/gateway",
    "/proc/sys/kernel",
    "/sys",
    "/sys/fs/cgroup",
    "/dev",
)
ENGINE_SOCKETS = (
    "/var/run/docker.sock",
    "/run/docker.sock",
    "/run/containerd/containerd.sock",
    "/run/agentstore/docker.sock",
)


def _can_write(place):
    if place == "/proc/sys/kernel":
        return _opens("/proc/sys/kernel/core_pattern")
    try:
        path = os.path.join(place, f"probe-{os.getpid()}")
        with open(path, "w"):
            os.unlink(path)
        return True
    except OSError:
        return False


def _opens(path):
    try:
        with open(path, "r+"):
            return True
    except OSError:
        return False


def _setuid_files():
    found = []
    for top in ("/bin", "/usr/bin", "/sbin", "/usr/sbin", "/usr/lib", "/lib"):
        for directory, _, names in os.walk(top):
            for name in names:
                try:
                    if os.lstat(os.path.join(directory, name)).st_mode & 0o6000:
                        found.append(os.path.join(directory, name))
                except OSError:
                    continue
    return found


def network(targets, names):
    """Which of the addresses can be connected to, and which names resolve."""
    reached = []
    for host, port in targets:
        try:
            socket.create_connection((host, port), timeout=1).close()
            reached.append(f"{host}:{port}")
        except OSError:
            continue
    resolved = []
    for name in names:
        try:
            socket.getaddrinfo(name, 80)
            resolved.append(name)
        except OSError:
            continue
    return {"reached": reached, "resolved": resolved}


def sockets():
    """Which kinds of socket can be made that reach beside the network namespace."""
    kinds = {
        "vsock": (40, socket.SOCK_STREAM),
        "alg": (38, socket.SOCK_SEQPACKET),
        "packet": (17, socket.SOCK_RAW),
        "raw": (socket.AF_INET, socket.SOCK_RAW),
        "bluetooth": (31, socket.SOCK_RAW),
    }
    made = []
    for name, (family, kind) in kinds.items():
        try:
            socket.socket(family, kind, 1 if name == "raw" else 0).close()
            made.append(name)
        except OSError:
            continue
    return {"made": made}


def system_calls():
    """The error's name of each call that a sandbox should refuse; "allowed" where it did not."""
    old = _OLD[os.uname().machine]
    calls = {
        "io_uring_setup": (425, 1, ctypes.create_string_buffer(256)),
        "mount": (old["mount"], b"none", b"/tmp", b"tmpfs", 0, None),
        "unshare_user": (old["unshare"], 0x10000000),
        "unshare_net": (old["unshare"], 0x40000000),
        "ptrace_init": (old["ptrace"], 0x4206, 1, 0, 0),
        "bpf": (old["bpf"], 0, None, 0),
        "userfaultfd": (old["userfaultfd"], 0),
        "keyctl": (old["keyctl"], 0, -3, 1),
    }
    told = {}
    for name, (number, *arguments) in calls.items():
        child = os.fork()
        if not child:
            ctypes.set_errno(0)
            answer = _libc.syscall(ctypes.c_long(number), *arguments)
            os._exit(0 if answer >= 0 else ctypes.get_errno() or 255)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        told[name] = "allowed" if code == 0 else errno.errorcode.get(code, str(code))
    return told


def gateway(path):
    """What the gateway says."""
    url = os.environ["AGENTSTORE_URL"] + path
    call = urllib.request.Request(url, headers={"Authorization": "Bearer " + os.environ["AGENTSTORE_TOKEN"]})
    try:
        with urllib.request.urlopen(call, timeout=5) as answer:
            return {"status": answer.status, "body": answer.read(4096).decode()}
    except urllib.error.HTTPError as refused:
        return {"status": refused.code, "body": ""}
    except OSError as away:
        return {"status": 0, "body": str(away)}


def swap_socket(target):
    """Put a link to something of the host's in the place of our socket."""
    os.unlink("/run/agentstore/agent/agent.sock")
    os.symlink(target, "/run/agentstore/agent/agent.sock")
    return {}


def read(path):
    """The beginning of a file."""
    try:
        with open(path) as file:
            return {"text": file.read(4096)}
    except OSError as refused:
        return {"error": errno.errorcode.get(refused.errno, "")}
