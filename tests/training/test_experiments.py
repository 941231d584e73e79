"""docs/experiments.md is generated from results/experiments.json."""

from tests.conftest import REPOSITORY
from training.results.experiments import page


def test_page_is_generated_from_the_record():
    assert (REPOSITORY / "docs" / "experiments.md").read_text() == page(REPOSITORY / "results")


def test_experiment_is_a_section_with_its_table(tmp_path):
    record = (
        '[{"title": "T", "question": "Q?", "columns": ["a", "b"], "rows": [["x", 0.5], ["y", null]], "lesson": "L."}]'
    )
    (tmp_path / "experiments.json").write_text(record)
    assert page(tmp_path).endswith("\n## T\n\nQ?\n\n| a | b |\n| --- | --- |\n| x | 0.5 |\n| y |  |\n\nL.\n")
