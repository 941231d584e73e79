import json
import shutil
from copy import copy

import pytest
import torch

from tests.conftest import VOTERS
from training.records import Recorded, fill
from training.report import PARTS, by_model, comparison, digits, nondigits, record_runs, summary, trainings, write

PICTURES = {"curves.png", "confusion.png", "hardest.png", "latency.png", "pages.png"}


@pytest.fixture(scope="module")
def written(evaluated, runs, small_mnist, tmp_path_factory):
    """A folder with a report of everything: evaluation, runs, latency and speed."""
    folder = tmp_path_factory.mktemp("report")
    shutil.copytree(evaluated[0], folder / "models")
    results = folder / "results"
    for target in (results, results / "mnist_alone"):
        shutil.copytree(evaluated[0].parent / "results", target)
    record_runs(runs, results)
    rows = [{"model": name, "batch": 1, "latency_p50_ms": 1.5} for name in (*VOTERS, "all")]
    setting = {"calls": 100, "device": "cpu", "threads": 2, "hardware": "a processor", "onnxruntime": "1.31.1"}
    (results / "offline.json").write_text(json.dumps({"setting": setting, "rows": rows}))
    (folder / "docs").mkdir()
    for path, parts in PARTS.items():
        marks = "".join(f"<!-- {name} -->\nold\n<!-- /{name} -->\nBetween.\n" for name in parts)
        (folder / path).write_text(f"Before.\n{marks}After.\n")
    write(folder / "models", results, small_mnist, folder)
    return folder


@pytest.fixture
def recorded(written):
    return Recorded(written / "models", written / "results")


def test_report_and_pictures_are_written(written):
    assert {path.name for path in (written / "results").glob("*.png")} == PICTURES | {"misread.png", "watched.png"}
    text = (written / "docs" / "results.md").read_text()
    assert "None" not in text and "nan" not in text and text.startswith("Before.\n") and text.endswith("After.\n")


def test_readme_gets_the_short_table_and_keeps_the_rest(written, recorded):
    expected = f"Before.\n<!-- summary -->\n{summary(recorded)}<!-- /summary -->\nBetween.\n"
    assert (written / "README.md").read_text().startswith(expected)
    assert comparison(recorded) in (written / "docs" / "results.md").read_text()


def test_figures_are_those_recorded(recorded):
    (line,) = [line for line in comparison(recorded).splitlines() if line.startswith("|`cnn`")]
    says = recorded.metadata["cnn"]
    assert f"|{says['test_accuracy']:.2%}|{says['test_macro_f1']:.4f}|" in line
    assert line.endswith(f"|1.5 ms|{says['test_accuracy']:.2%}|")  # trained on MNIST alone: the same files here
    assert "10.00%" in comparison(recorded).splitlines()[-1]  # ones among the hundred typed digits


def test_other_peoples_digits_have_n_writers_and_intervals(recorded):
    (line,) = [line for line in digits(recorded).splitlines() if line.startswith("|UNIPEN|")]
    part = recorded.measured["consensus"]["sets"]["unipen"]
    low, high = part["right"]["interval"]
    assert f"|{part['right']['n']}|3|{part['right']['share']:.2%} ({low * 100:.2f}–{high * 100:.2f})|" in line
    assert line.endswith(f"|{part['right']['share']:.2%}|")  # trained on MNIST alone: the same files here
    assert "two alphabets that no recipe trains on" in nondigits(recorded)


def test_each_released_network_says_how_it_was_trained(recorded):
    rows = trainings(recorded).splitlines()[2:]
    assert [row.split("|")[1] for row in rows] == VOTERS
    assert all(f"|{run['commit'][:7]}" in row for row, run in zip(rows, recorded.runs, strict=True))


def test_a_new_run_keeps_the_record_of_the_others_but_not_of_a_network_without_a_file(runs, tmp_path):
    """Bug: the record of a sixth network's run was the only one left in the tables and curves."""
    record_runs(runs, tmp_path)
    recorded = json.loads((tmp_path / "runs.json").read_text())
    old = [run | {"seconds": -1} for run in recorded] + [recorded[0] | {"name": "removed"}]
    (tmp_path / "runs.json").write_text(json.dumps(old))
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "cnn").symlink_to(runs / "cnn")
    record_runs(tmp_path / "runs", tmp_path)
    now = json.loads((tmp_path / "runs.json").read_text())
    assert [run["name"] for run in now] == VOTERS
    assert [run["name"] for run in now if run["seconds"] >= 0] == ["cnn"]


def test_runs_with_other_seeds_are_recorded_beside_the_first_with_their_mean(recorded, runs, tmp_path):
    shutil.copytree(runs / "cnn", tmp_path / "runs" / "seed1" / "cnn")
    weights = tmp_path / "runs" / "seed1" / "cnn" / "averaged.pt"
    content = torch.load(weights, weights_only=True)
    torch.save(content | {"settings": content["settings"] | {"seed": 1}}, weights)
    record_runs(runs, tmp_path)
    record_runs(tmp_path / "runs", tmp_path)
    several = copy(recorded)
    several.runs = json.loads((tmp_path / "runs.json").read_text())
    assert [(run["name"], run["seed"]) for run in several.runs if run["name"] == "cnn"] == [("cnn", 0), ("cnn", 1)]
    share = several.runs[1]["metrics"][-1]["validation"]["mnist"]["accuracy"]
    said = f"`cnn`, 2 seeds: {share:.2%}, deviation 0.00%. Seed 0 is released."
    assert trainings(several).splitlines()[-1] == said


def test_a_set_that_a_network_was_not_measured_on_is_an_empty_cell():
    shares = {"test": {"right": {"share": 0.5}}, "uji": {"right": {"share": 0.25}}}
    measured = {"one": {"sets": shares}, "quick": {"sets": {"test": shares["test"]}}}
    assert by_model(measured).splitlines()[2:] == ["|one|50.00%|25.00%|", "|quick|50.00%||"]


def test_without_latency_and_runs_their_cells_stay_empty(written, tmp_path):
    shutil.copytree(written / "models", tmp_path / "models")
    shutil.copytree(written / "results", tmp_path / "results")
    for name in ("offline.json", "runs.json"):
        (tmp_path / "results" / name).unlink()
    recorded = Recorded(tmp_path / "models", tmp_path / "results")
    assert "1.5 ms" not in comparison(recorded) and len(trainings(recorded).splitlines()) == 2


def test_a_page_without_marks_is_refused_and_nothing_deletes_nothing(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("<!-- a -->\nold\n<!-- /a -->\n")
    fill(page, "a", "")
    assert page.read_text() == "<!-- a -->\nold\n<!-- /a -->\n"
    fill(page, "a", "new\n")
    assert page.read_text() == "<!-- a -->\nnew\n<!-- /a -->\n"
    with pytest.raises(ValueError, match="has no marks <!-- b --> and <!-- /b -->"):
        fill(page, "b", "new")
