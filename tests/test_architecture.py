"""The house rules of docs/architecture.md and CONTRIBUTING.md, where a machine can see them broken."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState

from agentstore.celery import BEAT
from agentstore.celery import app as celery_app

REPOSITORY = Path(__file__).resolve().parent.parent
ROOMS = ("agentstore", "marketplace", "sandbox", "billing")
LONGEST = 400
GENERATED = ("static/vendor/", "static/dist/", "/migrations/")
DOORS = {"views", "api", "admin", "urls", "management"}


def tracked(*endings: str) -> list[str]:
    """The repository's files with such an ending, those not yet committed included."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    return sorted({name for name in listed if name.endswith(endings) and (REPOSITORY / name).is_file()})


def our_apps() -> list[str]:
    return [config.name for config in apps.get_app_configs() if config.name.split(".")[0] in ROOMS]


def test_the_arrows_between_the_rooms_point_one_way():
    run = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout[-4000:]


@pytest.mark.parametrize("app_name", our_apps())
def test_inside_an_app_services_and_models_know_no_door(app_name):
    """`views | api | tasks | admin → services → models`: what is written once may be called from any door."""
    root = REPOSITORY / app_name.replace(".", "/")
    broken = []
    for path in root.rglob("*.py"):
        parts = path.relative_to(root).with_suffix("").parts
        is_door = DOORS & set(parts) or parts[-1].endswith("urls") or parts[0] == "tasks"
        if is_door or parts[0] == "migrations" or app_name == "agentstore":
            continue
        forbidden = DOORS if parts[0] != "models" else DOORS | {"tasks"}
        for module in imported(path):
            inner = module.removeprefix(f"{app_name}.").split(".")
            if module.startswith(f"{app_name}.") and forbidden & set(inner):
                broken.append(f"{path.relative_to(REPOSITORY)} imports {module}")
    assert not broken


def imported(path: Path) -> set[str]:
    """The modules that a file imports, late imports included."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def test_every_file_is_read_in_one_sitting():
    long = {
        name: count
        for name in tracked(".py", ".html", ".js", ".css", ".sh", ".md")
        if not any(part in name for part in GENERATED)
        and (count := len((REPOSITORY / name).read_text().splitlines())) > LONGEST
    }
    assert not long, f"Split by meaning what is longer than {LONGEST} lines."


def test_files_are_named_by_meaning_and_hold_no_promises():
    names = [name for name in tracked(".py") if Path(name).stem in {"utils", "helpers", "misc", "common"}]
    assert not names
    promise = re.compile(r"(?:#|//|\{#|<!--)\s*(?:TODO|FIXME|XXX|HACK)\b")
    promises = [
        name
        for name in tracked(".py", ".html", ".js", ".sh")
        if promise.search((REPOSITORY / name).read_text())
    ]
    assert not [name for name in promises if not any(part in name for part in GENERATED)]


def test_models_live_in_models_modules():
    strays = [
        f"{model.__module__}.{model.__name__}"
        for model in apps.get_models(include_auto_created=False)
        if model.__module__.split(".")[0] in ROOMS and "models" not in model.__module__.split(".")
    ]
    assert not strays


def our_migrations() -> dict[tuple[str, str], object]:
    labels = {config.label for config in apps.get_app_configs() if config.name in our_apps()}
    loader = MigrationLoader(None)
    return {key: migration for key, migration in loader.disk_migrations.items() if key[0] in labels}


def test_the_migrations_make_what_the_models_say():
    loader = MigrationLoader(None)
    changes = MigrationAutodetector(loader.project_state(), ProjectState.from_apps(apps)).changes(
        loader.graph
    )
    assert {app: [str(migration) for migration in found] for app, found in changes.items()} == {}


def test_migrations_say_what_they_do_and_can_be_undone():
    assert our_migrations()
    for (label, name), migration in our_migrations().items():
        assert re.fullmatch(r"\d{4}_[a-z0-9_]{8,}", name), f"{label}: name {name} for what it does"
        assert not re.search(r"_auto_|_initial$", name), f"{label}: name {name} for what it does"
        for operation in migration.operations:  # type: ignore[attr-defined]  # disk_migrations is untyped
            assert operation.reversible, f"{label}.{name}: {operation.describe()} cannot be undone"


def test_every_task_that_is_scheduled_or_named_exists():
    celery_app.loader.import_default_modules()
    named = [name for name, _ in BEAT] + [settings.REHEARSAL_TASK, *settings.PROCESSOR_EVENT_TASKS.values()]
    assert [name for name in named if name not in celery_app.tasks] == []


def test_ignores_say_why():
    """They name what they ignore; CONTRIBUTING.md asks for the reason beside it."""
    bare = re.compile(r"#\s*(?:noqa(?!:)|type:\s*ignore(?!\[))")
    found = [
        f"{name}:{number}"
        for name in tracked(".py")
        for number, line in enumerate((REPOSITORY / name).read_text().splitlines(), 1)
        if bare.search(line) and name != "tests/test_architecture.py"
    ]
    assert not found
