"""Read requests: their parameters and their bodies.

Bytes are counted while they arrive and while they are decompressed, so that a body above the limit is never held whole.
"""

import base64
import binascii
import json
import sys
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import anyio.to_thread
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

REMEMBERED = 200  # bytes of a query whose options are remembered
FIELDS = 10  # maximum number of fields in a multipart upload besides its images
FRAMING = 65_536  # bytes that a body may have around its images
QUICK = 65_536  # bytes of a body that is decoded in the event loop; more would hold up other requests
WINDOWS = {"gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}  # "deflate" is a zlib stream, RFC 9110
COUNTED = {b",": "commas", b"[": "opening brackets", b"{": "opening braces", b'"': "quotation marks"}
SPARE = 20  # values that JSON may hold besides its images


class PredictOptions(BaseModel):
    model_config = ConfigDict(frozen=True)

    models: str | None = Field(None, description="names separated by commas; all if left out", examples=["cnn,vit"])
    explain: bool = Field(False, description="adds the 28x28 image of each digit that the models saw")


class ReadOptions(PredictOptions):
    turn: bool = Field(True, description="also reads a page turned that cannot be read upright")


class InsideOptions(BaseModel):
    model_config = ConfigDict(frozen=True)

    digit: int | None = Field(None, ge=0, le=9, description="of the covered squares; if left out, the model's own")


Kind = TypeVar("Kind", bound=BaseModel)


class InMemory(MultiPartParser):
    """Starlette's own writes a file of more than 1 MB to the disk, although its body is in memory here."""

    spool_max_size = sys.maxsize


def options_of(request: Request, kind: type[Kind]) -> Kind:
    """The parameters in the address of a request. Raises HTTPException 422 for one that is unknown, twice or wrong."""
    query: bytes = request.scope["query_string"]
    return _options(query, kind) if len(query) <= REMEMBERED else _options.__wrapped__(query, kind)


@lru_cache(maxsize=256)
def _options(query: bytes, kind: type[Kind]) -> Kind:
    """They are remembered, because a client asks with the same ones each time."""
    given: dict[str, str] = {}
    for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
        if name not in kind.model_fields:
            close = get_close_matches(name, kind.model_fields, n=1)
            remedy = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(kind.model_fields)}."
            raise HTTPException(422, f"Unknown parameter {name[:40]!r}; {remedy}")
        if name in given:
            raise HTTPException(422, f"Parameter {name!r} is given twice.")
        given[name] = value
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        raise HTTPException(422, f"Parameter {str(first['loc'][0])!r}: {first['msg']}.") from error


async def image_of(request: Request, field: str, limit: int) -> bytes:
    """The bytes of the uploaded image: a multipart field, the body of an image/* request, or base64 in JSON.

    limit: maximum number of bytes of the image. Raises HTTPException with the status and the sentence for the client,
    ClientDisconnect if it has disconnected.
    """
    content_type = content_type_of(request)
    if content_type.startswith("image/") or content_type == "application/octet-stream":
        return await body_of(request, limit)
    if is_empty(request):
        return b""
    if content_type == "application/json":
        text = await _json_field(request, field, limit, 1)
        return await quickly(_decoded, text, f"JSON field {field!r}", limit)
    if content_type != "multipart/form-data":
        remedy = f"send the image as the multipart field {field!r}, as an image/* body or as base64 in JSON"
        raise wrong_type(content_type, remedy)
    async with _form(request, limit, 1) as form:
        if field not in form:
            raise _missing(f"multipart field {field!r}", form)
        return await _file(form[field], field, limit)


async def images_of(request: Request, field: str, limit: int, most: int) -> list[bytes]:
    """The bytes of each uploaded image of a batch, in order: multipart fields, or a list of base64 in JSON.

    limit: maximum number of bytes of all images together; most: maximum number of images.
    Raises the errors of `image_of`.
    """
    content_type = content_type_of(request)
    if is_empty(request):
        raise HTTPException(400, f"The upload is empty; send the images as multipart fields {field!r}.")
    if content_type == "application/json":
        texts = await _json_field(request, field, limit, most)
        texts = texts if isinstance(texts, list) else [texts]
        _check_number(len(texts), most)
        files = [await quickly(_decoded, text, f"JSON field {field!r}", limit) for text in texts]
    elif content_type == "multipart/form-data":
        async with _form(request, limit, most) as form:
            values = form.getlist(field)
            if not values:
                raise _missing(f"multipart field {field!r}", form)
            _check_number(len(values), most)
            files = [await _file(value, field, limit) for value in values]
    else:
        remedy = f"send the images as multipart fields {field!r} or as a list of base64 in JSON"
        raise wrong_type(content_type, remedy)
    if sum(map(len, files)) > limit:
        raise too_large(limit)
    return files


@asynccontextmanager
async def _form(request: Request, limit: int, most: int) -> AsyncIterator[FormData]:
    allowed = as_base64(limit) + FRAMING
    body = await body_of(request, limit, allowed)

    async def stream() -> AsyncGenerator[bytes, None]:
        yield body

    try:
        parser = InMemory(
            request.headers, stream(), max_files=most + FIELDS, max_fields=most + FIELDS, max_part_size=allowed
        )
        form = await parser.parse()
    except MultiPartException as error:
        if error.message.startswith("Too many"):
            message = f"There are more than {most + FIELDS} fields; the limit is {most} images."
            raise HTTPException(413, message) from error
        raise HTTPException(400, f"The multipart body is damaged: {error.message.rstrip('.')}.") from error
    except (LookupError, UnicodeError) as error:  # the charset that the body names is unknown or wrong
        raise HTTPException(400, "The multipart body is damaged: its text is not in the charset it names.") from error
    try:
        yield form
    finally:
        await form.close()


async def _file(value: UploadFile | str, field: str, limit: int) -> bytes:
    if isinstance(value, UploadFile):
        if value.size is not None and value.size > limit:
            raise too_large(limit)
        return await value.read()
    return await quickly(_decoded, value, f"multipart field {field!r}", limit)


def _decoded(text: Any, place: str, limit: int) -> bytes:
    """The bytes in a text: base64, or a data: URL of it."""
    if not isinstance(text, str):
        raise HTTPException(422, f"The {place} must hold base64 or a data: URL.")
    head, comma, data = text.partition(",")
    if comma and head[:5].lower() == "data:" and head[-7:].lower() == ";base64":
        text = data
    try:
        content = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        message = f"The {place} holds text, but no base64; send the file itself (an address is never fetched)."
        raise HTTPException(422, message) from error
    if len(content) > limit:
        raise too_large(limit)
    return content


async def _json_field(request: Request, field: str, limit: int, most: int) -> Any:
    """The value of one field of a JSON object that holds at most so many images of `limit` bytes together."""
    body = await body_of(request, limit, as_base64(limit) + FRAMING)
    strings, commas = 2 * (most + SPARE), 2 * most + SPARE  # each data: URL has a comma too
    value = await quickly(bounded_json, body, {b'"': strings, b",": commas, b"[": SPARE, b"{": SPARE})
    if not isinstance(value, dict):
        raise HTTPException(422, f"The JSON of the body is not an object with the field {field!r}.")
    if field not in value:
        raise _missing(f"JSON field {field!r}", value)
    return value[field]


def bounded_json(text: bytes, allowed: Mapping[bytes, int]) -> Any:
    """Parse JSON that holds each character at most as often as `allowed`.

    Parsing makes an object of each value: 10 MB of "[],[]," took 700 MB and 4 s. Raises HTTPException 413 and 400.
    """
    for character, most in allowed.items():
        if (count := text.count(character)) > most:
            message = f"The JSON has {count} {COUNTED[character]}; the largest request needs {most}."
            raise HTTPException(413, message)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, "The JSON of the request cannot be parsed.") from error


async def quickly(work: Any, *arguments: Any) -> Any:
    """Do some work on a text or bytes, its first argument, in a thread if it is long."""
    first = arguments[0]
    if isinstance(first, str | bytes) and len(first) > QUICK:
        return await anyio.to_thread.run_sync(work, *arguments)
    return work(*arguments)


def _check_number(found: int, most: int) -> None:
    if found > most:
        raise HTTPException(413, f"There are {found} images; the limit is {most}.")


def _missing(what: str, given: Mapping[str, Any]) -> HTTPException:
    fields = ", ".join(repr(str(name)[:40]) for name in list(given)[: 2 * FIELDS]) or "none"
    return HTTPException(422, f"The {what} is missing; the fields sent: {fields}.")


def is_empty(request: Request) -> bool:
    """Whether a request has no body."""
    return header(request, b"content-length") in ("", "0") and not header(request, b"transfer-encoding")


def content_type_of(request: Request) -> str:
    return header(request, b"content-type").partition(";")[0].strip().lower()


def header(request: Request, name: bytes) -> str:
    """A header by its name in small letters; "" if there is none."""
    return next((value for own, value in request.scope["headers"] if own == name), b"").decode("latin-1")


def wrong_type(content_type: str, remedy: str) -> HTTPException:
    given = f"Content-Type {content_type[:80]!r} is" if content_type else "A body without a Content-Type is"
    return HTTPException(415, f"{given} not allowed; {remedy}.")


def as_base64(size: int) -> int:
    """Bytes that so many bytes have in base64, with a line break after each 57 of them."""
    return size // 57 * 78 + 80


async def body_of(request: Request, limit: int, allowed: int | None = None) -> bytes:
    """The body of a request, decompressed.

    allowed: maximum number of bytes, before and after decompression; default: `limit`, which the error names.
    Raises HTTPException 413 as soon as there are more, 415 for an encoding that is not undone here, 400 for a damaged
    one.
    """
    allowed = limit if allowed is None else allowed
    encoding = header(request, b"content-encoding").strip().lower()
    if encoding not in ("", "identity", *WINDOWS):
        raise HTTPException(415, f"Content-Encoding {encoding[:40]!r} is not allowed; send gzip, deflate or none.")
    declared = header(request, b"content-length")
    if declared.isdecimal() and int(declared) > allowed:
        raise too_large(limit)
    body, more = bytearray(), True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > allowed:
            raise too_large(limit)
    if encoding in WINDOWS:
        return await quickly(_decompressed, bytes(body), encoding, limit, allowed)
    return bytes(body)


def _decompressed(body: bytes, encoding: str, limit: int, allowed: int) -> bytes:
    stream = zlib.decompressobj(WINDOWS[encoding])
    try:
        content = stream.decompress(body, allowed + 1)
    except zlib.error as error:
        raise HTTPException(400, f"The body is not a valid {encoding} stream.") from error
    if len(content) > allowed:
        raise too_large(limit)
    if not stream.eof or stream.unused_data:
        raise HTTPException(400, f"The {encoding} stream in the body is cut off, or other bytes follow it.")
    return content


def too_large(limit: int) -> HTTPException:
    return HTTPException(413, f"The upload is larger than the limit of {limit:,} bytes.")
