"""System calls that widen what a program can do to the kernel."""

import ctypes
import mmap
import os
import signal
import time

from trying import attempt, attempt_apart, attempt_each, call

# x86_64 and aarch64 differ up to 423 and agree from 424 on.
_NUMBERS = {
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "unshare": (272, 97),
    "setns": (308, 268), "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "kcmp": (312, 272), "bpf": (321, 280), "userfaultfd": (323, 282), "perf_event_open": (298, 241),
    "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218), "init_module": (175, 105),
    "finit_module": (313, 273), "delete_module": (176, 106), "kexec_load": (246, 104),
    "kexec_file_load": (320, 294), "reboot": (169, 142), "syslog": (103, 116), "swapon": (167, 224),
    "swapoff": (168, 225), "acct": (163, 89), "quotactl": (179, 60), "sethostname": (170, 161),
    "setdomainname": (171, 162), "settimeofday": (164, 170), "clock_settime": (227, 112),
    "clock_adjtime": (305, 266), "adjtimex": (159, 171), "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265), "fanotify_init": (300, 262), "lookup_dcookie": (212, 18),
    "mbind": (237, 235), "move_pages": (279, 239), "migrate_pages": (256, 238), "vhangup": (153, 58),
    "personality": (135, 92), "io_setup": (206, 0), "mq_open": (240, 180), "sync": (162, 81), "syncfs": (306, 267),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430), "fsconfig": (431, 431),
    "fsmount": (432, 432), "fspick": (433, 433), "clone3": (435, 435), "pidfd_getfd": (438, 438),
    "process_madvise": (440, 440), "mount_setattr": (442, 442), "quotactl_fd": (443, 443),
    "memfd_secret": (447, 447), "statmount": (457, 457), "listmount": (458, 458),
}  # fmt: skip
_X86_ONLY = {"iopl": 172, "ioperm": 173, "modify_ldt": 154}
_BUFFER = ctypes.create_string_buffer(4096)
_NAMESPACES = {
    "user": 0x10000000, "net": 0x40000000, "pid": 0x20000000, "mount": 0x20000, "ipc": 0x8000000,
    "uts": 0x4000000, "cgroup": 0x2000000, "time": 0x80,
}  # fmt: skip


def numbers():
    """The system calls that this machine has by those names."""
    column = 0 if os.uname().machine == "x86_64" else 1
    found = {name: pair[column] for name, pair in _NUMBERS.items()}
    return found | _X86_ONLY if column == 0 else found


def system_calls():
    """What became of calls that would do something if they were let."""
    n = numbers()
    calls = {
        "mount_tmpfs": (n["mount"], b"none", b"/tmp", b"tmpfs", 0, None),
        "mount_proc": (n["mount"], b"proc", b"/tmp", b"proc", 0, None),
        "mount_cgroup": (n["mount"], b"cgroup", b"/tmp", b"cgroup", 0, b"rdma"),
        "remount_root": (n["mount"], None, b"/", None, 32, None),
        "umount": (n["umount2"], b"/run/agentstore/bin", 2),
        "pivot_root": (n["pivot_root"], b"/tmp", b"/tmp"),
        "chroot": (n["chroot"], b"/tmp"),
        "bpf": (n["bpf"], 0, _attributes(), 72),
        "userfaultfd": (n["userfaultfd"], 1),
        "perf_event_open": (n["perf_event_open"], _perf(), 0, -1, -1, 0),
        "keyctl_join": (n["keyctl"], 1, None),
        "keyctl_session": (n["keyctl"], 0, -3, 1),
        "add_key": (n["add_key"], b"user", b"probe", b"x", 1, -3),
        "io_uring": (n["io_uring_setup"], 1, ctypes.create_string_buffer(256)),
        "fsopen": (n["fsopen"], b"tmpfs", 0),
        "open_tree": (n["open_tree"], -100, b"/", 1),
        "syslog": (n["syslog"], 3, _BUFFER, 4096),
        "sethostname": (n["sethostname"], b"owned", 5),
        # To the time that it is: where it is let, no harm is done.
        "settimeofday": (n["settimeofday"], _time_of_now(1_000), None),
        "clock_settime": (n["clock_settime"], 0, _time_of_now(1)),
        "adjtimex": (n["adjtimex"], _clock_change()),
        "fanotify": (n["fanotify_init"], 0, 0),
        "name_to_handle": (n["name_to_handle_at"], -100, b"/", _handle(), ctypes.byref(ctypes.c_int()), 0),
        "reboot": (n["reboot"], 0xFEE1DEAD, 672274793, 0, None),
        "kexec": (n["kexec_load"], 0, 0, None, 0),
        "delete_module": (n["delete_module"], b"dummy", 0),
        "swapoff": (n["swapoff"], b"/swapfile"),
        "acct": (n["acct"], b"/tmp/acct"),
        **{f"unshare_{name}": (n["unshare"], flag) for name, flag in _NAMESPACES.items()},
        **{f"clone_{name}": (56 if "iopl" in n else 220, flag | 17, 0, 0, 0, 0)
           for name, flag in _NAMESPACES.items() if flag > 0xFF},
    }  # fmt: skip
    tries = {name: (_call_and_end, *wanted) for name, wanted in calls.items()}
    return attempt_each({**tries, "setns_init": (_enter_namespace, n["setns"])})


def _call_and_end(number, *arguments):
    parent = os.getpid()
    call(number, *arguments)
    if os.getpid() != parent:
        os._exit(0)  # the child of a clone that was let


def rubbish_calls():
    """What became of calls with arguments that no kernel takes: a filter refuses before the kernel looks."""
    bad = (ctypes.c_long(-1),) * 6
    names = [name for name in numbers() if name not in ("sync", "vhangup")]
    return attempt_each({name: (call, numbers()[name], *bad) for name in names})


def host_wide_calls():
    """Calls that are harmless by themselves but act on what all programs of the host share."""
    n = numbers()
    tries = {"sync": (call, n["sync"]), "syncfs": (_sync_root, n["syncfs"])}
    if n["io_setup"]:
        tries["aio"] = (call, n["io_setup"], 128, (ctypes.c_ulong * 1)(0))
    return attempt_each(
        {**tries, "mq_open": (call, n["mq_open"], b"probe", os.O_CREAT | os.O_RDWR, 0o600, None)}
    )


def _sync_root(number):
    call(number, os.open("/", os.O_RDONLY))


def tracing():
    """What became of tracing process 1, a sibling, a child, ourselves; of reading another's memory."""
    n = numbers()
    sibling = os.fork()
    if not sibling:
        time.sleep(30)
        os._exit(0)
    word = ctypes.create_string_buffer(8)
    vector = (ctypes.c_void_p * 2)(ctypes.addressof(word), 8)
    try:
        return attempt_each({
            "init": (call, n["ptrace"], 0x4206, 1, 0, 0),
            "sibling": (call, n["ptrace"], 0x4206, sibling, 0, 0),
            "attach": (call, n["ptrace"], 16, sibling, 0, 0),
            "self": (call, n["ptrace"], 0, 0, 0, 0),
            "read": (call, n["process_vm_readv"], sibling, vector, 1, vector, 1, 0),
            "write": (call, n["process_vm_writev"], sibling, vector, 1, vector, 1, 0),
            "getfd": (_take_descriptor, n["pidfd_getfd"], sibling),
        })  # fmt: skip
    finally:
        os.kill(sibling, signal.SIGKILL)
        os.waitpid(sibling, 0)


def _take_descriptor(number, process):
    call(number, os.pidfd_open(process), 0, 0)


def other_abi():
    """What became of a 32-bit system call from a 64-bit program, which a filter by number alone would mistake."""
    if os.uname().machine != "x86_64":
        return {"answer": "none here"}
    return attempt_each({"answer": (_interrupt,), "x32": (call, 0x40000000 + 39)})


def _interrupt():
    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(b"\x53\xb8\x14\x00\x00\x00\xcd\x80\x5b\xc3")  # getpid by int 0x80
    address = ctypes.addressof(ctypes.c_char.from_buffer(code))
    if ctypes.CFUNCTYPE(ctypes.c_int)(address)() < 0:
        raise OSError(1, "")


def runtimes_calls():
    """What runtimes try first and do without when it is not there: ENOSYS is the word that they understand."""
    return {"clone3": attempt_apart(call, numbers()["clone3"], None, 0)}


def set_time():
    """What became of setting the wall clock, to the time that it is."""
    return {"clock_settime": attempt(time.clock_settime, time.CLOCK_REALTIME, time.time())}


def _time_of_now(unit):
    seconds, rest = divmod(time.time_ns(), 10**9)
    return (ctypes.c_long * 2)(seconds, rest // unit)


def _enter_namespace(number):
    call(number, os.open("/proc/1/ns/net", os.O_RDONLY), 0)


def _attributes():
    """A BPF array map of one element."""
    return ctypes.create_string_buffer(b"".join(v.to_bytes(4, "little") for v in (2, 4, 4, 1)), 72)


def _perf():
    """A software event, counted for this process alone."""
    return ctypes.create_string_buffer(
        (1).to_bytes(4, "little") + (112).to_bytes(4, "little") + b"\0" * 104, 112
    )


def _clock_change():
    """A `struct timex` that moves the clock by nothing, which takes the right to move it."""
    return ctypes.create_string_buffer((1).to_bytes(8, "little"), 208)


def _handle():
    return ctypes.create_string_buffer((128).to_bytes(4, "little"), 256)
