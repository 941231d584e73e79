"""What the service answers: one class for each answer, whose fields are described here and nowhere else.

`service.recogniser` fills them, the HTTP routes send `answer.model_dump_json(exclude_unset=True)`, and the API's
description is derived from them. Boxes are [x_min, y_min, x_max, y_max] in pixels of the upload. Times are
milliseconds.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Digit = Annotated[int, Field(ge=0, le=9)]
Probability = Annotated[float, Field(ge=0, le=1)]
Box = Annotated[list[float], Field(min_length=4, max_length=4)]

# Why an image, or a mark in it, is not accepted as a digit.
Reason = Literal["no_ink", "several_digits", "other_marks", "no_digit", "faint", "unsure"]


class Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Error(Answer):
    error: str = Field(description="one sentence", examples=["The upload is a damaged or truncated image."])
    status: int | None = Field(None, description="of an image among several: the status that it would have had alone")


class ModelAnswer(Answer):
    """What one network says."""

    name: str = Field(examples=["cnn"])
    digit: Digit
    confidence: Probability
    probabilities: list[Probability] = Field(min_length=10, max_length=10, description="of the digits 0 to 9")
    latency_ms: float = Field(description="in the inference engine, for the whole batch")
    box: Box | None = Field(None, description="faster_rcnn: where it sees the digit, in pixels of the upload")


class Timing(Answer):
    decode: float = Field(description="bytes to grey levels")
    canonicalise: float = Field(description="grey levels to the 28x28 pixels of one digit")
    queue: float = Field(description="waiting for a thread and for the models")
    inference: float = Field(description="the chosen models, one after another, for the whole batch")
    total: float = Field(description="from the complete upload to the answer")


class ReadTiming(Answer):
    decode: float = Field(description="bytes to grey levels")
    read: float = Field(description="finding the digits, and all inference")
    total: float = Field(description="from the complete upload to the answer")


class Proposal(Answer):
    box: Box = Field(description="in pixels of the 28x28 image")
    objectness: Probability = Field(description="how sure the first stage is that there is an object")


class Found(Answer):
    box: Box = Field(description="in pixels of the 28x28 image")
    digit: Digit
    score: Probability


class Layer(Answer):
    """One layer of a network, as the served graph has it; batch norm is part of its convolution."""

    kind: Literal["convolution", "pooling", "attention", "regions", "dense"]
    size: list[int] = Field(description="of its output: channels, height, width; or tokens, width; or width")
    kernel: int | None = Field(None, description="pixels a side")
    stride: int | None = Field(None, description="pixels from one step to the next")
    parameters: int


class Stage(Answer):
    """The last feature maps of one size."""

    side: int = Field(description="pixels")
    channels: int = Field(description="how many maps there are")
    shown: list[int] = Field(description="the channels of the pictures, strongest first")
    maps: str = Field(description="these maps side by side, eight a row, on one scale; a PNG as a data: URL")


class Inside(Answer):
    """How one network comes to its answer for one image."""

    name: str = Field(examples=["cnn"])
    digit: Digit = Field(description="the digit of `occlusion`")
    image: str = Field(description="the 28x28 image that the model saw, a PNG as a data: URL")
    occlusion: list[list[float]] = Field(
        description="7x7, -1 to 1: by how much this model's probability of `digit` falls when 8x8 pixels around one of "
        "the 4x4 cells are covered with background (Zeiler & Fergus, https://arxiv.org/abs/1311.2901). Comparable "
        "between models. It does not show how parts work together, nor that missing ink speaks against other digits."
    )
    layers: list[Layer]
    kernels: str = Field(description="the first convolution's kernels, middle grey is 0; a PNG as a data: URL")
    stages: list[Stage]
    attention: list[list[list[list[float]]]] | None = Field(
        None,
        description="vit: of each layer and head 7x7 shares, from the class token to each 4x4 patch. It shows where a "
        "layer takes information from, and does not measure importance (Jain & Wallace, "
        "https://arxiv.org/abs/1902.10186).",
    )
    proposals: list[Proposal] | None = Field(
        None, description="faster_rcnn: the regions that its region proposal network passes to the box head, best first"
    )
    found: list[Found] | None = Field(None, description="faster_rcnn: the boxes that the box head makes of them")


class Explanation(Answer):
    image: str = Field(description="the 28x28 image that the models saw, a PNG as a data: URL")
    ink: str | None = Field(
        None, description="the ink before framing, a PNG as a data: URL; null for an image that has MNIST's framing"
    )


class Prediction(Answer):
    """One digit, read by all chosen models."""

    digit: Digit
    confidence: Probability = Field(description="of the calibrated mean of the chosen models")
    is_digit: Probability | None = Field(
        None, description="how likely this is one clean digit, by a network of its own; `confidence` says which"
    )
    accepted: bool = Field(description="false: probably no single digit, or hardly written; `digit` is the best guess")
    reason: Reason | None = Field(description="why it is not accepted; null if it is")
    note: str | None = Field(description="the reason as a sentence for people; null if it is accepted")
    digits_seen: int = Field(ge=0, description="how many digits are in the image; of several, `digit` is the largest")
    agreement: int = Field(ge=0, description="number of chosen models that give this digit")
    models: list[ModelAnswer]
    timing_ms: Timing
    device: str = Field(examples=["cpu"])
    explain: Explanation | None = None


class Mark(Answer):
    """A digit, a sign or something else on a page."""

    mark: str = Field(
        description="a digit, one of the signs . , - + / : % = ( ) x € $ #, or `other`: letters, a word, a drawing",
        examples=["7", "/", "other"],
    )
    confidence: Probability
    accepted: bool = Field(description="false: `other`, or doubtful; it is left out of `text`")
    box: Box = Field(description="in pixels of the upload")
    line: int = Field(ge=0, description="number of the line, counted from 0 at the top")


class PageDigit(Answer):
    """One digit on a page."""

    digit: Digit
    confidence: Probability
    accepted: bool = Field(description="false: probably not a digit; it is left out of `text`")
    reason: Reason | None = Field(description="why it is not accepted; null if it is")
    box: Box = Field(description="in pixels of the upload")
    line: int = Field(ge=0, description="number of the line, counted from 0 at the top")
    image: str | None = Field(None, description="with explain: the 28x28 image the models saw, a PNG as a data: URL")


class Number(Answer):
    """Accepted digits that stand together."""

    number: str = Field(description="its digits, without signs", examples=["1969"])
    box: Box = Field(description="in pixels of the upload")
    line: int = Field(ge=0, description="number of the line, counted from 0 at the top")


class Text(Answer):
    """Any number of digits, line by line, and what stands among them."""

    text: str = Field(
        description="the accepted digits in reading order; a space separates the numbers of a line, a newline lines",
        examples=["24 12 2026"],
    )
    transcript: str = Field(
        description="the same lines with their signs; a letter, a word, a drawing or a doubtful digit is `?`",
        examples=["24/12/2026"],
    )
    note: str | None = Field(description="a sentence that says what `text` leaves out; null if it leaves out nothing")
    numbers: list[Number] = Field(
        description="a wide gap and each sign but a point or a comma between two digits separate numbers"
    )
    marks: list[Mark] = Field(description="everything that was read, in reading order")
    digits: list[PageDigit] = Field(description="the digits among the marks, with those that are not accepted")
    digits_seen: int = Field(ge=0, description="how many of them are accepted")
    is_number: bool = Field(
        description="whether at least half of the accepted digits are sure: in drawings, digits are seen that are not"
    )
    turned: int = Field(
        description="degrees counter-clockwise by which the image was turned to be read: 0, 90, 180 or 270"
    )
    timing_ms: ReadTiming
    device: str = Field(examples=["cpu"])


class Model(Answer):
    """One served network."""

    name: str = Field(examples=["cnn"])
    sha256: str = Field(description="of the artefact's file", examples=["5f2b" * 16])
    device: str = Field(description="where it runs: cpu or cuda", examples=["cpu"])
    metadata: dict[str, str | int | float] = Field(
        description="the artefact's own metadata", examples=[{"name": "cnn", "parameters": 1959530, "seed": 0}]
    )
