import pytest

from service import settings
from service.settings import Settings


def test_lists_are_separated_by_commas(monkeypatch):
    monkeypatch.setenv("QUINTET_FORMATS", "PNG, JPEG,")
    monkeypatch.setenv("QUINTET_CORS_ORIGINS", "https://a.example,https://b.example")
    found = settings.load()
    assert found.formats == ("PNG", "JPEG")
    assert found.cors_origins == ("https://a.example", "https://b.example")


@pytest.mark.parametrize(
    "name, value, message",
    [
        (
            "FORMATS",
            "PNG,EPS",
            "QUINTET_FORMATS is 'EPS': input should be 'PNG', 'JPEG', 'WEBP', 'BMP', 'GIF', 'TIFF', 'HEIC' or 'AVIF'.",
        ),
        ("FORMATS", "", "QUINTET_FORMATS is empty; give it a value or leave it out."),
        ("CONCURRENCY", "0", "QUINTET_CONCURRENCY is '0': input should be greater than or equal to 1."),
        ("TIMEOUT", "0", "QUINTET_TIMEOUT is '0': input should be greater than 0."),
        ("API_KEY", "", "QUINTET_API_KEY is empty; give it a value or leave it out."),
    ],
)
def test_value_that_is_not_allowed_is_one_sentence(monkeypatch, name, value, message):
    monkeypatch.setenv(f"QUINTET_{name}", value)
    with pytest.raises(ValueError) as raised:
        settings.load()
    assert str(raised.value) == message


def test_variables_that_kubernetes_sets_beside_a_service_are_no_misspelt_settings(monkeypatch):
    monkeypatch.setenv("QUINTET_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("QUINTET_PORT_3000_TCP", "tcp://10.0.0.1:3000")
    assert settings.load() == Settings()
