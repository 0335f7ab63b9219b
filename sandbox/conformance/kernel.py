"""What of the host's kernel can be spoken to."""

from __future__ import annotations

from sandbox.bench import Bench
from sandbox.conformance.registry import LOOKS, Seen, check

_FIX = "Use an engine with seccomp and the profile sandbox/engine/seccomp.json."
# In gVisor these act on its own kernel, inside the sandbox.
_VIRTUAL = {
    *(
        "unshare_user",
        "unshare_net",
        "unshare_pid",
        "unshare_mount",
        "unshare_ipc",
        "unshare_uts",
        "setns_init",
    ),
    *("unshare_cgroup", "unshare_time", "clone_user", "clone_net", "clone_pid", "clone_mount", "clone_ipc"),
    *("clone_uts", "clone_cgroup", "keyctl_join", "keyctl_session", "chroot", "syslog"),
}


def _allowed(answers: dict[str, str], virtual: set[str]) -> list[str]:
    return sorted(name for name, answer in answers.items() if answer == "allowed" and name not in virtual)


@check(
    LOOKS,
    proves="No mount, namespace, chroot, keyring, BPF, io_uring, userfaultfd, perf, module, kexec, or clock setting.",
    rests_on="`sandbox/engine/seccomp.json`, an allow list; no capabilities; gVisor's own kernel",
    fix=_FIX,
)
def no_dangerous_calls(bench: Bench) -> Seen:
    """Each with arguments that would do it."""
    probe = bench.shared()
    seen = probe.told("system_calls", deadline=40)
    allowed = _allowed(seen, _VIRTUAL if probe.has_own_kernel else set())
    return not allowed, allowed or seen


@check(
    LOOKS,
    proves="The host's kernel does not even look at the arguments of such calls.",
    rests_on="`sandbox/engine/seccomp.json`; with gVisor the host's kernel sees none of them",
    fix=_FIX,
)
def filtered_before_the_kernel(bench: Bench) -> Seen:
    """Arguments that any kernel finds wrong: only a filter answers EPERM, or ENOSYS."""
    probe = bench.shared()
    seen = probe.told("rubbish_calls", deadline=40)
    looked = {name: answer for name, answer in seen.items() if answer not in ("EPERM", "ENOSYS")}
    return probe.has_own_kernel or not looked, looked or f"{len(seen)} calls refused unseen"


@check(
    LOOKS,
    proves="No process can be traced or its memory read: not process 1, not a sibling, not itself.",
    rests_on="seccomp without ptrace, process_vm_* and pidfd_getfd; gVisor's own kernel",
    fix=_FIX,
)
def no_tracing(bench: Bench) -> Seen:
    """In gVisor what is traced is in the sandbox, and process 1 stays out of reach."""
    probe = bench.shared()
    seen = probe.told("tracing")
    virtual = (
        {"sibling", "attach", "self", "read", "write", "getfd", "init"} if probe.has_own_kernel else set()
    )
    allowed = _allowed(seen, virtual)
    return not allowed, allowed or seen


@check(
    LOOKS,
    proves="No system call in another calling convention slips past the filter.",
    rests_on="seccomp for one architecture, without 32-bit and x32 calls",
    fix=_FIX,
)
def no_other_abi(bench: Bench) -> Seen:
    """int 0x80 and x32 on x86-64."""
    probe = bench.shared()
    seen = probe.told("other_abi")
    return probe.has_own_kernel or "allowed" not in seen.values(), seen


@check(
    LOOKS,
    proves="No call acts on what all programs of the host share: its disks' write-back, its AIO contexts, "
    "its message queues.",
    rests_on="seccomp without sync, syncfs, io_setup and mq_*; gVisor's own kernel",
    fix=_FIX,
)
def no_host_wide_calls(bench: Bench) -> Seen:
    """Each is harmless by itself, and a way to slow or starve neighbours."""
    probe = bench.shared()
    seen = probe.told("host_wide_calls")
    return probe.has_own_kernel or "allowed" not in seen.values(), seen


@check(
    LOOKS,
    proves="The host's clock cannot be set.",
    rests_on="no CAP_SYS_TIME; seccomp; gVisor's own clock",
    fix="Drop all capabilities.",
)
def no_setting_of_clocks(bench: Bench) -> Seen:
    """By Python's own calls."""
    seen = bench.shared().told("set_time")
    return "allowed" not in seen.values(), seen


@check(
    LOOKS,
    proves="Runtimes find what they need: a refused clone3 says ENOSYS, so that they take clone.",
    rests_on="`sandbox/engine/seccomp.json`",
    fix=_FIX,
)
def runtimes_fall_back(bench: Bench) -> Seen:
    """glibc ends a thread's start with any other word."""
    probe = bench.shared()
    seen = probe.told("runtimes_calls")
    return probe.has_own_kernel or set(seen.values()) == {"ENOSYS"}, seen
