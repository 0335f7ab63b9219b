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
    child = os.fork()
    if not child:
        # One that hangs ends by itself.
        resource.setrlimit(resource.RLIMIT_CPU, (5, 5))
        code = 255
        try:
            function(*arguments)
            code = 0
        except OSError as refused:
            code = refused.errno or 255
        except ValueError:
            code = errno.EPERM
        finally:
            os._exit(code)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        return signal.Signals(os.WTERMSIG(status)).name
    code = os.WEXITSTATUS(status)
    return "allowed" if code == 0 else name_of(code)


def call(number, *arguments):
    """One system call by its number. Raises OSError."""
    ctypes.set_errno(0)
    answer = libc.syscall(ctypes.c_long(number), *arguments)
    if answer < 0:
        raise OSError(ctypes.get_errno(), "")
    return answer
