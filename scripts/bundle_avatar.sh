#!/usr/bin/env bash
# Bundles what the page needs to show 3D avatars, from the npm packages that tools/avatar_bundle pins. Needs Node.js.
set -euo pipefail
cd "$(dirname "$0")/.."
into=$PWD/reactdiff_ros/avatar/page/three
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp tools/avatar_bundle/* "$work"
cd "$work"
npm ci --no-audit --no-fund --ignore-scripts
npx esbuild entry.js --bundle --minify --format=esm --target=es2022 --legal-comments=none --outfile="$into/bundle.js"
{
  echo "bundle.js contains these packages. Their licences follow."
  for package in three @pixiv/three-vrm; do
    printf '\n==== %s %s\n\n' "$package" "$(node -p "require('./node_modules/$package/package.json').version")"
    cat "node_modules/$package/LICENSE"
  done
} >"$into/LICENSES.txt"
