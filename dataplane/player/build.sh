#!/bin/sh
# Checks, tests and builds the player page from web/ into dist/, which is committed and embedded into the server. The output depends on the sources and the
# lock file alone, so "git diff --exit-code dataplane/player/dist" tells whether it is up to date.
set -eu
cd "$(dirname "$0")/web"
npm ci --no-audit --no-fund --loglevel=error
npm run --silent check
npm run --silent test -- --reporter=dot
npx --no-install vite build --logLevel warn
