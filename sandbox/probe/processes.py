"""Uses up processes, threads, CPU and descriptors. Each returns how far it got."""

import ctypes
import os
import resource
import signal
import socket
import threading
import time

from trying import attempt, attempt_apart, libc, name_of


def fork_bomb():
    """How many processes there can be before the next is refused."""
    children = []
    try:
        while len(children) < 3000:
            child = os.fork()
            if not child:
                time.sleep(60)
                os._exit(0)
            children.append(child)
    except OSError:
        pass
    for child in children:
        os.kill(child, signal.SIGKILL)
    for child in children:
        os.waitpid(child, 0)
    return {"processes": len(children)}


def recursive_fork_bomb(path="/tmp/bomb"):
    """Every process makes two, for ever, in sessions of their own; how many there were after a second."""
    counter = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    if not os.fork():
        os.setsid()
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        while True:
            try:
                if not os.fork():
                    os.write(counter, b".")
            except OSError:
                time.sleep(0.01)
    time.sleep(1)
    return {"processes": os.fstat(counter).st_size}


def threads():
    """How many threads there can be."""
    started, stop = 0, threading.Event()
    threading.stack_size(65536)
    try:
        while started < 3000:
            threading.Thread(target=stop.wait, args=(30,), daemon=True).start()
            started += 1
    except RuntimeError:
        pass
    finally:
        stop.set()
        threading.stack_size(0)
    return {"threads": started}


def spin(seconds, processes=4, with_threads=False):
    """Keep as many processes (or threads, in one process each) busy for that many seconds of wall time."""
    children = []
    for _ in range(processes):
        child = os.fork()
        if not child:
            until = time.monotonic() + seconds
            if with_threads:
                for _ in range(3):
                    threading.Thread(target=_burn, args=(until,), daemon=True).start()
            _burn(until)
            os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    return {}


def _burn(until):
    while time.monotonic() < until:
        pass


def descriptors():
    """How many of each kind of descriptor there can be at once in one process, up to 20 000."""
    makers = {
        "files": lambda: os.open("/dev/null", os.O_RDONLY),
        "sockets": lambda: socket.socket(socket.AF_UNIX).detach(),
        "epolls": _epoll,
        "events": lambda: os.eventfd(0),
        "inotifies": _inotify,
    }
    return {name: _count(maker) for name, maker in makers.items()}


def _count(maker):
    made = []
    try:
        while len(made) < 20_000:
            made.append(maker())
    except OSError:
        pass
    for descriptor in made:
        os.close(descriptor)
    return len(made)


def _epoll():
    return _checked(libc.epoll_create1(0))


def _inotify():
    return _checked(libc.inotify_init1(0))


def _checked(answer):
    if answer < 0:
        raise OSError(24, "")
    return answer


def hold_inotifies():
    """Hold as many inotify instances as the kernel gives one user, in many processes."""
    told = 0
    for _ in range(4):
        answer = os.pipe()
        child = os.fork()
        if not child:
            count = 0
            while count < 250 and libc.inotify_init1(0) >= 0:
                count += 1
            os.write(answer[1], str(count).encode())
            time.sleep(30)
            os._exit(0)
        told += int(os.read(answer[0], 16))
    return {"held": told}


def hold_signals():
    """Queue as many signals as the kernel keeps for one user, to a process that takes none."""
    answer = os.pipe()
    if not os.fork():
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGRTMIN})
        held = 0
        while held < 200_000 and libc.sigqueue(os.getpid(), signal.SIGRTMIN, 0) == 0:
            held += 1
        os.write(answer[1], str(held).encode())
        time.sleep(30)
        os._exit(0)
    return {"held": int(os.read(answer[0], 16))}


def modest_needs():
    """What any program may want once: an inotify instance, a pipe, a queued signal, a process, a passed file."""
    return {
        "inotify": attempt(lambda: os.close(_inotify())),
        "pipe": attempt(lambda: [os.close(end) for end in os.pipe()]),
        "signal": attempt_apart(_queue_one),
        "process": attempt(lambda: os.waitpid(os.fork() or os._exit(0), 0)),
        "descriptor": attempt(_pass_descriptor),
    }


def _queue_one():
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGRTMIN + 1})
    if libc.sigqueue(os.getpid(), signal.SIGRTMIN + 1, 0) != 0:
        raise OSError(11, "")


def _pass_descriptor():
    one, other = socket.socketpair()
    socket.send_fds(one, [b"x"], [1])
    for end in (one, other):
        end.close()


def ignore_signals():
    """Wish to live for ever: every process of ours ignores what can be ignored."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        libc.signal(number, ctypes.c_void_p(1))  # SIG_IGN; Python's own call is for the main thread alone
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        if not os.fork():
            os.setsid()
            signal.signal(number, signal.SIG_IGN)
            time.sleep(600)
            os._exit(0)
    return {"children": 4}


def kill_everything():
    """Kill every process that can be seen, ourselves at last."""
    try:
        os.kill(-1, signal.SIGKILL)
        os.kill(1, signal.SIGKILL)
    finally:
        os.kill(os.getpid(), signal.SIGKILL)


def crash(path="/tmp"):
    """Whether a crashed child left a core dump, and which limits say so."""
    child = os.fork()
    if not child:
        os.chdir(path)
        os.kill(os.getpid(), signal.SIGSEGV)
    status = os.waitpid(child, 0)[1]
    cores = [name for name in os.listdir(path) if name.startswith("core")]
    return {
        "dumped": os.WCOREDUMP(status),
        "cores": cores,
        "limit": resource.getrlimit(resource.RLIMIT_CORE),
        "lowered": attempt(
            resource.setrlimit, resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1])
        ),
    }


def huge_environment():
    """What became of starting a program with more environment than a kernel takes."""
    child = os.fork()
    if not child:
        try:
            os.execve("/proc/self/exe", ["x", "-c", ""], {f"V{n}": "x" * 100_000 for n in range(100)})
        except OSError as refused:
            os._exit(refused.errno)
    return {"answer": name_of(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))}
