"""The plan for 10^9 images follows from the figures of a run; these were chosen so that it can be checked by hand."""

from benchmarks.plan import scaled

HERE = {"load_average_1min": 1.0}
RECORD = {
    "images": 1_000,
    "bytes_per_image": 10_000,
    "cores": 2,
    "cpu": "A CPU",
    "parts": {
        "plain": {"seconds": 10.0, "processor_seconds": 18.0, "bytes_per_row": 20.0, "rows": "a"} | HERE,
        "ray_2": {"seconds": 20.0, "processor_seconds": 1.0, "bytes_per_row": 20.0, "rows": "a"} | HERE,
        "plain_killed": {"rows_before": 300, "seconds": 8.0, "rows": "a"} | HERE,
    },
}


def test_rates_and_cost_follow_from_the_run():
    text = scaled(RECORD)
    # 100 images/s: 10^7 s for 10^9.
    assert "| one process, without Ray | 100.0 | 116 |" in text
    assert "| Ray, 2 workers | 50.0 | 231 |" in text
    assert "Ray, 1 worker" not in text  # it was not measured
    # 18 s for 1,000 images: 18 ms, 5 core-hours a million.
    assert "18.0 ms of a core" in text and "5,000 core-hours, 5.0 a million" in text
    assert "208 cores finish in a day, in 100 runs of 10,000,000 images" in text
    assert "10.0 TB" in text and "20 GB" in text
    # 10,000 bytes in 18 ms: 0.56 MB/s, so 1 GB/s feeds 1,800 cores.
    assert "0.56 MB/s" in text and "feeds 1,800 cores" in text
    assert "Other work" not in text


def test_a_resumed_run_with_other_rows_is_not_hidden():
    assert "Killed after 300 rows and called again (one process, without Ray): 8 s to the end, and the same" in scaled(
        RECORD
    )
    killed = RECORD["parts"]["plain_killed"] | {"rows": "b"}
    assert "OTHER ROWS" in scaled(RECORD | {"parts": RECORD["parts"] | {"plain_killed": killed}})


def test_a_busy_machine_is_said():
    busy = RECORD["parts"]["plain"] | {"load_average_1min": 21.0}
    text = scaled(RECORD | {"parts": {"plain": busy}})
    assert "Other work ran beside it: the load average was up to 21. One process got 90% of the cores" in text
