"""The apps of apps.py by name, and the packages that decide their speed."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltIn:
    """An app in apps.py; the versions of `packages` decide its speed."""

    label: str
    packages: tuple[str, ...]
    about: str


def _framework(label: str) -> BuiltIn:
    return BuiltIn(label=label, packages=(label.lower(),), about=f"the same routes in {label}")


BUILT_INS = {
    "micropie": BuiltIn(label="MicroPie", packages=("micropie",), about="the gist's MicroPie app"),
    "fastapi": BuiltIn(
        label="FastAPI",
        packages=("fastapi", "starlette", "pydantic"),
        about="the gist's FastAPI app",
    ),
    "starlette": _framework("Starlette"),
    "asgi": BuiltIn(
        label="ASGI", packages=(), about="a bare ASGI callable: what uvicorn alone costs"
    ),
    "blacksheep": _framework("BlackSheep"),
    "falcon": _framework("Falcon"),
    "litestar": _framework("Litestar"),
    "muffin": _framework("Muffin"),
    "quart": _framework("Quart"),
    "sanic": _framework("Sanic"),
}
FRAMEWORK_PACKAGES = sorted({name for each in BUILT_INS.values() for name in each.packages})
OTHER_PACKAGES = ("aiohttp", "django", "flask", "gunicorn")  # of users' apps
