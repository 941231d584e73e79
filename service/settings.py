"""What an operator may change, read once from the environment (QUINTET_*)."""

import os
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "QUINTET_"


class Settings(BaseSettings):
    """The README has the same names in its table; a test holds the two together."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True)

    models: Path = Field(Path(__file__).parent.parent / "models", description="folder of the artefacts")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="cuda refuses to start where it does not load")
    workers: int = Field(1, ge=1, description="processes, each with its own sessions")
    threads: int = Field(len(os.sched_getaffinity(0)), ge=1, description="threads of one inference")
    max_bytes: int = Field(10_000_000, ge=1, description="largest image, as uploaded")
    max_pixels: int = Field(16_000_000, ge=1, description="largest image, width times height")
    max_batch: int = Field(32, ge=1, description="most images in one call of /predict/batch")
    max_images: int = Field(1_024, ge=1, description="most images in one call of /classify")


def load():
    """The settings. Raises ValueError, one sentence, for a value that is not allowed."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = PREFIX + str(first["loc"][0]).upper()
        raise ValueError(f"{name} is {first['input']!r}: {first['msg'][0].lower()}{first['msg'][1:]}.") from error
