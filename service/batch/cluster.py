"""The batch with Ray Data: tasks read and decode images while one actor for each GPU or core runs the models.

Ray Data's own checkpoint records which images have a row (https://docs.ray.io/en/latest/data/checkpoint.html).
"""

import os
from argparse import Namespace
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..inference.device import LARGEST
from ..settings import Settings
from .output import Scorer, schema
from .sources import Piece, Reader
from .unpack import Image

if TYPE_CHECKING:
    import pyarrow

CHECKPOINT = "_checkpoint"  # name of a folder beside the rows
# CPUs that must stay free of actors: for the checkpoint's filter, a reader and a writer. Without them, all of these
# wait for each other for ever.
OTHERS = 3


def run(pieces: list[Piece], arguments: Namespace, settings: Settings) -> None:
    """Score the images that have no row in the folder yet. Every node must see the sources and the folder.

    Of the arguments, `workers` None means one actor for each GPU if Ray has any, else one for each CPU but OTHERS, and
    `address` None starts Ray on this machine. Raises ValueError if Ray has too few CPUs for the actors.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray sends no statistics to its makers
    import ray  # pyright: ignore[reportMissingImports]
    from ray.data import ActorPoolStrategy, DataContext  # pyright: ignore[reportMissingImports]
    from ray.data.checkpoint import CheckpointConfig  # pyright: ignore[reportMissingImports]

    if arguments.address is None:  # to Ray, a CPU is a slot for a process: the OTHERS share one core
        slots = (arguments.workers or max(1, settings.threads - 1)) + OTHERS
        ray.init("local", num_cpus=slots, log_to_driver=False, include_dashboard=False)
    else:
        ray.init(arguments.address, runtime_env={"py_modules": [str(Path(__file__).parents[1])]}, log_to_driver=False)
    try:
        cpus, gpus = (int(ray.cluster_resources().get(kind, 0)) for kind in ("CPU", "GPU"))
        on_gpu = gpus > 0 and settings.device != "cpu"
        actors = arguments.workers or (gpus if on_gpu else cpus - OTHERS)
        if not 0 < actors <= cpus - OTHERS:
            raise ValueError(f"Ray has {cpus} CPUs, too few for {max(actors, 1)} workers and {OTHERS} other processes.")
        context = DataContext.get_current()
        context.checkpoint_config = CheckpointConfig(
            id_column="path",
            checkpoint_path=str(arguments.out.resolve() / CHECKPOINT),
            delete_checkpoint_on_success=False,  # otherwise a second call would score all images again
        )
        dataset = ray.data.read_datasource(_datasource(pieces, settings.max_bytes), override_num_blocks=len(pieces))
        scored = dataset.map_batches(
            Actor,
            fn_constructor_kwargs={"settings": settings, "models": arguments.models, "read": arguments.read},
            compute=ActorPoolStrategy(size=actors),
            batch_size=LARGEST,
            batch_format="pyarrow",
            num_cpus=1,
            num_gpus=1 if on_gpu else None,
        )
        scored.write_parquet(str(arguments.out.resolve()))
    finally:
        ray.shutdown()


class Actor:
    """The models in a process of Ray. It has one thread on a CPU: onnxruntime ignores the OpenMP settings of Ray."""

    def __init__(self, settings: Settings, models: str | None, read: bool) -> None:
        self.scorer = Scorer(settings, models, read, threads=1)
        self.schema = schema(self.scorer.names, read)

    def __call__(self, rows: "pyarrow.Table") -> "pyarrow.Table":
        import pyarrow as pa

        return pa.Table.from_pylist(self.scorer.score([Image(**row) for row in rows.to_pylist()]), self.schema)


def _read(piece: Piece, limit: int) -> Iterator["pyarrow.Table"]:
    import pyarrow as pa

    kinds = pa.schema({"path": pa.string(), "data": pa.binary(), "error": pa.string()}.items())
    with Reader(limit) as reader:
        for image in reader.images(piece):
            yield pa.Table.from_pylist([image._asdict()], kinds)


def _datasource(pieces: list[Piece], limit: int) -> Any:
    """One task for each piece. Ray's own readers have no limits and fail at a damaged file."""
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
