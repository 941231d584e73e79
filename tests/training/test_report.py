import json
import shutil

import pytest
import torch

from training import evaluate, networks, report, runs
from training.results.records import Recorded
from training.results.tables import all_runs, comparison, seeds, speed, summary

PICTURES = {"curves.png", "confusion.png", "hardest.png", "latency.png", "pages.png"}


@pytest.fixture(scope="module")
def written(models, runs_of_two_seeds, small_mnist, tmp_path_factory):
    """A folder with a report of everything: evaluation, runs, latency and speed."""
    folder = tmp_path_factory.mktemp("report")
    shutil.copytree(models, folder / "models")
    results = folder / "results"
    evaluate.evaluate(networks.NAMES, folder / "models", small_mnist, results=results)
    runs.main([str(runs_of_two_seeds), "--data", str(small_mnist), "--results", str(results)])
    rows = [
        {"engine": "onnxruntime", "model": name, "batch": 1, "latency_p50_ms": 1.5} for name in (*networks.NAMES, "all")
    ]
    setting = {"calls": 100, "device": "cpu", "threads": 2, "hardware": "a processor", "onnxruntime": "1.31.1"}
    (results / "offline.json").write_text(json.dumps({"setting": setting, "rows": rows}))
    row = {"images_per_sec": 3000.0, "plain_images_per_sec": 1000.0, "augmentation_share": 0.09}
    (results / "speed.json").write_text(json.dumps({"setting": setting, "rows": {"cnn": row}}))
    to_99 = {
        "hardware": "a processor",
        "seconds_mean": 9.5,
        "seconds_deviation": 0.2,
        "at_least_99": 2,
        "runs": [{}] * 3,
    }
    to_99 |= {"accuracy_mean": 0.9912, "accuracy_deviation": 0.0005}
    (results / "time_to_99.json").write_text(json.dumps(to_99))
    (folder / "README.md").write_text("Before.\n<!-- summary -->\nold\n<!-- /summary -->\nAfter.\n")
    report.write(folder / "models", results, small_mnist, folder)
    return folder


@pytest.fixture(scope="module")
def runs_of_two_seeds(runs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("seeds") / "runs"
    shutil.copytree(runs, folder)
    shutil.copytree(runs / "cnn", folder / "seed1" / "cnn")
    best = torch.load(folder / "seed1" / "cnn" / "best.pt", weights_only=True)
    best["settings"]["seed"] = 1
    torch.save(best, folder / "seed1" / "cnn" / "best.pt")
    return folder


def test_report_and_pictures_are_there(written):
    assert {path.name for path in (written / "results").glob("*.png")} == PICTURES
    text = (written / "docs" / "results.md").read_text()
    assert all(f"(../results/{picture})" in text for picture in PICTURES)
    assert "None" not in text and "nan" not in text
    assert "9.5 ± 0.2 s on a processor, 99.12% ± 0.05% over 3 seeds, of which 2 reach it." in text.replace("\n", " ")


def test_readme_gets_the_table_in_short_and_keeps_the_rest(written):
    recorded = Recorded(written / "models", written / "results")
    expected = f"Before.\n<!-- summary -->\n{summary(recorded)}<!-- /summary -->\nAfter.\n"
    assert (written / "README.md").read_text() == expected
    assert comparison(recorded) in (written / "docs" / "results.md").read_text()


def test_figures_are_those_recorded(written):
    recorded = Recorded(written / "models", written / "results")
    (line,) = [line for line in comparison(recorded).splitlines() if line.startswith("| `cnn`")]
    says = recorded.metadata["cnn"]
    assert f"| {says['test_accuracy']:.2%} | {says['test_macro_f1']:.4f} |" in line and line.endswith("| 1.5 ms |")
    assert "10.00%" in comparison(recorded).splitlines()[-1]  # ones among the hundred typed digits
    assert "| cnn | 3,000 | 1,000 | 3.0 | 9% of the step |" in speed(recorded)


def test_seeds_are_summed_up_over_all_their_runs(written):
    recorded = Recorded(written / "models", written / "results")
    accuracy = 100 * recorded.runs[1]["test"]["accuracy"]
    assert f"- cnn from random weights: {accuracy:.3f} ± 0.000 % over 2 seeds" in seeds(recorded)


def test_runs_of_another_recipe_are_told_apart(written):
    recorded = Recorded(written / "models", written / "results")
    assert [line.startswith("| **") for line in all_runs(recorded).splitlines()[2:]] == [
        run["seed"] == 0 for run in recorded.runs
    ]
    for run in recorded.runs:
        run["commit"] = "0123456789ab"
    assert "**" not in all_runs(recorded) and "0123456 |" in all_runs(recorded)
    assert "- cnn from random weights, by an earlier recipe: " in seeds(recorded)
    recorded.runs[1]["recipe"]["lr"] = 1.0
    assert seeds(recorded) == ""
    recorded.runs[1] = recorded.runs[2]  # the same seed twice
    assert seeds(recorded) == ""


def test_time_to_an_accuracy_is_of_a_run_from_the_start(written):
    recorded = Recorded(written / "models", written / "results")
    for run in recorded.runs:
        run["metrics"] = [line | {"validation_accuracy": 1.0} for line in run["metrics"]]
        run["earlier_seconds"] = 60.0 if run["name"] == "vit" else 0.0
    rows = {line.split(" | ")[0].strip("| "): line for line in speed(recorded).splitlines()}
    assert "1 epochs" in rows["cnn"] and "epochs" not in rows["vit"]


def test_without_latency_and_speed_their_columns_stay_empty(written, tmp_path):
    shutil.copytree(written / "models", tmp_path / "models")
    shutil.copytree(written / "results", tmp_path / "results")
    for name in ("offline.json", "speed.json", "runs.json"):
        (tmp_path / "results" / name).unlink()
    recorded = Recorded(tmp_path / "models", tmp_path / "results")
    assert "1.5 ms" not in comparison(recorded) and "3,000" not in speed(recorded)


def test_without_an_evaluation_the_command_is_named(tmp_path):
    with pytest.raises(SystemExit) as error:
        report.main(["--results", str(tmp_path)])
    assert error.value.code == f"{tmp_path}/evaluation.json is missing; create it with: python -m training.evaluate"
