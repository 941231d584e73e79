"""What /metrics says beyond BentoML's own: where the time goes, how large the batches are, what is refused."""


class Metrics:
    """Prometheus metrics of one worker; /metrics adds up all workers. Errors by status are among BentoML's own."""

    def __init__(self, predictor):
        # Imported here: BentoML names the folder that its workers share only after this module is imported.
        from prometheus_client import Counter, Gauge, Histogram

        seconds = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
        stage = Histogram(
            "quintet_stage_seconds",
            "Time of one image before the models: decode, canonicalise, queue",
            ["stage"],
            buckets=seconds,
        )
        self.stages = {name: stage.labels(name) for name in ("decode", "canonicalise", "queue")}
        inference = Histogram(
            "quintet_inference_seconds", "Time of one model for one batch", ["model"], buckets=seconds
        )
        self.inference = {name: inference.labels(name) for name in predictor.names}
        self.batch = Histogram("quintet_batch_images", "Images in one batch", buckets=(1, 2, 4, 8, 16, 32, 64, 128))
        images = Counter("quintet_images", "Images of /predict, by whether they were accepted as a digit", ["accepted"])
        self.images = {True: images.labels("true"), False: images.labels("false")}
        provider = Gauge(
            "quintet_provider",
            "1 for the device on which a model runs",
            ["model", "device"],
            multiprocess_mode="livemax",
        )
        for name, artefact in predictor.artefacts.items():
            provider.labels(name, artefact.device).set(1)

    def ran(self, by_name):
        """A batch was run: {name: service.predictor.Answer}."""
        for name, answer in by_name.items():
            self.inference[name].observe(answer.milliseconds / 1e3)
        self.batch.observe(len(answer.probabilities))

    def answered(self, prediction):
        """A prediction is ready, see `service.answer.describe`."""
        for name, stage in self.stages.items():
            stage.observe(prediction["timing_ms"][name] / 1e3)
        self.images[prediction["accepted"]].inc()
