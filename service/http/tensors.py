"""Parse requests and write replies of the Open Inference Protocol: JSON, whose tensors may follow it as bytes.

The protocol is https://github.com/kserve/open-inference-protocol. Bytes are Triton's binary tensor extension,
https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md: the header
`Inference-Header-Content-Length` is the length of the JSON. The tensors follow it, little-endian, in the order in which
the JSON names them. Each element of a BYTES tensor begins with its length in four bytes.
"""

import base64
import binascii
import json
import math
from collections.abc import Mapping
from typing import (
    Any,
    NotRequired,  # pydantic wants these before Python 3.12
)

import numpy as np
from pydantic import BaseModel, Field, ValidationError
from starlette.exceptions import HTTPException
from typing_extensions import TypedDict

from .body import bounded_json

JSON_LENGTH = "Inference-Header-Content-Length"
DATATYPES = {"BOOL": "?", "UINT8": "u1", "INT64": "<i8", "FP32": "<f4"}  # numpy's types; BYTES are lists of bytes
REFUSED = {"sequence_id": "sequences", "shared_memory_region": "shared memory", "classification": "classification"}
NAMES = 200  # characters of each kind in COUNTED that a request may need besides its data


class Tensor(TypedDict):  # an input or output of a model, as the model's metadata describes it
    name: str
    datatype: str
    shape: list[int]  # -1: any size


class RequestedOutput(BaseModel):
    name: str
    parameters: dict[str, Any] = Field(
        default_factory=dict, description="`binary_data`: whether it follows the answer's JSON"
    )


class InputTensor(BaseModel):
    name: str
    parameters: dict[str, Any] = Field(default_factory=dict, description="`binary_data_size`: its bytes after the JSON")
    datatype: str
    shape: list[int] = Field(max_length=8)
    data: Any = Field(None, description="the elements, nested like the shape or flat; images as base64")


class Infer(BaseModel):
    """The JSON of an inference request."""

    id: str | None = None
    parameters: dict[str, Any] = Field(
        default_factory=dict, description="`binary_data_output`: as `binary_data`, of all"
    )
    inputs: list[InputTensor]
    outputs: list[RequestedOutput] = Field(default_factory=list, description="all of the model's if it is empty")


class OutputTensor(TypedDict):
    name: str
    datatype: str
    shape: list[int]
    data: NotRequired[list[int | float | bool]]
    parameters: NotRequired[dict[str, int]]


class InferAnswer(TypedDict):
    """The JSON of an inference answer."""

    model_name: str
    model_version: str
    id: NotRequired[str]
    outputs: list[OutputTensor]


def parse(body: bytes, json_length: str | None, wanted: Tensor, most: int) -> tuple[Infer, Any]:
    """Parse a decompressed body. Returns the request and its only input, which must be the tensor `wanted`.

    json_length: the header JSON_LENGTH, or None if the whole body is JSON.
    most: maximum number of elements along the tensor's first axis.
    The tensor is an array of the wanted type and shape, or a list of bytes for BYTES.
    Raises HTTPException 400 for what does not follow the protocol, 413 for what exceeds a limit.
    """
    text, rest = _split(body, json_length)
    content = bounded_json(text, _counts(wanted, most))
    try:
        request = Infer.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"][:4]) or "request"
        raise HTTPException(400, f"The JSON of the request is wrong at {place[:60]!r}: {first['msg']}.") from error
    for parameters in (request.parameters, *(tensor.parameters for tensor in (*request.inputs, *request.outputs))):
        for parameter in REFUSED.keys() & parameters:
            raise HTTPException(400, f"Parameter {parameter!r}: this service does not support {REFUSED[parameter]}.")
    if [tensor.name for tensor in request.inputs] != [wanted["name"]]:
        names = ", ".join(repr(tensor.name[:40]) for tensor in request.inputs[:5]) or "none"
        raise HTTPException(400, f"The inputs are {names}; this model takes one, {wanted['name']!r}.")
    (tensor,) = request.inputs
    _check(tensor, wanted, most)
    return request, _read(tensor, rest)


def reply(
    request: Infer, model: str, version: str, outputs: Mapping[str, tuple[Tensor, np.ndarray]]
) -> tuple[bytes, int | None]:
    """The body of an answer, and the length of its JSON, which is None if the whole body is JSON.

    outputs: all outputs of the model, in its order.
    Raises HTTPException 400 if the request names an output that the model does not have.
    """
    described: list[OutputTensor] = []
    tail: list[bytes] = []
    everywhere = request.parameters.get("binary_data_output") is True
    asked = request.outputs or [RequestedOutput(name=name) for name in outputs]
    for output in asked:
        if output.name not in outputs:
            raise HTTPException(400, f"Unknown output {output.name[:40]!r}; the outputs are: {', '.join(outputs)}.")
        spec, values = outputs[output.name]
        entry = OutputTensor(name=spec["name"], datatype=spec["datatype"], shape=list(values.shape))
        if output.parameters.get("binary_data", everywhere) is True:
            tail.append(values.astype(DATATYPES[spec["datatype"]]).tobytes())
            entry["parameters"] = {"binary_data_size": len(tail[-1])}
        else:
            entry["data"] = values.ravel().tolist()
        described.append(entry)
    answer = InferAnswer(model_name=model, model_version=version, outputs=described)
    if request.id is not None:
        answer["id"] = request.id
    text = json.dumps(answer, separators=(",", ":")).encode()
    return text + b"".join(tail), len(text) if tail else None


def _split(body: bytes, json_length: str | None) -> tuple[bytes, bytes]:
    if json_length is None:
        return body, b""
    if not (json_length.isascii() and json_length.isdecimal() and len(json_length) < 12):
        raise HTTPException(400, f"The header {JSON_LENGTH} is {json_length[:40]!r}; it must be a number of bytes.")
    if int(json_length) > len(body):
        raise HTTPException(400, f"The header {JSON_LENGTH} is {json_length}, but the body has {len(body)} bytes.")
    return body[: int(json_length)], body[int(json_length) :]


def _counts(wanted: Tensor, most: int) -> dict[bytes, int]:
    """How often characters of COUNTED may occur in the JSON of the largest request."""
    numbers = most * math.prod(wanted["shape"][1:])
    lists = most * (1 + sum(math.prod(wanted["shape"][1:axis]) for axis in range(1, len(wanted["shape"]))))
    strings = 2 * most if wanted["datatype"] == "BYTES" else 0
    return {b",": numbers + NAMES, b"[": lists + NAMES, b"{": NAMES, b'"': strings + NAMES}


def _check(tensor: InputTensor, wanted: Tensor, most: int) -> None:
    if tensor.datatype != wanted["datatype"]:
        raise HTTPException(
            400, f"Input {wanted['name']!r} has datatype {tensor.datatype[:20]!r}; it is {wanted['datatype']}."
        )
    fits = len(tensor.shape) == len(wanted["shape"]) and all(
        own >= 1 if other < 0 else own == other for own, other in zip(tensor.shape, wanted["shape"], strict=True)
    )
    if not fits:
        shown, allowed = str(tensor.shape)[:60], wanted["shape"]
        message = f"Input {wanted['name']!r} has shape {shown}; it must be {allowed}, where -1 is 1 to {most}."
        raise HTTPException(400, message)
    if tensor.shape[0] > most:
        raise HTTPException(413, f"There are {str(tensor.shape[0])[:20]} images; the limit is {most}.")


def _read(tensor: InputTensor, rest: bytes) -> Any:
    size = tensor.parameters.get("binary_data_size")
    if size is None:
        if rest:
            raise HTTPException(400, f"{len(rest)} bytes follow the JSON, but no input has 'binary_data_size'.")
        return _texts(tensor) if tensor.datatype == "BYTES" else _numbers(tensor)
    if tensor.data is not None:
        raise HTTPException(400, f"Input {tensor.name!r} has both 'data' and 'binary_data_size'; send one of them.")
    if size != len(rest):
        message = f"Input {tensor.name!r} has binary_data_size {str(size)[:20]}, but {len(rest)} bytes follow the JSON."
        raise HTTPException(400, message)
    if tensor.datatype == "BYTES":
        return _elements(tensor, rest)
    dtype = np.dtype(DATATYPES[tensor.datatype])
    if len(rest) != math.prod(tensor.shape) * dtype.itemsize:
        raise HTTPException(400, _mismatch(tensor, f"{len(rest)} bytes"))
    return np.frombuffer(rest, dtype).reshape(tensor.shape)


def _elements(tensor: InputTensor, rest: bytes) -> list[bytes]:
    elements, at = [], 0
    while at < len(rest) and len(elements) <= tensor.shape[0]:
        length, start = int.from_bytes(rest[at : at + 4], "little"), at + 4
        at = start + length
        if at > len(rest):
            raise HTTPException(400, f"An element of input {tensor.name!r} is longer than the rest of the body.")
        elements.append(rest[start:at])
    if len(elements) != tensor.shape[0]:
        raise HTTPException(400, _mismatch(tensor, "another number of elements"))
    return elements


def _texts(tensor: InputTensor) -> list[bytes]:
    """The elements of a BYTES tensor in JSON, which are base64, because JSON has no bytes."""
    data = tensor.data
    if not isinstance(data, list) or not all(isinstance(text, str) for text in data):
        raise HTTPException(400, f"The data of input {tensor.name!r} must be a list of base64 texts.")
    if len(data) != tensor.shape[0]:
        raise HTTPException(400, _mismatch(tensor, f"{len(data)} elements"))
    try:
        return [base64.b64decode(text, validate=True) for text in data]
    except (binascii.Error, ValueError) as error:
        message = f"The data of input {tensor.name!r} must be base64, because JSON cannot hold bytes."
        raise HTTPException(400, message) from error


def _numbers(tensor: InputTensor) -> np.ndarray:
    """The numbers of a tensor in JSON, which may be nested like the shape, or flat."""
    try:
        # float64 keeps 0.5 and 256, which are refused below, and does not copy strings.
        values = np.asarray(tensor.data, np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        raise HTTPException(400, f"The data of input {tensor.name!r} must be numbers, nested evenly.") from error
    if values.size != math.prod(tensor.shape):
        raise HTTPException(400, _mismatch(tensor, f"{values.size} numbers"))
    dtype = np.dtype(DATATYPES[tensor.datatype])
    with np.errstate(invalid="ignore"):
        exact = values.astype(dtype)
    if not np.array_equal(exact, values):
        raise HTTPException(400, f"The data of input {tensor.name!r} must be whole numbers from 0 to 255.")
    return exact.reshape(tensor.shape)


def _mismatch(tensor: InputTensor, found: str) -> str:
    return f"Input {tensor.name!r} has shape {tensor.shape}, but {found}."
