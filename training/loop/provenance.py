"""Which code a run was made with: what its artefact says of it."""

import subprocess


def commit() -> str:
    """The commit of the code that runs, with a + if files were changed since; "unknown" outside a repository."""
    try:
        answer = subprocess.run(
            ["git", "describe", "--always", "--abbrev=12", "--dirty=+"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return answer.stdout.strip()
