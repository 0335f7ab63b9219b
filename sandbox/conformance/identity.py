"""No root, no capabilities, no way to more rights, nothing to write to."""

from __future__ import annotations

from sandbox.bench import Bench
from sandbox.conformance.registry import ATTACKS, LOOKS, Seen, check
from sandbox.places import SANDBOX_UID, sandbox_uid

# Where a sandbox may write; the bench's image has no VOLUME.
WRITABLE = {"/tmp", "/dev/shm", "/run/agentstore", "/run/agentstore/agent"}  # noqa: S108  (inside the sandbox)
# What may be mounted: the root, the kernel's own, ours, and gVisor's and the engine's few files.
MOUNTED = (
    *("/", "/proc", "/sys", "/dev", "/tmp", "/run/agentstore"),  # noqa: S108
    *("/etc/hosts", "/etc/hostname", "/etc/resolv.conf"),
)


@check(
    LOOKS,
    proves="The agent runs as an ordinary user, in no group of root's.",
    rests_on="a user id of its own (65534 in gVisor without an engine) and no other group, whatever the image's USER "
    "says",
    fix="Start it as the user and group that sandbox/places.py gives.",
)
def no_root(bench: Bench) -> Seen:
    """Real, effective and saved ids alike."""
    probe = bench.shared()
    seen = probe.told("outlook")
    ids = {*seen["uid"], *seen["gid"], *seen["groups"]}
    return ids in (
        {SANDBOX_UID},
        {sandbox_uid(probe.id)},
    ), f"uids {seen['uid']}, gids {seen['gid']}, groups {seen['groups']}"


@check(
    LOOKS,
    proves="It holds no capability, not even one that a file could give it.",
    rests_on="`cap-drop ALL`, the bounding set included",
    fix="Drop all capabilities.",
)
def no_capabilities(bench: Bench) -> Seen:
    """Effective, permitted, inheritable, bounding, ambient."""
    seen = bench.shared().told("outlook")["capabilities"]
    return seen == 0, f"{seen:#x}"


@check(
    LOOKS,
    proves="No program that it starts can have more rights than it has, and a filter stands before the kernel.",
    rests_on="`no-new-privileges` and seccomp; gVisor keeps both by having a kernel of its own",
    fix="Use an engine with seccomp, and set no-new-privileges.",
)
def no_new_privileges(bench: Bench) -> Seen:
    """As /proc/self/status says it."""
    probe = bench.shared()
    seen = probe.told("outlook")
    kept = probe.has_own_kernel or (seen["no_new_privileges"] == "1" and seen["seccomp"] == "2")
    return kept, f"NoNewPrivs {seen['no_new_privileges']}, Seccomp {seen['seccomp']}"


@check(
    LOOKS,
    proves="It can become nobody else, change its root, or raise a limit or its priority.",
    rests_on="no capabilities; seccomp refuses chroot; hard limits",
    fix="Drop all capabilities and set no-new-privileges.",
)
def no_other_identity(bench: Bench) -> Seen:
    """setuid and its relatives, each in a process of its own."""
    probe = bench.shared()
    seen = probe.told("identities")
    # In gVisor priority and root are among the sandbox's own processes.
    virtual = {"nice", "chroot"} if probe.has_own_kernel else set()
    allowed = sorted(name for name, answer in seen.items() if answer == "allowed" and name not in virtual)
    return not allowed, allowed or seen


@check(
    LOOKS,
    proves="Neither the image nor the kernel's files can be written to.",
    rests_on="read-only root; /proc/sys, /proc/sysrq-trigger, /sys and the cgroups read-only or not there",
    fix="Make the root read-only and leave the engine's masks of /proc and /sys in place.",
)
def root_read_only(bench: Bench) -> Seen:
    """core_pattern, release_agent, sysrq, uevent_helper and their like included."""
    seen = bench.shared().told("outlook")
    found = seen["writable"] + seen["writable_settings"]
    return not found, found or "nothing can be written"


@check(
    LOOKS,
    proves="Nothing is mounted but what the contract names.",
    rests_on="the driver's list of mounts; no image in the store has a VOLUME",
    fix="Look at the mounts that the detail names.",
)
def no_foreign_mounts(bench: Bench) -> Seen:
    """By mountinfo."""
    mounts = bench.shared().told("outlook")["mounts"]
    below = ("/proc/", "/sys/", "/dev/", "/run/agentstore/")
    found = [target for target, *_ in mounts if target not in MOUNTED and not target.startswith(below)]
    return not found, found or f"{len(mounts)} mounts, all known"


@check(
    LOOKS,
    proves="No device of the host is there, and none can be made.",
    rests_on="the engine's own small /dev; no CAP_MKNOD; `nodev` on all that can be written; the devices cgroup",
    fix="Give the sandbox no devices.",
)
def no_devices(bench: Bench) -> Seen:
    """Disks, /dev/mem, kmsg, fuse, kvm."""
    probe = bench.shared()
    seen = probe.told("devices")
    # gVisor has these of its own, which lead to nothing of the host's.
    virtual = {"/dev/fuse", "/dev/net/tun", "fuse"} if probe.has_own_kernel else set()
    allowed = {n for kind in ("made", "opened") for n, answer in seen[kind].items() if answer == "allowed"}
    found = sorted({*seen["found"], *allowed} - virtual)
    return not found, found or "none"


@check(
    LOOKS,
    proves="Nothing in the image runs with another's rights.",
    rests_on="setuid and setgid bits are stripped from every image",
    fix="Build the base image again, and publish the version again.",
)
def no_setuid_files(bench: Bench) -> Seen:
    """Of the files of the image."""
    seen = bench.shared().told("outlook")["setuid_files"]
    return not seen, seen[:5] or "none"


@check(
    LOOKS,
    proves="The engine cannot be asked for anything from inside.",
    rests_on="its socket is not mounted",
    fix="Mount no engine's socket.",
)
def no_engine_socket(bench: Bench) -> Seen:
    """Docker's, containerd's, Podman's, CRI-O's."""
    seen = bench.shared().told("outlook")["engine_sockets"]
    return not seen, seen or "none"


@check(
    ATTACKS,
    proves="There is no place to write to but the bounded ones.",
    rests_on="read-only root; tmpfs with `size` and `nr_inodes`",
    fix="Make the root read-only.",
)
def nowhere_else_to_write(bench: Bench) -> Seen:
    """The whole tree is tried."""
    found = set(bench.shared().ask("writable_directories", deadline=60)["found"]) - WRITABLE
    return not found, sorted(found)[:5] or sorted(WRITABLE)
