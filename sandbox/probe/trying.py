"""What all attacks share: try something in a process of its own, and name what became of it."""

import ctypes
import errno
import os
import resource
import signal

libc = ctypes.CDLL(None, use_errno=True)


def name_of(number):
    """EPERM for 1."""
    return errno.errorcode.get(number, str(number))


def attempt(function, *arguments):
    """`allowed`, or the name of the error."""
    try:
        function(*arguments)
    except OSError as refused:
        return name_of(refused.errno)
    except ValueError:
        return "EPERM"  # Python's word for it where limits are concerned
    return "allowed"


def attempt_apart(function, *arguments):
    """`attempt` in a child, so that what it changes or breaks is the child's: also the name of the signal that
    ended it.
    """
    return attempt_each({"it": (function, *arguments)})["it"]


def attempt_each(tries):
    """`attempt_apart` for each `(function, *arguments)`, by name.

    A child that was refused has changed nothing, so the next is tried in it: in gVisor a fork costs more than all the
    rest. After anything else there is a new child.
    """
    told = {}
    while left := [name for name in tries if name not in told]:
        codes, status = _codes([tries[name] for name in left])
        told.update(
            (name, "allowed" if code == 0 else name_of(code)) for name, code in zip(left, codes, strict=False)
        )
        if len(codes) < len(left) and os.WIFSIGNALED(status):
            told[left[len(codes)]] = signal.Signals(os.WTERMSIG(status)).name
        elif not codes:
            told[left[0]] = name_of(255)
    return told


def _codes(tries):
    """The error numbers of the tries up to the first that was not refused, and how the child ended."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.close(reading)
            # One that hangs ends by itself.
            resource.setrlimit(resource.RLIMIT_CPU, (5, 5))
            for function, *arguments in tries:
                code = 255
                try:
                    function(*arguments)
                    code = 0
                except OSError as refused:
                    code = refused.errno or 255
                except ValueError:
                    code = errno.EPERM
                os.write(writing, bytes([min(code, 255)]))
                if code == 0:
                    break
        finally:
            os._exit(0)
    os.close(writing)
    # Each is one byte. What a try left behind may keep the pipe open: the child's end counts.
    status = os.waitpid(child, 0)[1]
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        os.set_blocking(pipe.fileno(), False)
        return pipe.read(len(tries)) or b"", status


def call(number, *arguments):
    """One system call by its number. Raises OSError."""
    ctypes.set_errno(0)
    answer = libc.syscall(ctypes.c_long(number), *arguments)
    if answer < 0:
        raise OSError(ctypes.get_errno(), "")
    return answer
