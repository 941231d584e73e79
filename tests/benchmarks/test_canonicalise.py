import json

from benchmarks import canonicalise
from service.picture.decode import FORMATS, grey_from_upload


def test_last_line_is_json_with_a_row_for_each_upload(capsys):
    canonicalise.main(["--calls", "2"])
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [row["upload"] for row in report["rows"]] == ["12-megapixel JPEG", "800x600 PNG", "28x28", "28x28 framed"]
    assert all(0 < row["canonicalise_p50_ms"] <= row["canonicalise_p95_ms"] for row in report["rows"])


def test_photograph_has_twelve_megapixels():
    picture, reduced = grey_from_upload(canonicalise.photograph(), 12_000_000, FORMATS)
    assert round(picture.shape[1] * reduced) == 4000
