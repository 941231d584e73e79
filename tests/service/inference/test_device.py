"""Messages about the NVIDIA driver, with a stand-in for libcuda.so.1."""

import pytest

from service.inference.device import COMPUTE_CAPABILITY, choose_device, gpu_of, gpus


class Library:
    def __init__(self, version=13020, capabilities=((9, 0),), initialises=0):
        self.version, self.capabilities, self.initialises = version, capabilities, initialises

    def cuInit(self, _flags):
        return self.initialises

    def cuDriverGetVersion(self, address):
        return _write(address, self.version)

    def cuDeviceGetCount(self, address):
        return _write(address, len(self.capabilities))

    def cuDeviceGet(self, address, number):
        return _write(address, number)

    def cuDeviceGetName(self, buffer, _size, _device):
        buffer.value = b"NVIDIA H100"
        return 0

    def cuDeviceGetAttribute(self, address, kind, device):
        return _write(address, self.capabilities[device.value][COMPUTE_CAPABILITY.index(kind)])


def _write(address, value):
    address._obj.value = value
    return 0


@pytest.fixture
def installed(monkeypatch):
    """Install a library that supports CUDA 13, unless the test says otherwise."""

    def install(library):
        monkeypatch.setattr("ctypes.CDLL", lambda _name: library)
        monkeypatch.setattr("onnxruntime.cuda_version", "13.0")

    return install


def test_gpus_are_listed_and_workers_take_them_in_turn(installed):
    installed(Library(capabilities=((9, 0), (7, 5))))
    assert [(gpu.number, gpu.name, gpu.capability) for gpu in gpus()] == [
        (0, "NVIDIA H100", (9, 0)),
        (1, "NVIDIA H100", (7, 5)),
    ]
    assert choose_device("cuda") == choose_device("auto") == "cuda"
    assert [gpu_of(worker) for worker in range(5)] == [0, 1, 0, 1, 0]


@pytest.mark.parametrize(
    "library, reason",
    [
        (
            Library(version=12080),
            "the NVIDIA driver supports CUDA 12.8 and onnxruntime needs CUDA 13: install driver 580 or newer;",
        ),
        (
            Library(capabilities=((9, 0), (7, 0))),
            "GPU 1, NVIDIA H100, has compute capability 7.0 and CUDA 13 needs 7.5: leave it out with CUDA_VISIBLE_DEV",
        ),
        (Library(capabilities=()), "the NVIDIA driver shows no GPU"),
        (Library(initialises=100), "the NVIDIA driver answers cuInit with error 100"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason(installed, library, reason):
    installed(library)
    with pytest.raises(RuntimeError, match=f"^QUINTET_DEVICE is 'cuda', but {reason}"):
        choose_device("cuda")
    assert choose_device("auto") == "cpu"


def test_a_missing_driver_is_said(monkeypatch):
    def no_library(name):
        raise OSError(name)

    monkeypatch.setattr("ctypes.CDLL", no_library)
    with pytest.raises(RuntimeError, match="QUINTET_DEVICE is 'cuda', but there is no NVIDIA driver, libcuda.so.1"):
        choose_device("cuda")
    assert choose_device("auto") == "cpu"
