"""Every failure has an owner and words; what a sandbox ran into is counted by the host, not believed."""

from __future__ import annotations

import ast
import importlib
import pkgutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sandbox
from agentstore.kit.errors import StoreError
from agentstore.kit.ids import new_id
from sandbox.driver import DriverError, NoDriver, RunState
from sandbox.examining import Examination, meaning_of
from sandbox.failures import EXPLAINED, AgentFailure, Fault, StartFailed, explain
from sandbox.strain import Strain, limits_met

ROOM = Path(sandbox.__file__).parent
_NAMES = {"code", "failure_code"}


def raised() -> dict[str, set[str]]:
    """Every code that stands in the room's sources beside a fault, and the faults that it is given there."""
    found = dict[str, set[str]]()
    for path in ROOM.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            keywords = {word.arg: word.value for word in node.keywords}
            code = next((keywords[name] for name in _NAMES if name in keywords), None)
            named = keywords.get("fault")
            if getattr(node.func, "id", "") == "agent_failed":
                code, fault = node.args[0], "AGENT"
            elif isinstance(named, ast.Attribute):
                fault = named.attr
            else:
                continue
            if isinstance(code, ast.Constant):
                found.setdefault(str(code.value), set()).add(fault)
    return found


def test_a_code_has_one_fault_wherever_it_is_raised():
    seen = raised()
    assert {"turn_timeout", "start_lost", "unsafe_socket", "not_listening"} <= set(seen), (
        "the search finds them"
    )
    assert {code: faults for code, faults in seen.items() if len(faults) > 1} == {}
    assert set(seen) <= set(EXPLAINED), "explain them in sandbox/failures.py"
    assert {code: explain(code).fault.name for code in seen} == {
        code: fault for code, (fault,) in seen.items()
    }


def below(kind: type[StoreError]) -> set[type[StoreError]]:
    return {kind}.union(*(below(other) for other in kind.__subclasses__()))


def test_what_a_driver_may_raise_at_a_start_is_explained_as_ours():
    for module in pkgutil.walk_packages(sandbox.__path__, "sandbox."):
        if ".migrations" not in module.name and ".probe" not in module.name:
            importlib.import_module(module.name)
    codes = {kind.code for kind in (*below(DriverError), *below(NoDriver))}
    assert {"engine_error", "no_driver", "image_missing", "image_damaged"} <= codes
    assert {
        code for code in codes if code not in EXPLAINED or EXPLAINED[code].fault != Fault.PLATFORM
    } == set()


@pytest.mark.parametrize("code", sorted(EXPLAINED))
def test_every_code_says_what_happened_and_what_to_do(code):
    told = explain(code)
    assert told.words.endswith(".")
    assert told.hint.endswith(".")
    assert told.words != told.hint
    assert ("ours to repair" in told.hint) == (told.fault == Fault.PLATFORM)
    kind = StartFailed if code in ("exited", "start_timeout") else AgentFailure
    assert kind("It failed.", fault=told.fault, code=code).hint == told.hint


@given(st.text())
def test_a_code_that_nobody_knows_is_not_blamed_on_the_agent(code):
    if code not in EXPLAINED:
        assert explain(code).fault == Fault.PLATFORM


@pytest.mark.parametrize(
    ("state", "code", "fault"),
    [
        (RunState(exists=False), "gone", Fault.PLATFORM),
        (RunState(exists=True, exit_code=137, out_of_memory=True), "out_of_memory", Fault.AGENT),
        (RunState(exists=True, exit_code=1), "exited", Fault.AGENT),
    ],
)
def test_what_an_end_means(state, code, fault):
    assert meaning_of(new_id(), state)[0] == code
    assert explain(code).fault == fault


counts = st.builds(
    Strain,
    memory_kills=st.none() | st.integers(0, 10**6),
    refused_processes=st.none() | st.integers(0, 10**6),
    throttled=st.none() | st.floats(0, 1),
    open_files=st.none() | st.integers(0, 65536),
    disk_full=st.none() | st.booleans(),
)


@given(counts, st.text())
def test_an_examination_travels(strain, log):
    found = Examination("exited", log, strain)
    assert Examination.from_json(found.as_json()) == found


@given(counts)
def test_each_limit_is_named_once_and_only_when_it_was_met(strain):
    told = limits_met(strain, "", nofile=100)
    names = [line.partition(":")[0] for line in told]
    assert len(names) == len(set(names))
    assert ("Memory" in names) == bool(strain.memory_kills)
    assert ("Processes" in names) == bool(strain.refused_processes)
    assert ("Open files" in names) == (strain.open_files is not None and strain.open_files >= 95)
    assert ("Disk" in names) == bool(strain.disk_full)
    assert ("Processor" in names) == (strain.throttled is not None and strain.throttled >= 0.05)


def test_what_the_log_says_is_named_as_its_word():
    told = limits_met(Strain(), "OSError: [Errno 24] Too many open files: 'x'")
    assert told == ["Open files: its log says “Too many open files”."]
    counted = limits_met(
        Strain(refused_processes=3), "BlockingIOError: [Errno 11] Resource temporarily unavailable"
    )
    assert counted == ["Processes: a new one was refused 3 times."]
