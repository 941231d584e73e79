"""What people would put the same ONNX files behind instead: LitServe, FastAPI, or BentoML's own endpoint.

Each peer is what its documentation shows for a model and an image, with the plainest preparation of a picture. None has
limits, refusals, or a framing like MNIST's. Each takes the bytes of an image at POST /cnn, which one network answers,
and at POST /all, which all five answer.
"""
