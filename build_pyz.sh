#!/bin/sh
# Builds micropie_bench.pyz: this tool, what requirements.lock pins, and the
# distribution's wrk, in one file.
#
# ./build_pyz.sh          for CPython 3.11 to 3.15 on this architecture
# ./build_pyz.sh --all    for those on Linux x86_64 and aarch64, and macOS arm64
#
# It needs Debian or Ubuntu with Python 3.11 or newer and the network, not root. What it
# works with lies in .venv and build/. packaging/assemble.py says what is in the file.
set -eu
export LC_ALL=C
CDPATH='' cd -- "$(dirname "$0")"
. .ci/debian.sh

pythons="3.11 3.12 3.13 3.14 3.15"
case "${1-}" in
    --all) platforms="linux-x86_64 linux-aarch64 macos-arm64" ;;
    "") platforms=$(uname -sm | sed 's/Linux /linux-/; s/Darwin /macos-/') ;;
    *) echo "usage: ./build_pyz.sh [--all]" >&2; exit 2 ;;
esac

announce() { echo "build_pyz: $1" >&2; }
stop() { announce "$1"; exit 1; }

# install PYTHON PLATFORM WHEELS: the packages for that Python, wherever this runs.
install() {
    .venv/bin/uv --quiet pip install --python .venv/bin/python \
        --python-version "$1" --python-platform "$3" --link-mode copy \
        --target "build/pyz/cp$(echo "$1" | tr -d .)-$2" \
        --no-build --require-hashes -r requirements.lock
}

announce "preparing .venv"
.ci/env --build
rm -rf build/pyz
mkdir -p build/pyz
for platform in $platforms; do
    case $platform in
        linux-x86_64) wheels=x86_64-manylinux2014 debian=amd64 ;;
        linux-aarch64) wheels=aarch64-manylinux2014 debian=arm64 ;;
        macos-arm64) wheels=aarch64-apple-darwin debian= ;;
        *) stop "cannot build for $platform: its wheels' name is not known here" ;;
    esac
    for python in $pythons; do
        announce "packages for Python $python on $platform"
        install "$python" "$platform" "$wheels"
    done
    run=
    if [ "$debian" = "$(dpkg --print-architecture 2>/dev/null)" ]; then
        run=${debian:+run}
    fi
    announce "wrk for $platform"
    if [ "$debian" ] && portable_wrk "build/debian-$debian" "$debian" $run; then
        mkdir "build/pyz/wrk-$platform"
        cp -R "build/debian-$debian/wrk" "build/pyz/wrk-$platform/wrk"
    elif [ "$run" ]; then
        stop "cannot fetch wrk, or it does not run"
    else
        announce "no wrk for $platform can be had here: there the file uses the system's"
    fi
done
announce "assembling micropie_bench.pyz"
.venv/bin/python packaging/assemble.py build/pyz micropie_bench.pyz
