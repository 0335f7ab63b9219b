"""Small agents as source text: one that serves, and those that go for process 1."""

SERVE = """
import http.server, json
asked = {}
class Agent(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
        told = asked.get(self.path)
        self.wfile.write(json.dumps(told() if told else {"status": "Healthy"}).encode())
    def log_message(self, *arguments): pass
def serve(): http.server.ThreadingHTTPServer(("0.0.0.0", 8080), Agent).serve_forever()
"""

# Tells on request what it found, so that one sandbox does for all that leave it well.
TELLING = (
    SERVE
    + """
import ctypes, os
for number in range(20):
    child = os.fork()
    if not child:
        os.fork()
        os._exit(0)
    os.waitpid(child, 0)
def zombies():
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            found += [line for line in open(f"/proc/{name}/status") if line.startswith("State:") and "Z" in line]
        except OSError:
            pass
    return found
libc = ctypes.CDLL(None)
class Piece(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]
def memory():
    mine = ctypes.create_string_buffer(8)
    local = Piece(ctypes.addressof(mine), 8)
    got = []
    for mode in (os.O_RDWR, os.O_RDONLY):
        try:
            os.pread(os.open("/proc/1/mem", mode), 1, 0x400000); got.append("mem")
        except OSError: pass
    if libc.process_vm_readv(1, ctypes.byref(local), 1, ctypes.byref(Piece(0x400000, 8)), 1, 0) > 0: got.append("readv")
    if libc.syscall(101, 0x4206, 1, 0, 0) == 0: got.append("seize")
    return got
asked.update({"/zombies": zombies, "/memory": memory, "/preload": lambda: os.environ["LD_PRELOAD"]})
serve()
"""
)

HOSTILE = (
    SERVE
    + """
import ctypes, os, resource, signal, threading, time
os.setsid()
def fails(what):
    try:
        return what()
    except (OSError, ValueError) as refused:
        return None
libc = ctypes.CDLL(None)
for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
    fails(lambda: signal.signal(number, signal.SIG_IGN))
def harass():
    while True:
        for number in (1, 2, 3, 10, 12, 14, 15, 18, 20, 21, 22, 19):
            fails(lambda: os.kill(1, number))
        fails(lambda: os.kill(0, 19) if os.getpid() != os.getpgid(0) else None)
        for name in os.listdir("/proc"):
            if name.isdigit() and int(name) not in (1, os.getpid()):
                fails(lambda: os.kill(int(name), 19))
        for descriptor in (0, 1, 2, 3, 4, 10, 11):
            def garble():
                opened = os.open(f"/proc/1/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK)
                os.write(opened, b"x" * 100); os.close(opened)
            if descriptor != 4:
                fails(garble)
        fails(lambda: os.utime("/run/agentstore/gateway/alive"))
        fails(lambda: open("/run/agentstore/gateway/alive", "w"))
        fails(lambda: os.sched_setscheduler(1, os.SCHED_IDLE, os.sched_param(0)))
        fails(lambda: os.setpriority(os.PRIO_PROCESS, 1, 19))
        for call, *arguments in ((101, 0x4206, 1, 0, 0), (101, 16, 1, 0, 0)):
            libc.syscall(call, *arguments)
        if not os.fork():
            if not os.fork():
                os._exit(0)
            os._exit(0)
        fails(lambda: os.waitpid(-1, os.WNOHANG))
        time.sleep(0.01)
threading.Thread(target=harass, daemon=True).start()
for _ in range(2):
    threading.Thread(target=lambda: [None for _ in iter(int, 1)], daemon=True).start()
serve()
"""
)

HALTING = (
    SERVE
    + """
import ctypes, fcntl, os
libc = ctypes.CDLL(None)
def call(*arguments):
    return libc.syscall(*(ctypes.c_long(value) for value in arguments))
STOP, WIDE = 19, 19 + 2**32
for number in (STOP, WIDE):
    for arguments in ((62, 1, number), (62, 0, number), (200, 1, number), (234, 1, 1, number), (129, 1, number, 0)):
        call(*arguments)
reading, writing = os.pipe()
try:
    fcntl.fcntl(reading, fcntl.F_SETOWN, 1)
    fcntl.fcntl(reading, 10, STOP)
    fcntl.fcntl(reading, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
    os.write(writing, b"x")
except OSError:
    pass
for flags in (STOP, 0x8000 | STOP):
    if call(56, flags, 0, 0, 0, 0) == 0:
        os._exit(0)
wanted = (ctypes.c_uint64 * 11)()
wanted[0], wanted[4] = 0x8000, STOP
if libc.syscall(435, wanted, 88) == 0:
    os._exit(0)
print("tried it all", flush=True)
serve()
"""
)
