"""The per-sandbox directory belongs to a stranger: what lies in it is not trusted."""

from __future__ import annotations

import os
import socket

import pytest

from agentstore.kit.ids import new_id
from sandbox import doors
from sandbox.failures import AgentFailure
from sandbox.places import door_dir, socket_path
from tests.sandbox.servers import listening


def test_a_socket_that_is_listened_on_answers(run_dir):
    sandbox_id = new_id()
    assert not doors.local_door(sandbox_id).is_answering()
    with listening(socket_path(sandbox_id)):
        assert doors.local_door(sandbox_id).is_answering()
    assert not doors.local_door(sandbox_id).is_answering()


def test_a_link_to_the_hosts_own_socket_is_not_followed(run_dir):
    precious = run_dir / "precious.sock"
    sandbox_id = new_id()
    door_dir(sandbox_id).mkdir(parents=True)
    with listening(precious):
        socket_path(sandbox_id).symlink_to(precious)
        assert not doors.local_door(sandbox_id).is_answering()
        with pytest.raises(AgentFailure), doors.open_socket(socket_path(sandbox_id)):
            pytest.fail("the link was followed")


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user's own link leads to the keeper's mount")
def test_neither_is_a_link_in_the_directorys_place(run_dir):
    sandbox_id, other = new_id(), run_dir / "other"
    with listening(other / "agent.sock"):
        door_dir(sandbox_id).parent.mkdir(parents=True)
        door_dir(sandbox_id).symlink_to(other)
        assert not doors.local_door(sandbox_id).is_answering()


def test_what_is_no_socket_is_unsafe(run_dir):
    sandbox_id = new_id()
    door_dir(sandbox_id).mkdir(parents=True)
    socket_path(sandbox_id).write_text("gotcha")
    with pytest.raises(AgentFailure) as refused, doors.open_socket(socket_path(sandbox_id)):
        pytest.fail("a plain file was taken for a socket")
    assert refused.value.code == "unsafe_socket"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_strangers_socket_is_unsafe(run_dir):
    sandbox_id = new_id()
    with listening(socket_path(sandbox_id)):
        os.chown(socket_path(sandbox_id), 12345, 12345)
        assert not doors.local_door(sandbox_id).is_answering()


def test_a_swap_between_check_and_use_changes_nothing(run_dir):
    """The checked inode is what is connected to, whatever the name says by then."""
    sandbox_id, precious = new_id(), run_dir / "precious.sock"
    path = socket_path(sandbox_id)
    with listening(path), listening(precious), doors.open_socket(path) as name:
        path.rename(door_dir(sandbox_id) / "moved")
        path.symlink_to(precious)
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(name)
            assert connection.getpeername() == str(path)


def test_the_log_is_read_without_links_and_without_control_characters(run_dir):
    sandbox_id = new_id()
    directory = door_dir(sandbox_id)
    directory.mkdir(parents=True)
    secret = run_dir / "secret"
    secret.write_text("the store's own")
    (directory / "log.old").symlink_to(secret)
    (directory / "log").write_bytes(b"\x1b[2Jhello\n\xff" + b"x" * 100)
    assert "own" not in doors.read_log(sandbox_id)
    assert "\x1b" not in doors.read_log(sandbox_id)
    assert doors.read_log(sandbox_id, limit=10) == "x" * 10
    (directory / "log").unlink()
    os.mkfifo(directory / "log")
    assert doors.read_log(sandbox_id) == ""


def touch_many(directory):
    for number in range(100):
        (directory / str(number)).touch()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_the_directory_is_a_small_filesystem_of_its_own(run_dir):
    sandbox_id = new_id()
    directory = doors.prepare(sandbox_id)
    try:
        assert os.path.ismount(directory)
        with pytest.raises(OSError, match="No space"):
            (directory / "filler").write_bytes(b"x" * 2 * 1024 * 1024)
        with pytest.raises(OSError, match="No space"):
            touch_many(directory)
    finally:
        doors.remove(sandbox_id)
    assert not directory.exists()
    doors.remove(sandbox_id)
