#!/usr/bin/env bash
# Installs what the project needs into .venv. Usage: scripts/install.sh [--tests]
#   --tests   also what only the tests need of the system: Chromium and fonts (root on Debian or Ubuntu)
set -euo pipefail
cd "$(dirname "$0")/.."

say() { echo "install: $*"; }

may_install() { [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; }
install_packages() {
  apt-get -qq -o DPkg::Lock::Timeout=300 update >/dev/null
  DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=300 \
    install --no-install-recommends "$@" >/dev/null
}

# Prints the package's name where the distribution has it.
may_find() { may_install && apt-get -qq update >/dev/null 2>&1 && apt-cache show "$1" >/dev/null 2>&1 && echo "$1"; }

find_python() {
  local candidate
  for candidate in python3 python3.13 python3.12 python3.11; do
    if command -v "$candidate" >/dev/null &&
      "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
}

python=$(find_python)
if [ -z "$python" ] && may_install; then
  say "installing python3-venv"
  install_packages python3 python3-venv
  python=$(find_python)
fi
if [ -z "$python" ]; then
  echo "Python 3.11 or later with its venv module is missing: install python3 and python3-venv, then try again." >&2
  exit 1
fi

if [ ! -x .venv/bin/python ]; then
  say "making .venv with $("$python" --version)"
  "$python" -m venv .venv
fi
if [ -x .venv/bin/uv ]; then
  uv=.venv/bin/uv
elif command -v uv >/dev/null && uv --version >/dev/null 2>&1; then
  uv=uv
else
  say "fetching uv"
  .venv/bin/python -m pip install --quiet uv
  uv=.venv/bin/uv
fi

# `sync` would take a uv that pip put there away again, and has nothing to do when the lock has not changed.
stamp=.venv/.installed
wanted=$(cat uv.lock pyproject.toml | .venv/bin/python -c 'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())')
if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
  say "installing the packages of uv.lock"
  # Compiled once: the store is a dozen processes, and the tests start hundreds.
  "$uv" sync --frozen --inexact --quiet --compile-bytecode --python .venv/bin/python
  echo "$wanted" >"$stamp"
fi

if [ "${1:-}" = --tests ]; then
  missing=()
  if ! command -v chromium-headless-shell >/dev/null && ! command -v chromium >/dev/null; then
    missing+=("$(may_find chromium-headless-shell || echo chromium)" fonts-dejavu-core fonts-liberation)
  fi
  # Two sandbox hosts on one machine are two network namespaces.
  if [ "$(uname)" = Linux ]; then command -v ip >/dev/null || missing+=(iproute2); fi
  # What drives the browser is a Node of its own that needs it.
  if command -v ldconfig >/dev/null && ! ldconfig -p | grep -q libatomic.so.1; then missing+=(libatomic1); fi
  if [ ${#missing[@]} -gt 0 ] && may_install; then
    say "installing ${missing[*]}"
    install_packages "${missing[@]}"
  elif [ ${#missing[@]} -gt 0 ]; then
    say "the tests in a browser and of several hosts need: ${missing[*]}" >&2
  fi
fi
say "done"
