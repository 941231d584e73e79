import json

from benchmarks import choices


def test_every_variant_is_measured(small_models, monkeypatch, capsys):
    monkeypatch.setenv("QUINTET_MODELS", str(small_models))
    monkeypatch.setenv("QUINTET_THREADS", "2")
    choices.main(["--rounds", "3"])
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert {"2 threads, in turn", "2 threads, in turn, floats", "cnn, as served"} <= set(result["milliseconds"])
    assert min(result["milliseconds"].values()) > 0
    assert set(result["loading_s"]) == {"artefacts", "optimised before"}
