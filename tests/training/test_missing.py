"""What a command lacks is one sentence, before PyTorch is loaded, which takes seconds."""

import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY

MISSING = {  # the command's arguments, and words of the sentence; {0} is a folder without anything in it
    "train cnn --data {0}": "train-images-idx3-ubyte.gz and",
    "train --quick --data {0}": "1 other file are missing; fetch all data with: make data",
    "train quick --data {mnist} --writers {0} --from {0}/averaged.pt --images {0}": "averaged.pt is missing; create",
    "train quick --data {mnist} --from {mnist} --images {0}": "{mnist} is missing; create it with: ",
    "export cnn --runs {0}": "{0}/cnn/averaged.pt is missing; create it with: ",
    "evaluate --models {0}": "{0} holds no artefact of a network that names digits; create one with: ",
    "evaluate cnn --models models --images {0}": "'{0}' holds neither an index.csv nor folders named 0 to 9.",
    "evaluate nosuch --models models": "models holds no 'nosuch' that names digits, but alexnet, cnn, ",
    "evaluate --models models --data {0}": "train-images-idx3-ubyte.gz and",
    "report --results {0}": "{0}/evaluation.json is missing; create it with: ",
    "report --runs {0}": "'{0}' holds no run; start one with: ",
    "report --data {0}": "train-images-idx3-ubyte.gz and",
}


@pytest.mark.parametrize("arguments", MISSING)
def test_it_is_said_in_one_sentence_before_torch_is_loaded(small_mnist, released, tmp_path, arguments):
    where = {"mnist": small_mnist}
    code = "import sys; from service.cli import main\ntry: main(sys.argv[1:])\n"
    code += "finally: assert 'torch' not in sys.modules"
    command = [sys.executable, "-c", code, *arguments.format(tmp_path, **where).split()]
    answer = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert answer.returncode == 1 and len(answer.stderr.splitlines()) == 1, answer.stderr
    assert MISSING[arguments].format(tmp_path, **where) in answer.stderr
