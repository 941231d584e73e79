"""Read request bodies. Bytes are counted while they arrive, so a body above the limit is never held whole."""

import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from starlette.datastructures import FormData, Headers, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

FIELDS = 10  # maximum number of fields in a multipart upload besides its images
FRAMING = 65_536  # bytes that a multipart body may have around its images


class InMemory(MultiPartParser):
    """Starlette's own writes a file of more than 1 MB to the disk, although its body is in memory here."""

    spool_max_size = sys.maxsize


async def image_of(request: Request, field: str, limit: int) -> bytes:
    """The bytes of the uploaded image: the multipart field `field`, or the body of an image/* request.

    Raises HTTPException with the status and the sentence for the client, ClientDisconnect if it has disconnected.
    """
    content_type = content_type_of(request)
    if content_type.startswith("image/") or content_type == "application/octet-stream":
        return await body_of(request, limit)
    if is_empty(request.headers):
        return b""
    if content_type != "multipart/form-data":
        raise wrong_type(content_type, f"send the image as the multipart field {field!r} or as an image/* body")
    async with _form(request, await body_of(request, limit + FRAMING), 1) as form:
        if field not in form:
            raise _missing(form, field)
        data = await _file(form[field], field)
    if len(data) > limit:
        raise _too_large(len(data), limit)
    return data


async def images_of(request: Request, field: str, limit: int, most: int) -> list[bytes]:
    """The bytes of each uploaded image of a batch, in order, from the multipart fields `field`.

    limit: maximum number of bytes of all images together; most: maximum number of images.
    Raises the errors of `image_of`.
    """
    content_type = content_type_of(request)
    if is_empty(request.headers):
        raise HTTPException(400, f"The upload is empty; send the images as multipart fields {field!r}.")
    if content_type != "multipart/form-data":
        raise wrong_type(content_type, f"send the images as multipart fields {field!r}")
    async with _form(request, await body_of(request, limit + FRAMING), most) as form:
        files = [await _file(value, field) for value in form.getlist(field)]
        if not files:
            raise _missing(form, field)
    if len(files) > most:
        raise HTTPException(413, f"There are {len(files)} images; the limit is {most}.")
    return files


@asynccontextmanager
async def _form(request: Request, body: bytes, most: int) -> AsyncIterator[FormData]:
    async def stream() -> AsyncGenerator[bytes, None]:
        yield body

    try:
        form = await InMemory(request.headers, stream(), max_files=most + FIELDS, max_fields=FIELDS).parse()
    except MultiPartException as error:
        if error.message.startswith("Too many files"):
            raise HTTPException(413, f"There are more than {most + FIELDS} files; the limit is {most}.") from error
        raise HTTPException(400, f"The multipart body is damaged: {error.message.rstrip('.')}.") from error
    except (LookupError, UnicodeError) as error:  # the charset that the body names is unknown or wrong
        raise HTTPException(400, "The multipart body is damaged: its text is not in the charset it names.") from error
    try:
        yield form
    finally:
        await form.close()


async def _file(value: UploadFile | str, field: str) -> bytes:
    if isinstance(value, UploadFile):
        return await value.read()
    message = f"The multipart field {field!r} holds text; send the file itself (an address is never fetched)."
    raise HTTPException(422, message)


def _missing(form: FormData, field: str) -> HTTPException:
    fields = ", ".join(repr(name[:40]) for name in form) or "none"
    return HTTPException(422, f"The multipart field {field!r} is missing; the fields sent: {fields}.")


def is_empty(headers: Headers) -> bool:
    """Whether a request with these headers has no body."""
    return headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers


def content_type_of(request: Request) -> str:
    return request.headers.get("content-type", "").split(";")[0].strip().lower()


def wrong_type(content_type: str, remedy: str) -> HTTPException:
    given = f"Content-Type {content_type[:80]!r} is" if content_type else "A body without a Content-Type is"
    return HTTPException(415, f"{given} not allowed; {remedy}.")


async def body_of(request: Request, limit: int) -> bytes:
    """The body of a request. Raises HTTPException 413 as soon as more than `limit` bytes have arrived."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise _too_large(int(declared), limit)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise _too_large(len(body), limit)
    return bytes(body)


def _too_large(size: int, limit: int) -> HTTPException:
    message = f"The upload has at least {size} bytes; the limit is {limit}."
    return HTTPException(413, message)
