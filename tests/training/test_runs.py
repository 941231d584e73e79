import json
import statistics

import pytest

from training import networks
from training.runs import RECORD, main


def test_every_run_is_recorded_with_its_test_figures(runs, small_mnist, tmp_path):
    main([str(runs), "--data", str(small_mnist), "--results", str(tmp_path)])
    recorded = json.loads((tmp_path / RECORD).read_text())
    assert [run["name"] for run in recorded] == networks.NAMES
    for run in recorded:
        best = min(run["metrics"], key=lambda line: line["validation_loss"])
        assert run["finished"] and run["best_epoch"] == best["epoch"] and run["seed"] == 0
        assert run["initial_weights"] == "random"
        seconds = [line["seconds"] for line in run["metrics"]]
        assert run["seconds"] == pytest.approx(statistics.median(seconds) * len(seconds))
        assert run["validation"]["accuracy"] == pytest.approx(best["validation_accuracy"], abs=0.021)
        assert {"accuracy", "macro_f1", "loss", "ece"} <= set(run["test"])


def test_no_run_is_one_sentence(tmp_path):
    with pytest.raises(SystemExit) as error:
        main([str(tmp_path)])
    assert error.value.code == f"{str(tmp_path)!r} holds no run; start one with: python -m training.train NAME"
