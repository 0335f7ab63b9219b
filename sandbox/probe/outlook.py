"""Who and where we are: identity, capabilities, interfaces, mounts, what can be written."""

import os
import resource
import socket
import subprocess

from trying import attempt_each, name_of

PLACES = (
    *(
        "/",
        "/app",
        "/bin",
        "/etc",
        "/usr",
        "/usr/bin",
        "/lib",
        "/var",
        "/opt",
        "/root",
        "/home",
        "/run",
        "/sys",
    ),
    *("/run/agentstore/bin", "/run/agentstore/gateway", "/sys/fs/cgroup", "/dev", "/proc"),
)
SETTINGS = (
    *("/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/kernel/hostname"),
    *("/proc/sys/vm/overcommit_memory", "/proc/sys/vm/drop_caches", "/proc/sys/net/ipv4/ip_forward"),
    *("/proc/sys/fs/binfmt_misc/register", "/proc/sys/kernel/randomize_va_space", "/proc/sysrq-trigger"),
    *("/proc/kcore", "/proc/kmem", "/proc/irq/0/smp_affinity", "/proc/acpi/wakeup", "/proc/fs/xfs/stat"),
    *(
        "/sys/kernel/uevent_helper",
        "/sys/power/state",
        "/sys/kernel/kexec_crash_size",
        "/sys/kernel/profiling",
    ),
    *("/sys/kernel/mm/transparent_hugepage/enabled", "/sys/module/kernel/parameters/panic"),
    *(
        "/sys/fs/cgroup/release_agent",
        "/sys/fs/cgroup/memory/release_agent",
        "/sys/kernel/debug/tracing/trace",
    ),
    *(
        "/sys/fs/cgroup/pids/pids.max",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory.max",
    ),
    *("/sys/fs/cgroup/cgroup.procs", "/sys/firmware/efi/vars", "/sys/kernel/security/apparmor/.remove"),
)
ENGINE_SOCKETS = (
    *("/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock"),
    *("/run/podman/podman.sock", "/run/crio/crio.sock", "/run/agentstore/docker.sock"),
)


def outlook():
    """All of it, without doing harm."""
    status = _status("self")
    return {
        "uid": [*os.getresuid()],
        "gid": [*os.getresgid()],
        "groups": os.getgroups(),
        "capabilities": sum(
            int(status.get(f"Cap{kind}", "0"), 16) for kind in ("Eff", "Prm", "Inh", "Bnd", "Amb")
        ),
        "no_new_privileges": status.get("NoNewPrivs", ""),
        "seccomp": status.get("Seccomp", ""),
        "interfaces": sorted(name for _, name in socket.if_nameindex()),
        "writable": [place for place in PLACES if _can_write(place)],
        "writable_settings": [path for path in SETTINGS if _opens(path)],
        "engine_sockets": [path for path in ENGINE_SOCKETS if os.path.exists(path)],
        "setuid_files": _setuid_files(),
        "mounts": _mounts(),
        "limits": {
            "nofile": resource.getrlimit(resource.RLIMIT_NOFILE),
            "core": resource.getrlimit(resource.RLIMIT_CORE),
        },
    }


def identities():
    """What can be become: each way to another user, group, or a capability."""
    return attempt_each({
        "setuid_root": (os.setuid, 0),
        "setuid_other": (os.setuid, 1000),
        "setgid_root": (os.setgid, 0),
        "setgroups": (os.setgroups, [0]),
        "setreuid": (os.setreuid, 0, 0),
        "chroot": (os.chroot, "/tmp"),
        "nice": (os.nice, -5),
        "raise_nofile": (_raise, resource.RLIMIT_NOFILE, 1),
        "raise_core": (_raise, resource.RLIMIT_CORE, 1024 * 1024),
        "realtime": (os.sched_setscheduler, 0, os.SCHED_FIFO, os.sched_param(1)),
    })  # fmt: skip


def elevated(programs):
    """Which ids and capabilities each of these copies of our interpreter gets."""
    ask = "import os; print(os.getresuid(), os.getresgid(), [l for l in open('/proc/self/status') if 'CapEff' in l])"
    told = {}
    for program in programs:
        try:
            environment = {"PYTHONHOME": "/usr"}
            done = subprocess.run(
                [program, "-S", "-c", ask], capture_output=True, env=environment, timeout=20
            )
            told[program] = done.stdout.decode().strip() or done.stderr.decode()[-200:]
        except OSError as refused:
            told[program] = name_of(refused.errno)
    return told


def environments():
    """Our own environment, and the names of the relays' variables, by process."""
    relays = {}
    for process in os.listdir("/proc"):
        try:
            if process.isdigit() and _is_relay(process):
                with open(f"/proc/{process}/environ", "rb") as file:
                    relays[process] = [line.split(b"=", 1)[0].decode() for line in file.read().split(b"\0")]
        except OSError:
            continue
    return {"own": dict(os.environ), "relays": relays}


def _is_relay(process):
    """By its command or its program: a relay may give itself another title."""
    with open(f"/proc/{process}/cmdline", "rb") as file:
        command = file.read()
    loader = "/run/agentstore/bin/ld.so"
    return command.startswith((loader.encode(), b"nginx")) or os.readlink(f"/proc/{process}/exe") == loader


def _raise(which, by):
    hard = resource.getrlimit(which)[1]
    resource.setrlimit(which, (hard + by, hard + by))


def _status(process):
    with open(f"/proc/{process}/status") as file:
        lines = (line.split(":", 1) for line in file.read().splitlines() if ":" in line)
        return {key: value.strip() for key, value in lines}


def _mounts():
    """`[target, type, source, options]` of each."""
    found = []
    with open("/proc/self/mountinfo") as file:
        for line in file:
            before, _, after = line.rstrip("\n").partition(" - ")
            fields, rest = before.split(), after.split()
            found.append([fields[4], rest[0], fields[3], fields[5]])
    return found


def _can_write(place):
    try:
        path = os.path.join(place, f"probe-{os.getpid()}")
        with open(path, "w"):
            os.unlink(path)
        return True
    except OSError:
        return False


def _opens(path):
    try:
        os.close(os.open(path, os.O_WRONLY))
    except OSError:
        return False
    return True


def _setuid_files():
    found = []
    for top in ("/bin", "/usr", "/sbin", "/lib", "/app", "/opt"):
        for directory, _, names in os.walk(top):
            for name in names:
                try:
                    if os.lstat(os.path.join(directory, name)).st_mode & 0o6000:
                        found.append(os.path.join(directory, name))
                except OSError:
                    continue
    return found
