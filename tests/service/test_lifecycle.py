"""Checks before the service starts, and the end of a worker."""

import asyncio
import signal
from types import SimpleNamespace

import pytest

from service import lifecycle
from service.lifecycle import check_address, end_gently, health


@pytest.mark.parametrize(
    "host, port, reason",
    [
        ("127.0.0.1", 99_999, "there is no port 99999; ports are numbers from 1 to 65535."),
        ("localhost", 3000, "'localhost' is not an IP address to listen on; give one, such as 0.0.0.0."),
        ("192.0.2.1", 0, "cannot listen on port 0 of 192.0.2.1: Cannot assign requested address."),
    ],
)
def test_address_that_cannot_be_listened_on_is_one_sentence(host, port, reason):
    """Bug: PORT=99999 neither served nor ended."""
    with pytest.raises(ValueError) as raised:
        check_address(host, port)
    assert str(raised.value) == reason


def test_address_that_bentoml_is_not_given_is_its_own(monkeypatch):
    """Bug: `bentoml serve` without --host did not start."""
    seen = []
    context = SimpleNamespace(info_name="serve", params={"host": None, "port": None})
    monkeypatch.setattr(lifecycle.click, "get_current_context", lambda silent: context)
    monkeypatch.setattr(lifecycle, "check_address", lambda *address: seen.append(address))
    lifecycle.check_command()
    assert seen == [("0.0.0.0", 3000)]


@pytest.fixture
def told():
    """The signals that reach the previous handler, for instance uvicorn's."""
    numbers = []
    before = signal.signal(signal.SIGTERM, lambda number, _: numbers.append(number))
    yield numbers
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("seconds, has_failed", [(0.01, False), (3600, True)], ids=["in time", "at once"])
def test_worker_ends(told, seconds, has_failed):
    async def end():
        own = health()
        end_gently(own, seconds)
        if has_failed:
            own.fail()
            own.fail()
        else:
            signal.raise_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            while not told:
                await asyncio.sleep(0.005)
        return own.is_ready

    assert asyncio.run(end()) is False
    assert told == [signal.SIGTERM]
