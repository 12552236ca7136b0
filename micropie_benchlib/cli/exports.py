"""The files that results are written to."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from micropie_benchlib.cli.terminal import console_on
from micropie_benchlib.core.errors import BenchError, UsageError
from micropie_benchlib.core.results import Results
from micropie_benchlib.report.csv_rows import to_csv
from micropie_benchlib.report.github import to_github_benchmark, to_github_comment
from micropie_benchlib.report.layout import Report
from micropie_benchlib.report.markdown import to_markdown
from micropie_benchlib.report.page import to_html
from micropie_benchlib.report.results_file import to_json
from micropie_benchlib.stats.gate import is_whole

if TYPE_CHECKING:
    from rich.console import Console

BASELINE = "--baseline"  # that does not exist yet
RENDERERS: Mapping[str, Callable[[Report], str]] = {
    BASELINE: lambda report: to_json(report.results),
    "--export-json": lambda report: to_json(report.results),
    "--export-markdown": to_markdown,
    "--export-csv": to_csv,
    "--export-html": to_html,
    "--export-github-comment": to_github_comment,
    "--export-github-benchmark": to_github_benchmark,
}


class Exporter:
    """Writes a text to a file whole or not at all; '-' is standard output."""

    def __init__(self, option: str, destination: str) -> None:
        """Raise UsageError at once if the file cannot be written: no result may be lost to that."""
        self.to_stdout = destination in ("-", "/dev/stdout")
        self.path = Path(destination)
        self.replaces = False
        if self.to_stdout:
            return
        try:
            # Anything but a file is a device or pipe: there is nothing to replace.
            self.replaces = not self.path.exists() or self.path.is_file()
            if self.replaces:
                self.path = self.path.resolve()
                tempfile.TemporaryFile(dir=self.path.parent).close()
            if self.path.is_file() or self.path.is_dir():
                self.path.open("a").close()
        except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links
            reason = getattr(error, "strerror", None) or error
            raise UsageError(f"{destination!r}: {reason}", option=option) from None

    def write(self, text: str) -> None:
        data = text.encode("utf-8", errors="backslashreplace")
        if self.to_stdout:
            sys.stdout.flush()
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
            return
        part = self.path.with_name(f".{self.path.name}-{os.getpid()}.part")
        try:
            if not self.replaces:
                self.path.write_bytes(data)
                return
            try:
                part.write_bytes(data)
                part.replace(self.path)
            finally:
                part.unlink(missing_ok=True)
        except OSError as error:
            older = "; the existing file is an older one" if self.path.is_file() else ""
            raise BenchError(f"not written: {self.path}: {error.strerror}{older}") from None


class Exports:
    def __init__(self, files: Mapping[str, str], *, inputs: Sequence[str] = ()) -> None:
        """Raise UsageError if one of the files cannot be written, or is one of the inputs."""
        self._files = {option: Exporter(option, file) for option, file in files.items()}
        to_stdout = [option for option, file in self._files.items() if file.to_stdout]
        if len(to_stdout) > 1:
            raise UsageError(f"{' and '.join(to_stdout)} cannot share standard output")
        paths = [file.path for file in self._files.values() if file.replaces]
        for path in paths:
            if paths.count(path) > 1:
                raise UsageError(f"two exports go to one file: {path}")
        for file in inputs:
            if Path(file).resolve() in paths:
                raise UsageError(f"{file!r} is an input: export to another file")
        self._shares_stdout = bool(to_stdout)

    @property
    def console(self) -> Console:
        """Where tables go: not between the lines of an export."""
        return console_on(sys.stderr if self._shares_stdout else sys.stdout)

    def save(self, results: Results) -> None:
        """Write what was measured so far as JSON, where that can be written anew."""
        file = self._files.get("--export-json")
        if file and file.replaces:
            file.write(to_json(results))

    def write(self, report: Report) -> None:
        """Raises BenchError for those that were not written, at the end."""
        failures = []
        # A reader of stdout may be gone: that comes last.
        for option, file in sorted(self._files.items(), key=lambda item: item[1].to_stdout):
            if option == BASELINE and not is_whole(report.results):
                continue
            try:
                file.write(RENDERERS[option](report))
            except BenchError as error:
                failures.append(str(error))
        if failures:
            raise BenchError("; ".join(failures))
