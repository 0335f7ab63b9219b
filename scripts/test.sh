#!/usr/bin/env bash
# Runs the tests on PostgreSQL and Valkey of their own and on a container engine. Usage: scripts/test.sh [pytest's arguments]
# TEST_WORKERS says how many run side by side (2; 0 for none). DATABASE_URL and VALKEY_URL in the environment are used
# instead of our own servers. TEST_SERVICES_DIR says where ours are kept.
set -euo pipefail
cd "$(dirname "$0")/.."

python=.venv/bin/python
directory=${TEST_SERVICES_DIR:-$PWD/.run/test}

end() {
  status=$?
  trap - EXIT INT TERM
  "$python" -m agentstore.embedded stop --dir "$directory" || true
  exit "$status"
}
trap end EXIT INT TERM

scripts/setup_engine.sh || {
  [ $? -eq 3 ] || exit 1
  echo "test: the tests that need containers are skipped" >&2
}
"$python" -m agentstore.embedded start --throwaway --dir "$directory"
export AGENTSTORE_SERVICES_ENV=$directory/services.env
"$python" -m pytest -n "${TEST_WORKERS:-2}" --dist loadfile "$@"
