import json
import shutil

import pytest

from tests.conftest import REPOSITORY, VOTERS
from training import report
from training.measure.evaluation import evaluate, record
from training.results import runs as run_records
from training.results.records import Recorded
from training.results.tables import comparison, digits, nondigits, speed, summary, trainings
from training.task import Data

PICTURES = {"curves.png", "confusion.png", "hardest.png", "latency.png", "pages.png"}


@pytest.fixture(scope="module")
def written(models, runs, small_mnist, small_writers, tmp_path_factory):
    """A folder with a report of everything: evaluation, runs, latency and speed."""
    folder = tmp_path_factory.mktemp("report")
    shutil.copytree(models, folder / "models")
    results = folder / "results"
    found, answers = evaluate(VOTERS, folder / "models", Data(root=small_mnist, writers=small_writers))
    record(found, answers, VOTERS, folder / "models", results)
    record(found, answers, VOTERS, folder / "models", results / "mnist_alone")
    run_records.record(runs, results)
    rows = [{"engine": "onnxruntime", "model": name, "batch": 1, "latency_p50_ms": 1.5} for name in (*VOTERS, "all")]
    setting = {"calls": 100, "device": "cpu", "threads": 2, "hardware": "a processor", "onnxruntime": "1.31.1"}
    (results / "offline.json").write_text(json.dumps({"setting": setting, "rows": rows}))
    row = {"images_per_sec": 3000.0, "plain_images_per_sec": 1000.0, "augmentation_share": 0.09}
    (results / "speed.json").write_text(json.dumps({"setting": setting, "rows": {"cnn": row}}))
    to_99 = {
        "hardware": "a processor",
        "seconds_mean": 9.5,
        "seconds_deviation": 0.2,
        "goal": "99",
        "reached": 2,
        "runs": [{}] * 3,
    }
    to_99 |= {"accuracy_mean": 0.9912, "accuracy_deviation": 0.0005}
    (results / "time_to_99.json").write_text(json.dumps(to_99))
    shutil.copy(REPOSITORY / "results" / "ablation_training.json", results)
    (folder / "README.md").write_text("Before.\n<!-- summary -->\nold\n<!-- /summary -->\nAfter.\n")
    report.write(folder / "models", results, small_mnist, folder)
    return folder


def test_report_and_pictures_are_written(written):
    assert {path.name for path in (written / "results").glob("*.png")} == PICTURES | {"misread.png"}
    text = (written / "docs" / "results.md").read_text()
    assert all(f"(../results/{picture})" in text for picture in PICTURES)
    assert "None" not in text and "nan" not in text
    assert "9.5 ± 0.2 s on a processor, 99.12% ± 0.05% over 3 seeds; 2 reach it." in text.replace("\n", " ")


def test_readme_gets_the_short_table_and_keeps_the_rest(written):
    recorded = Recorded(written / "models", written / "results")
    expected = f"Before.\n<!-- summary -->\n{summary(recorded)}<!-- /summary -->\nAfter.\n"
    assert (written / "README.md").read_text() == expected
    assert comparison(recorded) in (written / "docs" / "results.md").read_text()


def test_figures_are_those_recorded(written):
    recorded = Recorded(written / "models", written / "results")
    (line,) = [line for line in comparison(recorded).splitlines() if line.startswith("| `cnn`")]
    says = recorded.metadata["cnn"]
    assert f"| {says['test_accuracy']:.2%} | {says['test_macro_f1']:.4f} |" in line
    assert line.endswith(f"| 1.5 ms | {says['test_accuracy']:.2%} |")  # trained on MNIST alone: the same files here
    assert "10.00%" in comparison(recorded).splitlines()[-1]  # ones among the hundred typed digits
    assert "| cnn | 3,000 | 1,000 | 3.0 | 9% of the step |" in speed(recorded)


def test_other_peoples_digits_have_n_writers_and_intervals(written):
    recorded = Recorded(written / "models", written / "results")
    (line,) = [line for line in digits(recorded).splitlines() if line.startswith("| UNIPEN |")]
    part = recorded.measured["consensus"]["sets"]["unipen"]
    low, high = part["right"]["interval"]
    assert f"| {part['right']['n']} | 3 | {part['right']['share']:.2%} ({low:.2%} to {high:.2%}) |" in line
    assert line.endswith(f" | {part['right']['share']:.2%} |")  # trained on MNIST alone: the same files here
    assert "two alphabets that no recipe trains on" in nondigits(recorded)


def test_each_released_network_says_how_it_was_trained(written):
    recorded = Recorded(written / "models", written / "results")
    rows = trainings(recorded).splitlines()[2:]
    assert [row.split(" | ")[0].strip("| ") for row in rows] == VOTERS
    assert all(f"| {run['commit'][:7]} |" in row for row, run in zip(rows, recorded.runs, strict=True))


def test_without_latency_and_speed_their_columns_stay_empty(written, tmp_path):
    shutil.copytree(written / "models", tmp_path / "models")
    shutil.copytree(written / "results", tmp_path / "results")
    for name in ("offline.json", "speed.json", "runs.json", "ablation_training.json"):
        (tmp_path / "results" / name).unlink()
    recorded = Recorded(tmp_path / "models", tmp_path / "results")
    assert "1.5 ms" not in comparison(recorded) and "3,000" not in speed(recorded)


def test_missing_evaluation_names_the_command(tmp_path):
    with pytest.raises(SystemExit) as error:
        report.main(["--results", str(tmp_path)])
    assert error.value.code == f"{tmp_path}/evaluation.json is missing; create it with: python -m training.evaluate"


def test_missing_run_names_the_command(tmp_path):
    with pytest.raises(SystemExit) as error:
        report.main(["--results", str(tmp_path), "--runs", str(tmp_path)])
    assert error.value.code == f"{str(tmp_path)!r} holds no run; start one with: python -m training.train NAME"
