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
CLEANUP = "micropie_benchlib/programs/cleanup.py"  # a member of the .pyz, too
HERE = os.path.dirname(os.path.abspath(__file__))  # the .pyz itself


def main():
    """Start micropie_bench, and leave nothing temporary behind."""
    handle_signals()
    remove_private = None
    try:
        script, remove_private = load()
        script.entry_point()
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        if remove_private:
            remove_private()


def load():
    """Return the module micropie_bench, and what removes it at the end if it is private."""
    wanted = this_python()
    if wanted not in INSIDE:
        fail(not_inside(wanted))
    remove_private = None
    directory = cached(wanted)
    if not directory:
        directory, remove_private = temporary(wanted)
    sys.path[0] = directory  # instead of this file
    try:
        import micropie_bench
    except Exception as error:  # a file that was damaged raises anything
        fail(
            "cannot import what was unpacked into %s (%s: %s): "
            "remove that directory, or copy %s again"
            % (directory, type(error).__name__, error, os.path.basename(HERE))
        )
    return micropie_bench, remove_private


def handle_signals():
    """Let SIGTERM and SIGHUP end this as Ctrl-C does, unless they are ignored."""
    import signal

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


def announce(message):
    """Print the message as one line on standard error."""
    sys.stderr.write("micropie_bench: " + message + "\n")


def fail(message):
    """Print the message as one line, and exit with status 1."""
    announce(message)
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
    return "this file needs CPython %s on %s, and %s is %s: use python%s %s" % (
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
        if not is_whole(directory):
            with open(os.path.join(cache, "lock"), "a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not is_whole(directory):
                    announce("unpacking and compiling into %s (once)" % cache)
                    remove_stale(cache)
                    unpack(wanted, directory)
        return directory
    except OSError:
        return None


def temporary(wanted):
    """Return a new private directory with all of it, and what removes it at the end."""
    import tempfile

    places = [
        place_from(tempfile.gettempdir),
        "/var/tmp",
        "/dev/shm",
        os.environ.get("XDG_RUNTIME_DIR"),
        place_from(os.getcwd),
    ]
    reason = "none may be written to and run programs"
    for place in filter(None, places):
        bundle = ""
        remove_private = None
        try:
            private = tempfile.mkdtemp(prefix="micropie_bench-", dir=place)
            remove_private = remove_at_end(private)
            bundle = os.path.join(private, "bundle")
            if keeps_modes(private) and may_run_programs(private):
                announce("unpacking and compiling into %s (for this start alone)" % private)
                unpack(wanted, bundle)
                return bundle, remove_private
        except OSError as error:
            reason = str(error)
        finally:
            if remove_private and not os.path.isdir(bundle):
                remove_private()
    return fail("no directory to unpack into: %s; set TMPDIR or XDG_CACHE_HOME to one" % reason)


def remove_at_end(directory):
    """Return what removes the directory; the end of this process does so in any case."""
    import zipfile

    import temporary_files  # a member of the .pyz

    with zipfile.ZipFile(HERE) as pyz:
        program = pyz.extract(CLEANUP, directory)
    return temporary_files.remove_at_end(directory, program)


def place_from(function):
    """Return the directory that the function finds; None if it finds none."""
    try:
        return function()
    except OSError:
        return None


def keeps_modes(private):
    """Return whether a directory that was made private is so on its file system."""
    status = os.lstat(private)
    return status.st_uid == os.geteuid() and not status.st_mode & 0o022


def may_run_programs(directory):
    """Return whether the directory's file system lets programs run, as wrk must."""
    noexec = getattr(os, "ST_NOEXEC", 0)  # not on macOS
    return not os.statvfs(directory).f_flag & noexec


# --- unpacking -----------------------------------------------------------------------

LIST = "files.json"  # of what was unpacked: the mode and size of each file


def is_whole(directory):
    """Return whether the directory has each file as it was unpacked, by mode and size."""
    import json

    try:
        with open(os.path.join(directory, LIST)) as listing:
            files = json.load(listing)
        for name in files:
            if mode_and_size(os.path.join(directory, name)) != files[name]:
                return False
    except (OSError, ValueError):
        return False
    return True


def mode_and_size(path):
    """Return the mode and the size of a file, as they stand in the list."""
    status = os.stat(path)
    return [status.st_mode, status.st_size]


def remove_stale(cache):
    """Remove what was being unpacked or fetched when it was killed; we hold the lock."""
    for name in os.listdir(cache):
        if name.endswith(".part"):
            remove(os.path.join(cache, name))


def unpack(wanted, directory):
    """Make the directory with all that this Python needs in it, or do not make it.

    It is filled under another name, so that whatever has this name was whole.
    """
    part = "%s-%d.part" % (directory, os.getpid())  # one that was killed may still lose its own
    remove(part)
    os.mkdir(part)
    remove_part = remove_at_end(part)
    try:
        fill(part, wanted, directory)
        remove(directory)  # it was damaged
        os.rename(part, directory)
    finally:
        remove_part()


def fill(part, wanted, directory):
    """Unpack into `part`, and compile it as if it were the directory."""
    import json
    import struct
    import zipfile
    import zlib

    of_zips = (zipfile.BadZipFile, zlib.error, struct.error)
    of_python = (EOFError, LookupError, RuntimeError, ValueError)
    try:
        extract(part, wanted)
    except of_zips + of_python as error:
        fail("%s is damaged (%s): copy it again" % (HERE, error))
    files = {}
    for parent, _, names in os.walk(part):
        for name in names:
            path = os.path.join(parent, name)
            files[os.path.relpath(path, part)] = mode_and_size(path)
    compile_all(files, part, directory)
    with open(os.path.join(part, LIST), "w") as listing:
        json.dump(files, listing)


def extract(part, wanted):
    """Extract what this Python needs of the .pyz into `part`, with its modes."""
    import io
    import zipfile

    wrk = "wrk-" + wanted.partition("-")[2]
    with zipfile.ZipFile(HERE) as pyz:
        pyz.extract("bundle.json", part)
        for name in ("common", wanted, wrk):
            if name + ".zip" not in pyz.namelist():
                continue
            with zipfile.ZipFile(io.BytesIO(pyz.read(name + ".zip"))) as archive:
                archive.extractall(part)
                for info in archive.infolist():
                    os.chmod(os.path.join(part, info.filename), info.external_attr >> 16)


UNCOMPILED = ("pip/", "idna/")  # no server that is measured imports these


def compile_all(files, part, directory):
    """Compile the files below `part` as if that were the directory, on all cores.

    It is done here so that no server does that while it is measured.
    """
    import signal

    names = []
    for name in files:
        if name.endswith(".py") and not name.startswith(UNCOMPILED):
            names.append(name)
    names.sort(key=lambda name: files[name][1], reverse=True)  # the largest first
    cores = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    children = []
    try:
        for number in range(1, cores):
            pid = os.fork()
            if not pid:
                try:
                    compile_some(names[number::cores], part, directory)
                finally:
                    os._exit(0)
            children.append(pid)
        compile_some(names[::cores], part, directory)
        while children:
            os.waitpid(children[-1], 0)
            children.pop()
    except BaseException:
        for pid in children:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        raise


def compile_some(names, part, directory):
    """Compile these files; one that cannot be is left to whoever imports it."""
    import compileall

    for name in names:
        final = os.path.join(directory, os.path.dirname(name))
        compileall.compile_file(os.path.join(part, name), ddir=final, quiet=2)


def remove(directory):
    import shutil

    shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
