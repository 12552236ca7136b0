# Functions to source: packages of the Debian or Ubuntu that runs this, without root.

# private_apt DIR ARCH ARGUMENT...: apt-get for that architecture, with lists and cache in
# DIR, as if nothing were installed.
private_apt() {
    apt=$1 arch=$2
    shift 2
    mkdir -p "$apt/lists/partial" "$apt/cache"
    apt-get -qq -o "Dir::State::Lists=$apt/lists" -o "Dir::Cache=$apt/cache" \
        -o Dir::State::status=/dev/null -o Debug::NoLocking=1 -o APT::Sandbox::User= \
        -o "APT::Architecture=$arch" -o "APT::Architectures::=$arch" "$@"
}

# unpack_debian DIR ARCH PACKAGE [with-dependencies]: unpacks into DIR/root, and records in
# DIR/packages the name, version and sha256 of each .deb. apt checks the distribution's
# signature on the lists, and each package against them.
unpack_debian() {
    command -v apt-get >/dev/null || return 1
    rm -rf "$1/root" "$1/debs"
    mkdir -p "$1/root" "$1/debs"
    dir=$(cd "$1" && pwd)
    private_apt "$dir/apt" "$2" update || return 1
    names=$3
    if [ "${4-}" ]; then
        plan=$(private_apt "$dir/apt" "$2" -s install --no-install-recommends "$3") || return 1
        names=$(printf '%s\n' "$plan" | awk '$1 == "Inst" { print $2 }' | sort)
    fi
    # shellcheck disable=SC2086  # the names are words
    (cd "$dir/debs" && private_apt "$dir/apt" "$2" download $names) || return 1
    for deb in "$dir"/debs/*.deb; do
        dpkg-deb -x "$deb" "$dir/root" || return 1
        dpkg-deb -W --showformat='${Package} ${Version} ' "$deb"
        sha256sum <"$deb" | cut -d' ' -f1
    done >"$dir/packages"
}

# portable_wrk DIR ARCH [run]: makes DIR/wrk, a directory in which `wrk` runs on any Linux of
# that architecture: wrk with its loader, libraries, `packages` as above and each package's
# licence. With `run`, fails if that wrk does not run.
# A caller that tests its status switches `set -e` off in it, hence the returns.
portable_wrk() {
    unpack_debian "$1" "$2" wrk with-dependencies || return 1
    rm -rf "$1/wrk"
    mkdir -p "$1/wrk/lib" "$1/wrk/licenses"
    for library in "$1"/root/lib/*-linux-gnu/*.so.* "$1"/root/usr/lib/*-linux-gnu/*.so.*; do
        [ ! -f "$library" ] || cp -L "$library" "$1/wrk/lib/" || return 1
    done
    cp "$1/root/usr/bin/wrk" "$1/wrk/lib/" && cp "$1/packages" "$1/wrk/" || return 1
    for copyright in "$1"/root/usr/share/doc/*/copyright; do
        package=${copyright%/*}
        cp -L "$copyright" "$1/wrk/licenses/${package##*/}"
    done
    # The licences that the packages name rather than quote.
    named='/usr/share/common-licenses/[A-Za-z]*-[0-9.]*[0-9]'
    for text in $(grep -oh "$named" "$1"/wrk/licenses/* | sort -u); do
        [ ! -e "$text" ] || cp -L "$text" "$1/wrk/licenses/"
    done
    cat >"$1/wrk/wrk" <<'WRK'
#!/bin/sh
lib=${0%/*}/lib  # with no other program's help
exec "$lib"/ld-linux-* --library-path "$lib" "$lib/wrk" "$@"
WRK
    chmod 755 "$1/wrk/wrk" "$1/wrk/lib/wrk" "$1"/wrk/lib/ld-linux-* || return 1
    [ ! "${3-}" ] || env -i PATH="$PATH" "$1/wrk/wrk" -v 2>/dev/null | grep -q '^wrk '
}
