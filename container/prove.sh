#!/bin/bash
# Builds both images without a container engine, starts them and asks them: bash container/prove.sh
#
# Needs root, buildah and debootstrap (Debian packages) and the environment that `make serve` sets up. A Debian base
# stands in for python:3.11-slim; the rest are the Dockerfile that `bentoml build` writes and container/Dockerfile. Each
# is started as its own user and as one without a name and a home, on a read-only root.
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

debootstrap --variant=minbase --include=python3,python3-pip,ca-certificates bookworm "$work/base" >"$work/log" ||
    { tail -n 20 "$work/log" >&2; exit 1; }
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

# In the image: as the given user, on a read-only root with an empty /tmp, and in a process namespace, which ends with its
# first process. buildah has no such options, so this is done by hand.
serve() { # serve MOUNT USER COMMAND...
    local root=$1 user=$2
    shift 2
    unshare --mount --pid --fork --kill-child bash -e -c '
        root=$1 user=$2; shift 2
        mount --make-rprivate / && mount --bind "$root" "$root" && mount -o remount,bind,ro "$root"
        mount -t tmpfs tmpfs "$root/tmp" && mount -t proc proc "$root/proc" && mount --rbind /dev "$root/dev"
        exec chroot --userspec="$user" "$root" env -i "$@"' serve "$root" "$user" "$@" &
    server=$!
    for _ in $(seq 1200); do
        kill -0 "$server" # else the image's command has ended
        ready && break
        sleep 0.1
    done
    curl -sf -F image=@examples/seven.png "http://127.0.0.1:$PORT/predict?models=cnn" | tee "$work/answer"
    echo
    grep -q '"digit":7' "$work/answer"
    kill -KILL "$server"
    wait "$server" 2>/dev/null || true
    server=
}
prove() { # prove IMAGE FOLDER COMMAND...: with the image's own user and with one that has no name and no home
    local image=$1 folder=$2
    shift 2
    container=$(buildah from --pull-never "$image")
    mounted=$container
    root=$(buildah mount "$container")
    chroot --userspec=1034 "$root" env PATH=/app/.venv/bin:/usr/local/bin:/usr/bin:/bin \
        bash -c 'test "$(id -u)" != 0 && ! python -c "import torch" 2>/dev/null && ! command -v gcc'
    echo "$image: not root, no torch, no compiler"
    mapfile -t variables < <(buildah inspect --format '{{range .OCIv1.Config.Env}}{{println .}}{{end}}' "$container")
    for user in 1034:1034 12345:0; do
        serve "$root" "$user" "${variables[@]}" HOME=/ QUINTET_DEVICE=cpu BENTOML_PORT="$PORT" \
            sh -c 'cd "$1"; shift; exec "$@"' sh "$folder" "$@"
        echo "$image: answers as user $user on a read-only root"
    done
    echo "$image: $(du -sm "$root" | cut -f1) MB, of which base: $(du -sm "$work/base" | cut -f1) MB"
    buildah unmount "$container" >/dev/null
    mounted=
}

tag=$($bentoml build -o tag | sed -n 's/^__tag__://p')
bento=$BENTOML_HOME/bentos/${tag/://}
buildah build -q --pull-never --format docker -t quintet-bento -f "$bento/env/docker/Dockerfile" "$bento"
buildah inspect --type image --format '{{.Docker.Config.User}} {{.Docker.Config.Healthcheck.Test}}' quintet-bento
prove quintet-bento /home/bentoml/bento /home/bentoml/bento/env/docker/entrypoint.sh \
    env -u BENTOML_CONTAINERIZED bentoml serve --timeout-graceful-shutdown 25 /home/bentoml/bento

buildah build -q --pull-never --format docker -t quintet --ignorefile container/Dockerfile.dockerignore \
    -f container/Dockerfile .
prove quintet /quintet python -m service serve --port "$PORT"
