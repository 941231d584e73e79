"""The batch with Ray Data: tasks read and decode, an actor for each GPU or core runs the models, all of them at once.

Ray Data's own checkpoint records which images have a row (https://docs.ray.io/en/latest/data/checkpoint.html).
"""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import service
from service.batch import output
from service.batch.score import Scorer, look
from service.batch.sources import Image, Piece
from service.settings import Settings

if TYPE_CHECKING:
    import pyarrow

CHECKPOINT = "_checkpoint"  # folder beside the rows
OTHERS = (
    3  # CPUs that must stay free of actors, else all wait for ever: for the checkpoint's filter, a reader, a writer
)
BATCH = 128  # images that an actor gets at once


def run(
    pieces: list[Piece],
    folder: Path,
    settings: Settings,
    models: str | None,
    read: bool,
    workers: int | None = None,
    address: str | None = None,
) -> None:
    """Score the images that have no row in the folder yet; every node must see the sources and the folder.

    workers: actors; None: one a GPU where Ray has any, else one for each CPU that is not needed otherwise.
    Raises ValueError for more than there are CPUs for.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to anybody
    import ray  # pyright: ignore[reportMissingImports]
    from ray.data import ActorPoolStrategy, DataContext  # pyright: ignore[reportMissingImports]
    from ray.data.checkpoint import CheckpointConfig  # pyright: ignore[reportMissingImports]

    cores = len(os.sched_getaffinity(0))
    if address is None:  # Ray's CPUs are places for processes: those that are not actors share a core
        ray.init(
            "local", num_cpus=(workers or max(1, cores - 1)) + OTHERS, log_to_driver=False, include_dashboard=False
        )
    else:
        ray.init(address, runtime_env={"py_modules": [str(Path(service.__file__).parent)]}, log_to_driver=False)
    try:
        cpus, gpus = (int(ray.cluster_resources().get(kind, 0)) for kind in ("CPU", "GPU"))
        on_gpu = gpus > 0 and settings.device != "cpu"
        actors = workers or (gpus if on_gpu else cpus - OTHERS)
        if not 0 < actors <= cpus - OTHERS:
            raise ValueError(f"Ray has {cpus} CPUs: too few for {actors} workers and {OTHERS} other processes.")
        context = DataContext.get_current()
        context.checkpoint_config = CheckpointConfig(
            id_column="path",
            checkpoint_path=str(folder.resolve() / CHECKPOINT),
            delete_checkpoint_on_success=False,  # else a second call would do everything again
        )
        dataset = ray.data.read_datasource(_datasource(pieces, settings.max_bytes), override_num_blocks=len(pieces))
        looked = dataset.map_batches(
            partial(_look, settings=settings, keep=read), batch_size=BATCH, batch_format="pyarrow"
        )
        scored = looked.map_batches(
            Actor,
            fn_constructor_kwargs={"settings": settings, "models": models, "read": read},
            compute=ActorPoolStrategy(size=actors),
            batch_size=BATCH,
            batch_format="pyarrow",
            num_cpus=1,
            num_gpus=1 if on_gpu else None,
        )
        scored.write_parquet(str(folder.resolve()))
    finally:
        ray.shutdown()


class Actor:
    """The models in a process of Ray. On a CPU each has one thread: onnxruntime ignores what Ray sets for OpenMP."""

    def __init__(self, settings: Settings, models: str | None, read: bool) -> None:
        self.scorer = Scorer(settings, models, read, threads=1)
        self.schema = output.schema(self.scorer.names, read)

    def __call__(self, rows: "pyarrow.Table") -> "pyarrow.Table":
        import pyarrow as pa

        return pa.Table.from_pylist(self.scorer.score(rows.to_pylist()), self.schema)


def _look(images: "pyarrow.Table", settings: Settings, keep: bool) -> "pyarrow.Table":
    import pyarrow as pa

    kinds = {"path": pa.string(), "error": pa.string(), "image": pa.binary(), "data": pa.binary()}
    rows = [look(Image(**image), settings, keep) for image in images.to_pylist()]
    return pa.Table.from_pylist(rows, pa.schema(kinds.items()))


def _read(piece: Piece, limit: int) -> Iterator["pyarrow.Table"]:
    import pyarrow as pa

    kinds = pa.schema({"path": pa.string(), "data": pa.binary(), "error": pa.string()}.items())
    for image in piece.images(limit):
        yield pa.Table.from_pylist([vars(image)], kinds)


def _datasource(pieces: list[Piece], limit: int) -> Any:
    """One task a piece. Ray's own readers would load files without our limits, and fail at one that is damaged."""
    from ray.data import Datasource  # pyright: ignore[reportMissingImports]
    from ray.data.block import BlockMetadata  # pyright: ignore[reportMissingImports]
    from ray.data.datasource import ReadTask  # pyright: ignore[reportMissingImports]

    class Images(Datasource):
        def estimate_inmemory_data_size(self) -> None:
            return None

        def get_read_tasks(self, *_arguments: Any, **_keywords: Any) -> list[ReadTask]:
            unknown = BlockMetadata(num_rows=None, size_bytes=None, input_files=None, exec_stats=None)
            return [ReadTask(partial(_read, piece, limit), unknown) for piece in pieces]

    return Images()
