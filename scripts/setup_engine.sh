#!/usr/bin/env bash
# Makes a container engine with the gVisor runtime usable here, for agents' sandboxes (docs/operations/sandbox.md).
# Usage: scripts/setup_engine.sh [start|stop|status]
#   start   install what is missing and start the daemon where no init does (root on Debian or Ubuntu only)
#   stop    end the daemon that `start` started; never one that somebody else started or another checkout still uses
# Where no engine can run, or AGENTSTORE_ENGINE=none says that none shall, gVisor alone is made usable.
# Ends with 0 when agents can run, 3 when they cannot and only you can change that (it says how), 1 when it failed.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly CANNOT=3
readonly OURS=sandbox/engine/daemon.json # the one place that says how the runtime is configured
readonly CONFIG=/etc/docker/daemon.json
readonly PID_FILE=/run/agentstore-dockerd.pid
readonly USERS=/run/agentstore-dockerd.users # a file for each checkout that uses the daemon which we started
readonly LOG=/var/log/agentstore-dockerd.log

say() { echo "engine: $*"; }

cannot() {
  say "$1" >&2
  say "The store runs without it, but no agent does: submissions wait and conversations are refused." >&2
  exit "$CANNOT"
}

# Agents run under gVisor alone, which needs neither a daemon nor, where it is installed, an administrator.
without_engine() {
  if ! runsc_is_current && [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
    refresh_lists
    install_runsc || true
  fi
  runsc_is_current || cannot "$1 And gVisor (runsc) is not installed: let an administrator install it, or run 'sudo $0'."
  say "$1 Agents run in gVisor without one."
  exit 0
}

answers() { docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }
has_gvisor() { # with all the arguments that we give it: an older daemon.json may lack one
  docker info --format '{{json .Runtimes.runsc}}' 2>/dev/null | python3 -c '
import json, sys
ours = json.load(open(sys.argv[1]))["runtimes"]["runsc"]["runtimeArgs"]
sys.exit(not set(ours) <= set((json.load(sys.stdin) or {}).get("runtimeArgs") or []))' "$OURS" 2>/dev/null
}
has_init() { [ -d /run/systemd/system ]; }
runsc_is_current() { # bookworm's own build is of 2022 and predates the systrap platform
  command -v runsc >/dev/null || return 1
  [[ "$(dpkg-query -W -f '${Version}' runsc 2>/dev/null || echo 0.0~99999999)" > "0.0~2023" ]]
}

install_packages() {
  say "installing: $*"
  # DPkg::Lock: another apt may be at work on a machine that has just booted.
  DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=300 \
    install --no-install-recommends "$@" >/dev/null
}

refresh_lists() { apt-get -qq -o DPkg::Lock::Timeout=300 update >/dev/null; }

# The release's backports at the mirror that this machine uses for the release itself.
add_backports() {
  local suite="$1-backports" mirror
  apt-get indextargets --format '$(CODENAME)' 'Created-By: Packages' | grep -qx "$suite" && return
  mirror=$(apt-get indextargets --format '$(CODENAME) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
    awk -v codename="$1" '$1 == codename && $2 == "main" { print $3; exit }')
  [ -n "$mirror" ] || return 0
  say "adding $suite from the mirror that is set up here"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" \
    >/etc/apt/sources.list.d/agentstore-backports.list
  refresh_lists
}

install_runsc() {
  local codename
  codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
  if [ "$codename" = bookworm ]; then
    add_backports bookworm
    install_packages -t bookworm-backports runsc && return
    say "no backports here, taking the release's own runsc" >&2
  fi
  install_packages runsc
}

install_missing() {
  local missing=()
  command -v dockerd >/dev/null || missing+=(docker.io)
  if [ ${#missing[@]} -gt 0 ] || ! runsc_is_current; then
    refresh_lists
  fi
  # From Debian 13 on the client is a package of its own.
  if [ ${#missing[@]} -gt 0 ] && ! apt-cache show docker.io >/dev/null 2>&1; then
    without_engine "There is no package of a container engine here."
  fi
  if ! command -v docker >/dev/null && apt-cache show docker-cli >/dev/null 2>&1; then
    missing+=(docker-cli)
  fi
  [ ${#missing[@]} -eq 0 ] || install_packages "${missing[@]}"
  runsc_is_current || install_runsc
}

# Merges our runtime into the daemon's configuration; ends with 0 when that changed something.
register_runtime() {
  python3 - "$OURS" "$CONFIG" <<'PYTHON'
import json, pathlib, sys

ours, config = map(pathlib.Path, sys.argv[1:])
wanted = json.loads(ours.read_text())
present = json.loads(config.read_text() or "{}") if config.exists() else {}
merged = {**present, "runtimes": {**present.get("runtimes", {}), **wanted["runtimes"]}}
if merged == present:
    sys.exit(1)
config.parent.mkdir(parents=True, exist_ok=True)
config.write_text(json.dumps(merged, indent=2) + "\n")
PYTHON
}

start_daemon() {
  if has_init; then
    systemctl start docker
  else
    mountpoint -q /sys/fs/cgroup || mount_cgroups
    say "starting the daemon (log: $LOG)"
    # Sandboxes have no network, so the daemon needs no bridge and leaves the firewall of this machine alone.
    setsid dockerd --bridge=none --iptables=false --ip6tables=false >>"$LOG" 2>&1 </dev/null &
    echo $! >"$PID_FILE"
  fi
  for _ in $(seq 120); do
    answers && return
    has_init || kill -0 $! 2>/dev/null || break
    sleep 0.5
  done
  rm -f "$PID_FILE"
  has_init || kill $! 2>/dev/null || true
  say "the daemon does not answer; the end of its log:" >&2
  tail -n 5 "$LOG" >&2 || true
  without_engine "The container engine does not start here (without an init, a container has to be privileged)."
}

mount_cgroups() {
  mount -t cgroup2 none /sys/fs/cgroup ||
    without_engine "A container engine needs control groups, and they cannot be mounted here."
}

reload_daemon() {
  say "telling the daemon of the gVisor runtime"
  if has_init; then systemctl reload docker; else kill -HUP "$(cat /run/docker.pid)"; fi
  for _ in $(seq 40); do
    has_gvisor && return
    sleep 0.25
  done
  cannot "The daemon does not take up the runtime in $CONFIG: restart it."
}

user_file() { echo "$USERS/$(pwd | sha256sum | cut -c1-16)"; }

note_user() {
  if [ -f "$PID_FILE" ] && mkdir -p "$USERS" 2>/dev/null; then pwd >"$(user_file)"; fi
}

is_used_elsewhere() {
  local file
  for file in "$USERS"/*; do
    if [ -f "$file" ] && [ -d "$(cat "$file")" ]; then return 0; fi
  done
  return 1
}

start() {
  if [ "${AGENTSTORE_ENGINE:-}" = none ] && [ "$(uname -s)" = Linux ]; then
    without_engine "No container engine is wanted (AGENTSTORE_ENGINE=none)."
  fi
  if answers && has_gvisor; then
    note_user
    say "ready"
    return
  fi
  case "$(uname -s)" in
    Linux) ;;
    Darwin) cannot "gVisor needs Linux: run the store in a Linux virtual machine (Lima, Colima) and try again there." ;;
    *) cannot "Agents run on Linux only." ;;
  esac
  if [ "$(id -u)" -ne 0 ]; then
    if runsc_is_current; then
      without_engine "No container engine with gVisor answers."
    fi
    if answers; then
      cannot "Docker answers but has no gVisor runtime: let an administrator run 'sudo $0'."
    fi
    cannot "Docker does not answer: let an administrator run 'sudo $0' and add you to the group 'docker'."
  fi
  command -v apt-get >/dev/null ||
    cannot "Install Docker and gVisor (runsc) by your distribution's means and merge $OURS into $CONFIG."
  install_missing
  local changed=0
  register_runtime && changed=1
  if ! answers; then
    start_daemon
  elif [ "$changed" -eq 1 ] || ! has_gvisor; then
    reload_daemon
  fi
  has_gvisor || cannot "The daemon runs but does not know gVisor: restart it."
  note_user
  say "ready"
}

stop() {
  local pid
  [ -f "$PID_FILE" ] || return 0
  pid=$(cat "$PID_FILE")
  rm -f "$(user_file)"
  if is_used_elsewhere; then
    say "another checkout uses the daemon, so it is left running"
    return 0
  fi
  if [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = dockerd ]; then
    if [ -n "$(docker ps -q 2>/dev/null)" ]; then
      say "containers of others still run, so the daemon is left running"
      return 0
    fi
    kill "$pid"
    for _ in $(seq 60); do
      [ -d "/proc/$pid" ] && [ "$(awk '{print $3}' "/proc/$pid/stat" 2>/dev/null)" != Z ] || break
      sleep 0.5
    done
    say "stopped the daemon"
  fi
  rm -rf "$PID_FILE" "$USERS"
}

status() {
  if [ "${AGENTSTORE_ENGINE:-}" != none ] && answers && has_gvisor; then
    say "ready"
  elif runsc_is_current; then
    say "ready, without an engine"
  else
    cannot "not usable; run $0"
  fi
}

case "${1:-start}" in
  start) start ;;
  stop) stop ;;
  status) status ;;
  *)
    sed -n '2,7s/^# //p' "$0"
    exit 2
    ;;
esac
