"""The version of the code that made a run, for the artefact's metadata."""

import subprocess


def commit() -> str:
    """The commit of the running code, with a "+" if tracked files differ from it; "unknown" outside a repository."""
    try:
        answer = subprocess.run(
            ["git", "describe", "--always", "--abbrev=12", "--dirty=+"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return answer.stdout.strip()
