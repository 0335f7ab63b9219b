"""Several processes read the index while it is written and built anew."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from marketplace.catalog.search.fulltext import FullTextIndex
from tests.catalog.test_search_backend import document

REPOSITORY = Path(__file__).resolve().parents[2]
PRODUCTS, WRITINGS = 40, 30


def writing(number):
    return [replace(document(one), brand=str(number)) for one in range(1, PRODUCTS + 1)]


def test_readers_in_other_processes_see_whole_states_and_never_an_error(tmp_path):
    index = FullTextIndex(tmp_path)
    index.apply(upserts=writing(0), deletes=())
    command = [sys.executable, "-m", "tests.catalog.index_reader", tmp_path, str(PRODUCTS), str(WRITINGS)]
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "agentstore.settings"}
    readers = [
        subprocess.Popen(
            command,
            cwd=REPOSITORY,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(2)
    ]
    try:
        for number in range(1, WRITINGS + 1):
            if number % 3:
                index.apply(upserts=writing(number), deletes=())
            else:
                with index.new_generation() as generation:
                    generation.add(writing(number))
        answers = [reader.communicate(timeout=90) for reader in readers]
    finally:
        for reader in readers:
            reader.kill()
    assert [reader.returncode for reader in readers] == [0, 0], answers
    assert all(int(seen) >= 1 for seen, _ in answers)
    assert len([path for path in tmp_path.iterdir() if path.is_dir()]) == 1
