"""Request bodies, counted while they arrive: nothing larger than allowed is ever held."""

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser

FIELDS = 10  # of a multipart upload, at most
FRAMING = 65_536  # bytes that a multipart body may have around the image


async def image_of(request, field, limit):
    """The bytes of the uploaded image: the multipart field `field`, or the body of an image/* request.

    Raises HTTPException with the status and the sentence that the client gets, ClientDisconnect if it went away.
    """
    content_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if content_type == "multipart/form-data":
        return await _field_of(request, await body_of(request, limit + FRAMING), field, limit)
    if content_type.startswith("image/") or content_type == "application/octet-stream":
        return await body_of(request, limit)
    given = f"Content-Type {content_type[:80]!r} is" if content_type else "A body without a Content-Type is"
    message = f"{given} not allowed; send the image as the multipart field {field!r} or as an image/* body."
    raise HTTPException(415, message)


async def _field_of(request, body, field, limit):
    async def stream():
        yield body

    try:
        form = await MultiPartParser(request.headers, stream(), max_files=FIELDS, max_fields=FIELDS).parse()
    except MultiPartException as error:
        raise HTTPException(400, f"The multipart body is damaged: {error.message.rstrip('.')}.") from error
    except (LookupError, UnicodeError) as error:  # from the charset that it names
        raise HTTPException(400, "The multipart body is damaged: its text is not in the charset it names.") from error
    try:
        value = form.get(field)
        if value is None:
            fields = ", ".join(repr(name[:40]) for name in form) or "none"
            raise HTTPException(422, f"The multipart field {field!r} is missing; the fields sent: {fields}.")
        if not isinstance(value, UploadFile):
            message = f"The multipart field {field!r} holds text; send the file itself (an address is never fetched)."
            raise HTTPException(422, message)
        data = await value.read()
    finally:
        await form.close()
    if len(data) > limit:
        raise _too_large(len(data), limit)
    return data


async def body_of(request, limit):
    """The body of a request, counted while it arrives. Raises HTTPException 413 above `limit` bytes."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise _too_large(int(declared), limit)
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise _too_large(size, limit)
        chunks.append(chunk)
    return b"".join(chunks)


def _too_large(size, limit):
    message = f"The upload has at least {size} bytes; the limit is {limit}."
    return HTTPException(413, message)
