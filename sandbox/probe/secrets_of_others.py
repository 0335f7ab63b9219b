"""What can be read that is not ours: files, environments and processes of the host or of neighbours."""

import os

from trying import attempt, attempt_each, name_of


def read(path):
    """The beginning of a file."""
    try:
        with open(path, "rb") as file:
            return {"text": file.read(65536).decode(errors="replace")}
    except OSError as refused:
        return {"error": name_of(refused.errno)}


def listing(path):
    """What a directory holds."""
    try:
        return {"names": sorted(os.listdir(path))}
    except OSError as refused:
        return {"error": name_of(refused.errno), "names": []}


def find(canary, paths):
    """Where a secret of the host can be read: at its paths by every way that leads to a root, in /proc."""
    roots = ("", "/proc/1/root", "/proc/self/root", "/proc/self/cwd/../../../..", "/proc/thread-self/root")
    places = [root + path for root in roots for path in paths]
    places += [f"/proc/{process}/{file}" for process in _processes() for file in ("environ", "cmdline")]
    places += [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd") if _is_plain(fd)]
    places += [f"/proc/1/fd/{fd}{path}" for fd in range(3, 32) for path in paths]
    places += [
        f"/proc/self/fd/{fd}{up}{path}" for fd in range(3, 16) for up in ("", "/../../..") for path in paths
    ]
    places += ["/proc/cmdline", "/proc/mounts", "/proc/self/mountinfo", "/proc/keys", "/proc/kallsyms"]
    return {"found": [place for place in places if canary in read(place).get("text", "")]}


def _is_plain(descriptor):
    return os.path.isfile(f"/proc/self/fd/{descriptor}")


def _processes():
    return [name for name in os.listdir("/proc") if name.isdigit()]


def neighbours_of_ours(pids):
    """All processes that can be seen, and what became of a signal to each of some of the host's numbers."""
    seen = {}
    for process in _processes():
        seen[process] = read(f"/proc/{process}/cmdline").get("text", "").replace("\0", " ").strip()
    own = {int(process) for process in seen}
    signals = {str(pid): attempt(os.kill, pid, 0) for pid in pids if pid not in own}
    return {"seen": seen, "signals": signals}


def executables():
    """What became of opening for writing what runs: our interpreter, process 1, its tools, by every name."""
    kit = "/run/agentstore/bin"
    places = ["/proc/self/exe", "/proc/1/exe", *(f"{kit}/{name}" for name in os.listdir(kit))]
    told = attempt_each({place: (_open_to_write, place) for place in places if not os.path.isdir(place)})
    told["unlink"] = attempt(os.unlink, f"{kit}/busybox")
    told["rename"] = attempt(os.rename, f"{kit}/busybox", f"{kit}/other")
    told["chmod"] = attempt(os.chmod, f"{kit}/busybox", 0o777)
    return told


def _open_to_write(path):
    os.close(os.open(path, os.O_WRONLY))


def meddle_with_gateway():
    """What became of each try to change the directory of the gateway's socket; what is in it."""
    directory = "/run/agentstore/gateway"
    name = f"{directory}/gateway.sock"
    return {
        "names": sorted(os.listdir(directory)),
        "unlink": attempt(os.unlink, name),
        "rename": attempt(os.rename, name, f"{directory}/other"),
        "link": attempt(os.symlink, "/etc/passwd", f"{directory}/link"),
        "make": attempt(os.mkdir, f"{directory}/made"),
        "chmod": attempt(os.chmod, name, 0o777),
        "chmod_directory": attempt(os.chmod, directory, 0o777),
        "touch": attempt(os.utime, directory),
    }
