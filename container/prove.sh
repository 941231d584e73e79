#!/bin/bash
# Builds the image without a container engine, starts it and asks it: bash container/prove.sh
#
# Needs root, buildah and debootstrap (Debian packages) and the environment that `make serve` sets up. A Debian base
# stands in for python:3.11-slim; the rest is the Dockerfile that `bentoml build` writes. Ends with the image's size.
set -euo pipefail
cd "$(dirname "$0")/.."
export BUILDAH_ISOLATION=chroot BENTOML_DO_NOT_TRACK=true
PORT=${PORT:-3399}
ready() { curl -sf "http://127.0.0.1:$PORT/readyz" >/dev/null; }
if curl -s "http://127.0.0.1:$PORT" >/dev/null; then
    echo "Port $PORT is taken: what answers there would be taken for the image. Set PORT." >&2
    exit 1
fi
work=$(mktemp -d)
engine=(buildah --root "$work/storage" --runroot "$work/run" --storage-driver vfs) # so that nothing stays
buildah() { command "${engine[@]}" "$@"; }
export BENTOML_HOME=$work/bentoml
mkdir "$BENTOML_HOME"
bentoml=.venv/bin/bentoml
[ -x $bentoml ] || bentoml=bentoml

server= mounted=
finish() {
    [ -z "$server" ] || { kill -KILL "$server"; wait "$server"; } 2>/dev/null || true
    [ -z "$mounted" ] || buildah unmount "$mounted" >/dev/null || true
    rm -rf "$work"
}
trap finish EXIT

debootstrap --variant=minbase --include=python3,python3-pip,ca-certificates bookworm "$work/base" >"$work/log"
ln -s python3 "$work/base/usr/bin/python"
rm -f "$work"/base/usr/lib/python3.*/EXTERNALLY-MANAGED
settings=()
for name in SSL_CERT_FILE PIP_CERT; do # where this machine's network has a certificate of its own
    if [ -n "${!name:-}" ]; then
        cp --parents -L "${!name}" "$work/base"
        settings+=(--env "$name=${!name}")
    fi
done
base=$(buildah from scratch)
buildah add -q "$base" "$work/base" / >/dev/null
buildah config "${settings[@]}" --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$base"
buildah commit -q --rm "$base" python:3.11-slim >/dev/null

tag=$($bentoml build -o tag | sed -n 's/^__tag__://p')
bento=$BENTOML_HOME/bentos/${tag/://}
buildah build -q --pull-never --format docker -t quintet -f "$bento/env/docker/Dockerfile" "$bento"
buildah inspect --type image --format '{{.Docker.Config.User}} {{.Docker.Config.Healthcheck.Test}}' quintet
echo

container=$(buildah from --pull-never quintet)
run() { buildah run --user bentoml "$container" -- "$@"; }
run bash -c 'test "$(id -u)" != 0 && ! python -c "import torch" 2>/dev/null && ! command -v gcc'
echo "not root, no torch, no compiler"
# In a process namespace, for what runs in the container outlives buildah, but not the namespace's first process.
unshare --pid --fork --kill-child --mount-proc "${engine[@]}" run --user bentoml --env "BENTOML_PORT=$PORT" "$container" -- \
    /home/bentoml/bento/env/docker/entrypoint.sh \
    env -u BENTOML_CONTAINERIZED bentoml serve --timeout-graceful-shutdown 25 /home/bentoml/bento &
server=$!
for _ in $(seq 600); do
    kill -0 "$server" # else the image's command has ended
    ready && break
    sleep 0.1
done
curl -sf -F image=@examples/seven.png "http://127.0.0.1:$PORT/predict?models=cnn" | tee "$work/answer"
echo
grep -q '"digit":7' "$work/answer"
run env "BENTOML_PORT=$PORT" python -c "import os, urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{os.environ[\"BENTOML_PORT\"]}/readyz', timeout=4)"
mount=$(buildah mount "$container")
mounted=$container
echo "size: $(du -sm "$mount" | cut -f1) MB, of which base: $(du -sm "$work/base" | cut -f1) MB"
