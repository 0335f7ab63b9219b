"""A driver that drops one option of its hardening, to see that the suite notices.

Each leak is a change of the arguments that `containers.create` gets; what it undoes is named by the check that has
to turn to broken.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

from django.conf import settings
from docker.errors import NotFound
from docker.types import Mount, Ulimit
from requests.exceptions import RequestException

from sandbox.driver import Launch, Started
from sandbox.drivers import docker as docker_driver
from sandbox.drivers.docker import DockerDriver
from sandbox.drivers.hardening import container_options
from sandbox.places import SANDBOX_UID
from sandbox.spec import MIB

Options = dict[str, Any]
Leak = Callable[[Options], None]


class LeakyDriver(DockerDriver):
    """The docker driver with one leak in it."""

    # Whether it asks before it kills.
    is_polite = False

    def __init__(self, leak: Leak) -> None:
        super().__init__()
        self._leak = leak

    def stop(self, handle: str) -> None:
        """As the sound one, or after asking nicely."""
        if self.is_polite:
            with contextlib.suppress(NotFound, RequestException):
                self._client.api.kill(handle, signal="SIGTERM")
                self._client.api.wait(handle, timeout=6)
        super().stop(handle)

    def start(self, launch: Launch) -> Started:
        """As the sound one, but with the leak."""

        def leaking(*given: Any, **named: Any) -> Options:
            options = container_options(*given, **named)
            self._leak(options)
            return options

        with mock.patch.object(docker_driver, "container_options", leaking):
            return super().start(launch)


def _security(options: Options, *, without: str) -> None:
    options["security_opt"] = [o for o in options["security_opt"] if not o.startswith(without)]


def _unconfined(options: Options) -> None:
    _security(options, without="seccomp")
    options["security_opt"].append("seccomp=unconfined")


def _default_profile(options: Options) -> None:
    _security(options, without="seccomp")


def _as_user(options: Options, user: int) -> None:
    owner = options["user"].split(":")[0]
    options["user"] = f"{user}:{user}"
    options["tmpfs"] = {
        place: how.replace(f"uid={owner},gid={owner}", f"uid={user},gid={user}")
        for place, how in options["tmpfs"].items()
    }


def _as_root(options: Options) -> None:
    _as_user(options, 0)


def _one_user_for_all(options: Options) -> None:
    _as_user(options, SANDBOX_UID)


def _with_capabilities(options: Options) -> None:
    _as_root(options)
    options["cap_drop"] = []


def _more_rights(options: Options) -> None:
    _security(options, without="no-new-privileges")
    options["cap_drop"] = []


def _set(name: str, value: Any) -> Leak:
    return lambda options: options.__setitem__(name, value)


def _with_mount(target: str, source: str) -> Leak:
    return lambda options: options["mounts"].append(Mount(target=target, source=source, type="bind"))


def _large_tmp(options: Options) -> None:
    options["tmpfs"]["/tmp"] = "rw,mode=1777,size=64m"


def _without_inodes(options: Options) -> None:
    options["tmpfs"] = {
        place: how.replace("nr_inodes=", "nr_inodes=10") for place, how in options["tmpfs"].items()
    }


def _writable_gateway(options: Options) -> None:
    for mount in options["mounts"]:
        if mount["Target"] == "/run/agentstore/gateway":
            mount["ReadOnly"] = False
    _as_root(options)


def _writable_kit(options: Options) -> None:
    # Of a copy: what the attack may do to it, it does.
    for mount in options["mounts"]:
        if mount["Target"] == "/run/agentstore/bin":
            mount["Source"] = str(shutil.copytree(mount["Source"], Path(settings.RUN_DIR) / "kit"))
            mount["ReadOnly"] = False
    _as_root(options)


def _limits(**limits: int) -> Leak:
    def leak(options: Options) -> None:
        kept = [u for u in options["ulimits"] if u.name not in limits]
        options["ulimits"] = [*kept, *(Ulimit(name=n, soft=v, hard=v) for n, v in limits.items())]

    return leak


def _more_processes(options: Options) -> None:
    options["pids_limit"] = 3000
    _limits(nproc=3000)(options)


def _more_memory(options: Options) -> None:
    options["mem_limit"] = options["memswap_limit"] = 1536 * MIB


def _writable_root(options: Options) -> None:
    _as_root(options)
    options["read_only"] = False


def _almost_the_host(options: Options) -> None:
    """All of a privileged container that a host without some capabilities can give."""
    _unconfined(options)
    _writable_root(options)
    options["cap_drop"] = []
    options["cap_add"] = ["SYS_ADMIN", "NET_ADMIN", "NET_RAW", "SYS_TIME", "MKNOD", "SYS_CHROOT", "SYSLOG"]
    options["devices"] = ["/dev/kmsg:/dev/kmsg:rwm"]


def _hosts_files(options: Options) -> None:
    place = str(next(Path(settings.RUN_DIR).glob("*/secret")).parent)
    _with_mount(place, place)(options)


_on_the_hosts_network = _set("network_mode", "host")

# The check that has to turn to broken: the leak that it has to see.
LEAKS: dict[str, Leak] = {
    "no_root": _as_root,
    "no_capabilities": _with_capabilities,
    "no_new_privileges": lambda options: _security(options, without="no-new-privileges"),
    "no_other_identity": _with_capabilities,
    "root_read_only": _writable_root,
    "no_foreign_mounts": _with_mount("/host", "/etc"),
    "no_devices": _almost_the_host,
    "no_engine_socket": _with_mount("/run/docker.sock", "/run/docker.sock"),
    "no_dangerous_calls": _unconfined,
    "filtered_before_the_kernel": _unconfined,
    "no_tracing": _default_profile,
    "no_other_abi": _default_profile,
    "no_host_wide_calls": _default_profile,
    "runtimes_fall_back": _unconfined,
    "no_setting_of_clocks": _almost_the_host,
    "loopback_only": _on_the_hosts_network,
    "no_network": _on_the_hosts_network,
    "no_names": _on_the_hosts_network,
    "no_foreign_sockets": _default_profile,
    "no_spoofing": _almost_the_host,
    "no_unix_sockets_of_the_host": _on_the_hosts_network,
    "no_secrets_of_the_host": _hosts_files,
    "no_processes_of_the_host": _set("pid_mode", "host"),
    "no_overwriting_of_programs": _writable_kit,
    "gateway_directory_is_sealed": _writable_gateway,
    "nowhere_else_to_write": _writable_root,
    "contains_fork_bomb": _more_processes,
    "contains_threads": _more_processes,
    "contains_open_files": _limits(nofile=4096),
    "spares_neighbours_their_share": _one_user_for_all,
    "gains_nothing_from_setuid": _more_rights,
    "leaves_no_core_dumps": _limits(core=0),
    "contains_memory_hog": _more_memory,
    "contains_slow_memory_hog": _more_memory,
    "contains_memory_in_children": _more_memory,
    "contains_memory_in_tmp": _more_memory,
    "contains_memory_without_a_name": _more_memory,
    "contains_shared_segments": _more_memory,
    "contains_disk_fill": _large_tmp,
    "contains_many_files": _without_inodes,
}  # fmt: skip

# Those that no option of the driver's undoes, and where they are seen to fail.
NOT_LEAKED = {
    "hides_neighbours": "two of them on the host's network want the same ports; loopback_only notices that leak",
    "gateway_reachable": "fails as soon as a probe does not start",
    "token_bound_to_sandbox": "tests/sandbox/test_gateway_server.py",
    "mcp_configuration": "process 1 writes it; fails with another init",
    "no_setuid_files": "images are inspected: tests/sandbox/test_archives.py",
    "keeps_environment_from_relays": "failed before process 1 gave the relays an empty environment",
    "mounts_inside_the_image": "runc's and gVisor's own",
    "bounds_slow_answers": "rests on the deadline alone, without which it would not end",
    "bounds_endless_answers": "test_leaks.py, without the client's bounds",
    "bounds_headers": "test_leaks.py, without the client's bounds",
    "refuses_broken_answers": "h11's strictness: no option turns it off",
    "refuses_redirects_and_codings": "neither is implemented",
    "contains_cpu_spin": "needs an idle machine to be seen: a busy one gives no more than the quota",
    "contains_log_flood": "process 1 keeps the ring; fails with another init",
    "refuses_swapped_socket": "tests/sandbox/test_doors.py",
    "refuses_swapped_log": "tests/sandbox/test_doors.py",
    "contains_memory_in_shm": "test_leaks.py by contains_disk_fill: the same tmpfs",
    "contains_memory_of_the_kernel": "its descriptors are bounded before its memory is",
    "contains_page_cache": "the base image is smaller than the limit",
    "ends_recursive_fork_bomb": "test_leaks.py by contains_fork_bomb and the polite stop",
    "kills_what_ignores_signals": "test_leaks.py, with a polite stop",
    "kills_only_itself": "without a process namespace it would end the host's processes",
    "survives_huge_environment": "the kernel's own limit",
}
