"""Starts micropie_bench in the Python that runs this.

packaging/assemble.py makes this the __main__.py of micropie_bench.pyz, and fills in
BUILD and INSIDE. What this Python needs is unpacked into the user's cache, once; or,
if no cache can be trusted, into a temporary directory for this start alone.

Any Python, 2.7 too, must be able to read this file, to say that it is too old: ASCII,
no annotations, no f-strings. Only what is imported after that check may be newer.
"""

import os
import sys

BUILD = "@BUILD@"
INSIDE = "@INSIDE@".split()  # cp311-linux-x86_64 and so on
HERE = os.path.dirname(os.path.abspath(__file__))  # the .pyz itself


def main():
    """Start micropie_bench, and leave nothing temporary behind."""
    wanted = this_python()
    if wanted not in INSIDE:
        fail(not_inside(wanted))
    import signal

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    private = None
    try:
        directory = cached(wanted)
        if not directory:
            private = temporary(wanted)
            directory = os.path.join(private, "bundle")
        sys.path[0] = directory  # in the place of this file
        import micropie_bench

        micropie_bench.entry_point()
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        if private:
            remove(private)


def fail(message):
    """Print the message as one line, and exit with status 1."""
    sys.stderr.write("micropie_bench: " + message + "\n")
    sys.exit(1)


# --- which Python this is ------------------------------------------------------------


def this_python():
    """Return the name of what this Python needs, in the form of the names in INSIDE.

    A Python that cannot use any of what is inside gets a name that is not there.
    """
    implementation = getattr(sys, "implementation", None)  # new in Python 3.3
    kind = getattr(implementation, "name", "cpython").replace("cpython", "cp")
    version = "%d%d" % sys.version_info[:2]
    free_threaded = "t" in getattr(sys, "abiflags", "")  # it needs other wheels
    machine = os.uname()[4] if hasattr(os, "uname") else "unknown"
    name = kind + version
    if free_threaded:
        name += "t"
    name += "-" + system() + "-" + machine
    if sys.maxsize <= 2**32:
        name += "-32bit"
    return name


def system():
    """Return the name of the operating system, such as linux; wheels need a glibc."""
    if sys.platform == "darwin":
        return "macos"
    if not sys.platform.startswith("linux"):  # linux2 in Python 2
        return sys.platform
    if sys.version_info >= (3, 11):
        try:
            os.confstr("CS_GNU_LIBC_VERSION")
        except (OSError, ValueError):
            return "linux-without-glibc"
    return "linux"


def not_inside(wanted):
    """Return the message that what this Python needs is not inside, but what is."""
    versions = set()
    platforms = set()
    for name in INSIDE:
        python, _, platform = name.partition("-")
        versions.add("%s.%s" % (python[2], python[3:]))
        platforms.add(platform)
    return (
        "in this file are CPython %s for %s; %s is %s: "
        "start it with one of those, as in python%s %s"
    ) % (
        ", ".join(sorted(versions)),
        ", ".join(sorted(platforms)),
        sys.executable,
        wanted,
        max(versions),
        os.path.basename(HERE),
    )


# --- where it is unpacked ------------------------------------------------------------


def cached(wanted):
    """Return the directory in the user's cache, unpacked if need be; None without one.

    Starts at the same time wait for the first of them to unpack.
    """
    import fcntl

    from trusted_cache import trusted_cache  # a member of the .pyz

    try:
        cache = trusted_cache()
        if not cache or not may_run_programs(cache):
            return None
        directory = os.path.join(cache, BUILD + "-" + wanted)
        if not os.path.isdir(directory):
            with open(os.path.join(cache, "lock"), "a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)  # until this process ends
                if not os.path.isdir(directory):
                    unpack(wanted, directory)
        return directory
    except OSError:
        return None


def temporary(wanted):
    """Return a new private directory, for this start alone; in it is `bundle`."""
    import tempfile

    places = [
        tempfile.gettempdir(),
        "/var/tmp",
        "/dev/shm",
        os.environ.get("XDG_RUNTIME_DIR"),
        os.getcwd(),
    ]
    reason = "none may be written to and run programs"
    for place in filter(None, places):
        private = None
        bundle = None
        try:
            private = tempfile.mkdtemp(prefix="micropie_bench-", dir=place)
            bundle = os.path.join(private, "bundle")
            if keeps_modes(private) and may_run_programs(private):
                unpack(wanted, bundle)
                return private
        except OSError as error:
            reason = str(error)
        finally:
            if private and not (bundle and os.path.isdir(bundle)):
                remove(private)
    return fail("no directory to unpack into: %s; set TMPDIR or XDG_CACHE_HOME to one" % reason)


def keeps_modes(private):
    """Return whether a directory that was made private is so on its file system."""
    status = os.lstat(private)
    return status.st_uid == os.geteuid() and not status.st_mode & 0o022


def may_run_programs(directory):
    """Return whether the directory's file system lets programs run, as wrk must."""
    noexec = getattr(os, "ST_NOEXEC", 0)  # not on macOS
    return not os.statvfs(directory).f_flag & noexec


# --- unpacking -----------------------------------------------------------------------


def unpack(wanted, directory):
    """Make the directory with all that this Python needs in it, or do not make it.

    It is filled under another name, so that whatever has this name is whole.
    """
    part = directory + ".part"
    remove(part)
    try:
        fill(part, wanted, directory)
        os.rename(part, directory)
    finally:
        remove(part)


def fill(part, wanted, directory):
    """Unpack into `part`, and compile it as if it were the directory.

    It is compiled here so that no server does that while it is measured.
    """
    import compileall
    import zipfile

    wrk = "wrk-" + wanted.partition("-")[2]
    with zipfile.ZipFile(HERE) as pyz:
        for name in ("common", wanted, wrk):
            if name + ".zip" in pyz.namelist():
                extract(pyz.read(name + ".zip"), part)
        pyz.extract("bundle.json", part)
    compileall.compile_dir(part, ddir=directory, quiet=2)


def extract(content, part):
    """Extract the files of that zip into `part`, with their modes."""
    import io
    import zipfile

    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(part)
        for info in archive.infolist():
            os.chmod(os.path.join(part, info.filename), info.external_attr >> 16)


def remove(directory):
    """Remove the directory, if it is there."""
    import shutil

    shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
