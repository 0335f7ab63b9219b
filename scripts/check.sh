#!/usr/bin/env bash
# Everything that can be said about the code without running the store. Needs no service. Usage: scripts/check.sh
# Runs all the checks, side by side, even when one fails, and says at the end which did.
set -uo pipefail
cd "$(dirname "$0")/.."

bin=$PWD/.venv/bin
export DJANGO_SETTINGS_MODULE=agentstore.settings
failures=$(mktemp -d)
trap 'rm -rf "$failures"' EXIT

check() {
  local name=$1 started=$SECONDS output
  shift
  if output=$("$@" 2>&1); then
    printf 'check: %-12s ok   %3d s\n' "$name" $((SECONDS - started))
  else
    printf 'check: %-12s FAILED\n%s\n' "$name" "$output"
    touch "$failures/$name"
  fi
}

check types "$bin/mypy" . &
check style "$bin/ruff" check .
check format "$bin/ruff" format --check .
check arrows "$bin/lint-imports" --no-cache
check django "$bin/python" manage.py check
# Migrations against models, sizes, names, templates, docs.
check house "$bin/python" -m pytest -p no:cacheprovider tests/test_architecture.py tests/test_docs.py tests/test_templates.py
wait

failed=$(ls "$failures")
if [ -n "$failed" ]; then
  echo "check: failed: ${failed//$'\n'/ }" >&2
  exit 1
fi
echo "check: all is well"
