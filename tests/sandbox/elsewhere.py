"""A storage that is no directory of this host, as an object store is none."""

from __future__ import annotations

from typing import Any

from django.core.files.storage import InMemoryStorage, Storage


class Elsewhere(Storage):
    """Keeps files where no path leads."""

    def __init__(self) -> None:
        self._kept = InMemoryStorage()

    def _open(self, name: str, mode: str = "rb") -> Any:
        return self._kept.open(name, mode)

    def _save(self, name: str, content: Any) -> str:
        return self._kept.save(name, content)

    def delete(self, name: str) -> None:
        self._kept.delete(name)

    def exists(self, name: str) -> bool:
        return self._kept.exists(name)

    def listdir(self, path: str) -> Any:
        return self._kept.listdir(path)

    def size(self, name: str) -> int:
        return self._kept.size(name)

    def get_modified_time(self, name: str) -> Any:
        return self._kept.get_modified_time(name)
