"""What an operator may change, read once from the environment (QUINTET_*)."""

import os
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from .picture.container import FORMATS, Format

PREFIX = "QUINTET_"
PACKAGE = Path(__file__).parent
KUBERNETES = "QUINTET_SERVICE_", "QUINTET_PORT"  # it sets these beside a Service called quintet


def find(name: str) -> Path:
    """The folder `name`, such as "models": inside the package if it is installed, beside it in a checkout."""
    inside = PACKAGE / name
    return inside if inside.is_dir() else PACKAGE.parent / name


def cores() -> int:
    """How many CPUs this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _listed(value: Any) -> Any:
    """ "a, b" as an environment variable has it, to ("a", "b")."""
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


Listed = BeforeValidator(_listed), NoDecode  # NoDecode: it is no JSON


class Settings(BaseSettings):
    """docs/operations.md has the same names in its table; a test holds the two together."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True)

    models: Path = Field(default=find("models"), description="folder of the artefacts")
    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", description="cuda refuses to start where it does not load"
    )
    workers: int = Field(default=1, ge=1, description="processes, each with its own sessions")
    threads: int = Field(
        default=cores(),
        ge=1,
        description="threads of one inference; at most one image more is decoded at once",
    )
    max_bytes: int = Field(default=25_000_000, ge=1, description="largest image, as uploaded")
    max_pixels: int = Field(
        default=200_000_000,
        ge=1,
        description="largest image, width times height; all but JPEG have at most 64 million, by their memory",
    )
    max_batch: int = Field(default=32, ge=1, description="most images in one call of /predict/batch")
    max_images: int = Field(default=1_024, ge=1, description="most 28x28 images in one call of /v2")
    formats: Annotated[tuple[Format, ...], *Listed] = Field(
        default=FORMATS, min_length=1, description="which decoders are tried"
    )
    concurrency: int = Field(
        default=128, ge=1, description="complete requests answered or waiting at once, for each worker"
    )
    upload_timeout: float = Field(default=60.0, gt=0, description="seconds until a body has to be there")
    timeout: float = Field(default=30.0, gt=0, description="seconds from there to the answer, waiting included")
    drain: float = Field(
        default=5.0, ge=0, description="seconds after SIGTERM in which /readyz fails and requests are still answered"
    )
    access_log: bool = Field(default=False, description="a line in the log for each request")
    log: Literal["text", "json"] = Field(
        default="text", description="json: every line of the log is an object, and each request has one"
    )
    api_key: SecretStr | None = Field(
        default=None, min_length=1, description="what `Authorization: Bearer` has to carry"
    )
    cors_origins: Annotated[tuple[str, ...], *Listed] = Field(
        default=(), description="whose pages may call, `*` for all"
    )
    frame_ancestors: Annotated[tuple[str, ...], *Listed] = Field(
        default=(), description="origins whose pages may show ours in a frame"
    )


def load() -> Settings:
    """The settings. Raises ValueError, one sentence, for a value or a name that is not allowed."""
    _check_names(os.environ)
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = PREFIX + str(first["loc"][0]).upper()
        if first["type"] == "too_short" or first["input"] == "":
            raise ValueError(f"{name} is empty; give it a value or leave it out.") from error
        raise ValueError(f"{name} is {first['input']!r}: {first['msg'][0].lower()}{first['msg'][1:]}.") from error


def _check_names(names: Iterable[str]) -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    for name in sorted(name for name in names if name.startswith(PREFIX)):
        if name not in known and not name.startswith(KUBERNETES):
            close = get_close_matches(name, known, n=1)
            remedy = f"did you mean {close[0]}?" if close else "docs/operations.md lists those that there are."
            raise ValueError(f"{name} is not a setting; {remedy}")
