#!/usr/bin/env bash
# Builds what the browser gets: static/dist (ours) and static/vendor (others', unchanged but for source map notes).
# Both are committed, so that running the store needs no Node. Usage: scripts/build_assets.sh [--css-only]
set -euo pipefail
cd "$(dirname "$0")/.."

command -v npm >/dev/null || { echo "npm is missing: install Node 20 or later, then run this again." >&2; exit 1; }
if [ ! -d node_modules ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  npm ci --loglevel=error --ignore-scripts
fi

mkdir -p static/dist static/vendor
npx --no-install tailwindcss --input assets/app.css --output static/dist/app.css --minify
if [ "${1:-}" != "--css-only" ]; then
  node scripts/build_vendor.mjs
fi

largest=$(find static/dist static/vendor -type f -size +700k)
if [ -n "$largest" ]; then
  echo "Too large to serve: $largest" >&2
  exit 1
fi
du -b static/dist/* static/vendor/*
