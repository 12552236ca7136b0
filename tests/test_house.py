"""The layout: which room may use which, no circles, no module over its size."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from conftest import ROOT

PACKAGE = "micropie_benchlib"
BELOW_LOAD = ("core", "wrk", "stats", "system", "serve")
MAY_USE: dict[str, tuple[str, ...]] = {
    "core": (),
    "wrk": ("core",),
    "stats": ("core", "wrk"),
    "report": ("core", "wrk", "stats"),
    "system": ("core",),
    "serve": ("core", "system"),
    "load": BELOW_LOAD,
    "remote": (*BELOW_LOAD, "load"),
    "run": (*BELOW_LOAD, "load"),
    "programs": (),
}
MAY_USE["cli"] = tuple(MAY_USE)
MAX_LINES = 500  # of code in a module
MAX_LINES_OF_THE_SCRIPT = 1000


def modules() -> dict[str, Path]:
    files = {"micropie_bench": ROOT / "micropie_bench.py"}
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        files[".".join(parts).removesuffix(".__init__")] = path
    return files


MODULES = modules()


def room_of(module: str) -> str:
    """Return the room of a module; empty for the package itself, which is in none."""
    _, _, below = module.partition(".")
    return below.partition(".")[0]


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        assert not node.level, "imports name the whole module"
        return [str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)]
    return []


def used_by(module: str) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        found.update(imported(node))
    return (found & set(MODULES)) - {module}


USES: Mapping[str, set[str]] = {module: used_by(module) for module in MODULES}


def arrows() -> Iterator[tuple[str, str]]:
    for module, used in USES.items():
        for other in used:
            if room_of(module) and room_of(other) and room_of(module) != room_of(other):
                yield module, other


@pytest.mark.parametrize("module", MODULES)
def test_a_module_lies_in_a_room_and_has_its_size(module: str) -> None:
    is_script = module == "micropie_bench"
    assert is_script or module == PACKAGE or room_of(module) in MAY_USE
    lines = MODULES[module].read_text(encoding="utf-8").splitlines()
    code = [line for line in lines if line.strip()]
    assert len(code) <= (MAX_LINES_OF_THE_SCRIPT if is_script else MAX_LINES)


def test_no_room_uses_one_that_comes_after_it() -> None:
    against = [
        f"{module} uses {other}"
        for module, other in arrows()
        if room_of(other) not in MAY_USE[room_of(module)]
    ]
    assert against == []


def test_nothing_but_the_script_uses_the_script() -> None:
    assert [module for module, used in USES.items() if "micropie_bench" in used] == []


def test_no_modules_use_each_other_in_a_circle() -> None:
    left = {module: set(used) for module, used in USES.items()}
    while left:
        free = [module for module, used in left.items() if not used & set(left)]
        assert free, f"in a circle, or using one: {sorted(left)}"
        for module in free:
            del left[module]


def test_programs_use_the_standard_library_alone() -> None:
    for module in MODULES:
        if room_of(module) == "programs":
            assert not {name for name in USES[module] if name.startswith(PACKAGE)}
