"""Small uploads that cost much time or memory: one function for each way that we know.

Each function takes a random generator, draws sizes and variants from it, and returns the bytes of an upload.
"""

import struct
import zlib
from collections.abc import Callable
from functools import cache

import numpy as np
from PIL import Image, ImageFile

from tests.conftest import encode

BODY = 10_000_000  # bytes of an upload
SIDE = 8_000  # pixels: the service takes at most SIDE * SIDE, and more of a JPEG
ImageFile.MAXBLOCK = 2**27  # bytes that Pillow may write at once: a progressive JPEG of noise needs them
Maker = Callable[[np.random.Generator], bytes]


def noise(generator: np.random.Generator, height: int, width: int, bands: int, block: int = 1) -> Image.Image:
    """A picture of random squares: grey (1 band), RGB (3), RGBA or CMYK (4)."""
    shape = -(-height // block), -(-width // block), bands
    pixels = generator.integers(0, 256, shape, np.uint8).repeat(block, 0).repeat(block, 1)[:height, :width]
    return Image.fromarray(pixels.squeeze(2) if bands == 1 else pixels)


def shape(generator: np.random.Generator, most: int = SIDE * SIDE) -> tuple[int, int]:
    """Height and width of a square, a tall strip or a wide strip of at most so many pixels."""
    height = int(most ** generator.choice([0.5, 0.5, 0.6, 0.4, 0.7, 0.3]))
    return height, most // height


def jpeg_shape(generator: np.random.Generator, most: int) -> tuple[int, int]:
    height, width = shape(generator, most)
    return min(height, 65_000), min(width, 65_000)


def jpeg_huge(generator: np.random.Generator) -> bytes:
    """A photograph of the largest phones, of 1 to 4 bands; a progressive one has fewer pixels."""
    progressive = bool(generator.integers(2))
    height, width = jpeg_shape(generator, SIDE * SIDE * (1 if progressive else 3))
    mode = str(generator.choice(["L", "RGB", "CMYK"]))
    block = noise(generator, 512, 512, len(mode), 4)
    block = block.convert(mode) if mode != "CMYK" else block
    image = Image.new(mode, (width, height), 200 if mode == "L" else (200,) * len(mode))
    image.paste(block, (width // 3, height // 3))
    subsampling = int(generator.choice([0, 2]))
    return encode(image, "JPEG", progressive=progressive, quality=75, subsampling=subsampling)[:BODY]


def jpeg_segments(generator: np.random.Generator) -> bytes:
    """Millions of segments, or a few that take long, before the first scan."""
    kind = int(generator.choice([0xE0, 0xE1, 0xED, 0xFE, 0xDB, 0xC0, 0xC4, 0xE2]))
    start = {0xE1: b"Exif\0\0II*\0\x08\0\0\0", 0xED: b"Photoshop 3.0\0", 0xE2: b"ICC_PROFILE\0\1\1"}.get(kind, b"")
    filler = {0xDB: b"\0" + bytes(64), 0xED: b"8BIM\4\4\0\0\0\0\0\0", 0xC0: b"\1\x11\0"}.get(kind, b"\1")
    length = int(generator.choice([0, 20, 1_000, 60_000]))
    body = (start + filler * (length // len(filler)))[: max(length, len(start) if length else 0)]
    segment = b"\xff" + bytes([kind]) + struct.pack(">H", len(body) + 2) + body
    jpeg = encode(Image.new("L", (64, 64)), "JPEG")
    return jpeg[:2] + segment * ((BODY - len(jpeg)) // len(segment)) + jpeg[2:]


def jpeg_junk(generator: np.random.Generator) -> bytes:
    jpeg = encode(Image.new("L", (64, 64)), "JPEG")
    junk = [b"\0", b"\xff", b"\xff\xd0", b"\xff\xd8", b"\xff\0", b"\xff\xd8\xff\xff\xff\xfe\0\2"]
    junk = junk[generator.integers(len(junk))]
    return jpeg[:2] + junk * ((BODY - len(jpeg)) // len(junk)) + jpeg[2:]


def jpeg_scans(generator: np.random.Generator) -> bytes:
    bands, block = int(generator.choice([1, 3, 4])), int(generator.choice([8, 16, 64, 400]))
    pixels = SIDE * SIDE // int(generator.choice([1, 2, 4, 16]))
    image = noise(generator, *jpeg_shape(generator, pixels), bands, block)
    image = image.convert("CMYK") if bands == 4 else image
    jpeg = encode(image, "JPEG", progressive=True, quality=int(generator.choice([30, 75, 95])), subsampling=0)
    last = jpeg[jpeg.rindex(b"\xff\xda") : -2]
    return (jpeg[:-2] + last * int(generator.integers(120)))[: BODY - 2] + jpeg[-2:]


def jpeg_large(generator: np.random.Generator) -> bytes:
    size = jpeg_shape(generator, SIDE * SIDE)
    image = noise(generator, *size, int(generator.choice([1, 3])), int(generator.choice([2, 3, 8])))
    return encode(image, "JPEG", quality=int(generator.choice([20, 50])), progressive=bool(generator.integers(2)))[
        :BODY
    ]


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(header: bytes, chunks: list[tuple[bytes, bytes]]) -> bytes:
    parts = [(b"IHDR", header), *chunks, (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*part) for part in parts)


def png_metadata(generator: np.random.Generator) -> bytes:
    packed = zlib.compress(bytes(1_000_000), 9)
    kinds = {
        b"iCCP": b"a\0\0" + packed,
        b"zTXt": b"a\0\0" + packed,
        b"iTXt": b"a\0\1\0\0\0" + packed,
        b"tEXt": b"a\0b",
        b"gAMA": bytes(4),
        b"prVt": b"",
    }
    kind = list(kinds)[generator.integers(len(kinds))]
    count = min(int(10 ** generator.uniform(1.5, 6)), (BODY - 200) // (12 + len(kinds[kind])))
    pixels = [(b"IDAT", zlib.compress(bytes(65 * 64)))]
    metadata = [(kind, kinds[kind])] * count
    return png(struct.pack(">IIBBBBB", 64, 64, 8, 0, 0, 0, 0), [(metadata + pixels), (pixels + metadata)][count % 2])


def png_pixels(generator: np.random.Generator) -> bytes:
    """A large picture that compresses well: any depth, interlaced or not, in chunks of any size."""
    depth, colour, bits = [(1, 0, 1), (8, 3, 8), (8, 2, 24), (8, 6, 32), (16, 0, 16), (16, 6, 64), (16, 4, 32)][
        generator.integers(7)
    ]
    height, width = shape(generator)
    interlaced = int(generator.integers(2))
    size = height * (width * bits // 8 + 2) * (2 if interlaced else 1)
    row = generator.integers(0, 256, 997, np.uint8).tobytes() if generator.integers(2) else bytes(997)
    pixels = zlib.compress((b"\0" * size) if row[0] == 0 else (row * (size // 997 + 1)), 1)[: BODY - 100_000]
    chunk = int(generator.choice([1_000, 8_192, BODY]))
    chunks = [(b"IDAT", pixels[at : at + chunk]) for at in range(0, len(pixels), chunk)]
    if colour == 3:
        chunks.insert(0, (b"PLTE", bytes(range(256)) * 3))
        chunks.insert(1, (b"tRNS", bytes(range(256))))
    return png(struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced), chunks)


def png_empty_blocks(generator: np.random.Generator) -> bytes:
    """Deflate blocks without content before the pixels."""
    pixels = zlib.compress(bytes(65 * 64))
    empty = b"\0\0\0\xff\xff" * (BODY // 5 - 100)
    body = pixels[:2] + empty + pixels[2:]
    step = int(generator.choice([500, 8_192, BODY]))
    chunks = [(b"IDAT", body[at : at + step]) for at in range(0, len(body), step)]
    return png(struct.pack(">IIBBBBB", 64, 64, 8, 0, 0, 0, 0), chunks)[:BODY]


def webp(generator: np.random.Generator) -> bytes:
    lossless, bands = bool(generator.integers(2)), int(generator.choice([3, 4]))
    height, width = (min(side, 16_383) for side in shape(generator))
    image = noise(generator, height, width, bands, int(generator.choice([3, 4, 16, 500])))
    return encode(image, "WEBP", lossless=lossless, quality=30, method=0)[:BODY]


def webp_canvas(generator: np.random.Generator) -> bytes:
    """A small animation on a large canvas."""
    frames = [Image.new("RGBA", (64, 64), (level, 0, 0, 255)) for level in (0, 9)]
    data = bytearray(encode(frames[0], "WEBP", save_all=True, append_images=frames[1:]))
    height, width = shape(generator, int(generator.choice([SIDE * SIDE, 10**9])))
    data[24:30] = (min(width, 2**24) - 1).to_bytes(3, "little") + (min(height, 2**24) - 1).to_bytes(3, "little")
    at = data.index(b"ANMF")
    frame = bytes(data[at:])
    data += frame * ((BODY - len(data)) // len(frame) if generator.integers(2) else 0)
    data[4:8] = struct.pack("<I", len(data) - 8)
    return bytes(data)


def bmp(generator: np.random.Generator) -> bytes:
    """Every kind of run-length coding, and plain pixels."""
    compression, bits = [(1, 8), (2, 4), (0, 1), (0, 8), (0, 24), (0, 32)][generator.integers(6)]
    runs = [b"\0\0", b"\xff\1", b"\1\1", b"\0\2\1\0", b"\0\2\0\1", b"\0\4\1\2\3\4", b"\0\xff" + bytes(256)]
    body = runs[generator.integers(len(runs))] * int(10 ** generator.uniform(2, 6.7))
    height, width = shape(generator, int(10 ** generator.uniform(3, 7.2)))
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, 0, 0, 0, 256, 0)
    return (b"BM" + struct.pack("<IHHI", 0, 0, 0, 14 + 40 + 1024) + info + bytes(range(256)) * 4 + body)[:BODY]


def gif(generator: np.random.Generator) -> bytes:
    """Canvases of any size, with all kinds of blocks or bytes before the first frame."""
    height, width = shape(generator, int(generator.choice([4_096, SIDE * SIDE, 65_535**2])))
    height, width = min(height, 65_535), min(width, 65_535)
    graphics = b"!\xf9\4" + bytes([generator.choice([4, 5, 8, 9, 12]), 0, 0, 0]) + b"\0"
    fillers = [b"", b"", b"!\xfe\1a\0", b"!\xfe" + b"\1a" * 5_000 + b"\0", b"\0", graphics, b"!\xf9\0" + b"\1a" * 99]
    filler = fillers[generator.integers(len(fillers))]
    filler *= min(int(10 ** generator.uniform(0, 7)), BODY // max(len(filler), 1))
    frame = b"," + struct.pack("<HHHHB", 0, 0, width, height, int(generator.choice([0, 64]))) + b"\x08"
    pixels = noise(generator, 500, 500, 1)
    body = encode(pixels, "GIF")
    body = body[body.index(b",", 13 + 768) + 11 :]
    clears = b"\xff" + b"\0\1\2\4\x08\x10\x20\x40\x80" * 28 + b"\0\0\0"  # codes that clear the dictionary
    body = clears * (BODY // len(clears)) if generator.integers(2) else body
    start = b"GIF89a" + struct.pack("<HHBBB", width, height, 0xF7, 0, 0) + bytes(range(256)) * 3
    return start + filler[: BODY - 100_000] + graphics + (frame + body)[: max(100, BODY - len(start + filler) - 100)]


Tag = tuple[int, list[int]] | tuple[int, list[int], int]  # type, values, and how many there are said to be
TYPES = {1: "u1", 2: "u1", 3: "<u2", 4: "<u4", 5: "<u4", 7: "u1", 16: "<u8", 17: "<i8"}


def tiff(tags: dict[int, Tag], data: bytes = b"", big: bool = False) -> bytes:
    """A TIFF, or a BigTIFF, with these tags. `data` begins at byte 8, or 16."""
    start, inline = (16, 8) if big else (8, 4)
    number = "<Q" if big else "<I"
    entries, body = [], data
    for tag, (kind, numbers, *said) in sorted(tags.items()):
        packed = np.array(numbers, TYPES[kind]).tobytes()
        if len(packed) > inline:
            at, body = start + len(body), body + packed
            packed = struct.pack(number, at)
        count = said[0] if said else len(numbers) // (2 if kind == 5 else 1)
        entries.append(struct.pack("<HH", tag, kind) + struct.pack(number, count) + packed.ljust(inline, b"\0"))
    directory = struct.pack("<Q" if big else "<H", len(entries)) + b"".join(entries) + bytes(inline)
    head = b"II\x2b\0\x08\0\0\0" if big else b"II*\0"
    return head + struct.pack(number, start + len(body)) + body + directory


SMALL = {256: (4, [64]), 257: (4, [64]), 258: (3, [8]), 259: (3, [1]), 262: (3, [1]), 277: (3, [1])}


def tiff_lies(generator: np.random.Generator) -> bytes:
    """A tag of millions of values that are not there, at a place that is not there; 174 bytes took 650 MB."""
    big = bool(generator.integers(2))
    kind = int(generator.choice([1, 2, 7, 3, 4, 16 if big else 4]))
    count = int(generator.choice([20_000_000, 60_000_000, 2**31, 2**32 - 1] + [2**40, 2**62] * big))
    place = int(generator.choice([8, 2**31, 2**32 - 1] + [2**63 - 1] * big))
    tag = int(generator.choice([256, 257, 273, 278, 279, 282, 322, 324, 325, 320, 700, 34665]))
    tags: dict[int, Tag] = SMALL | {273: (4, [8]), 278: (4, [64]), 279: (4, [4_096])}
    tags[tag] = 16 if big else 4, [place]
    data = bytearray(tiff(tags, bytes(4_096 * int(generator.integers(2))), big))
    at = data.rindex(struct.pack("<HH", tag, 16 if big else 4))
    data[at : at + 12 if big else at + 8] = struct.pack("<HHQ" if big else "<HHI", tag, kind, count)
    return bytes(data)


def tiff_rows(generator: np.random.Generator) -> bytes:
    """A strip for each of millions of rows, their places and lengths in a byte each: 300 kB took 3.5 s."""
    height = int(10 ** generator.uniform(4, 6.6))
    width, kind = int(generator.choice([1, 8, 16])), int(generator.choice([1, 3]))
    compression = int(generator.choice([1, 5, 8, 32773]))
    tags: dict[int, Tag] = SMALL | {256: (4, [width]), 257: (4, [height]), 259: (3, [compression]), 278: (4, [1])}
    tags |= {273: (kind, [8] * height), 279: (kind, [int(generator.choice([1, 20]))] * height)}
    return tiff(tags, bytes(64))[:BODY]


def tiff_tiles(generator: np.random.Generator) -> bytes:
    """Tiles whose sides have a type that few readers know, larger than the picture: 2 MB took 2 GB."""
    side = int(generator.choice([16_384, 32_768, 46_336, 65_520]))
    data = zlib.compress(bytes(int(10 ** generator.uniform(6, 9))), 1)[:BODY]
    tags: dict[int, Tag] = SMALL | {259: (3, [8]), 322: (17, [side]), 323: (17, [side])}
    tags |= {324: (16, [16]), 325: (16, [len(data)])}
    return tiff(tags, data, big=True)


def tiff_jpegs(generator: np.random.Generator) -> bytes:
    """Strips that are one and the same JPEG of 85 scans: 86 kB took 3.4 s."""
    side = int(generator.choice([256, 512, 1_024]))
    jpeg = encode(noise(generator, side, side, 1, 16), "JPEG", progressive=True, quality=50)
    last = jpeg[jpeg.rindex(b"\xff\xda") : -2]
    stream = jpeg[:-2] + last * 75 + jpeg[-2:]
    strips = max(1, min(SIDE * SIDE // side**2, 10 ** int(generator.integers(1, 4))))
    tags: dict[int, Tag] = SMALL | {256: (4, [side]), 257: (4, [side * strips]), 259: (3, [7]), 278: (4, [side])}
    tags |= {273: (4, [8] * strips), 279: (4, [len(stream)] * strips)}
    return tiff(tags, stream)[:BODY]


def tiff_strips(generator: np.random.Generator) -> bytes:
    """Many strips or tiles, which may share their bytes or be larger than the picture."""
    compression = int(generator.choice([1, 5, 8, 32773, 50000, 34925]))
    count = int(10 ** generator.uniform(1, 6))
    height, width = shape(generator, int(10 ** generator.uniform(4, 7.2)))
    size = int(10 ** generator.uniform(3, 6.9))
    data = {8: b"\x78\x01" + b"\0\0\0\xff\xff" * (size // 5), 5: b"\x80\x40\x20\x10\x08\x04\x02\x01\x00" * (size // 9)}
    body = data.get(compression, bytes(size))[: BODY - 8 * count - 1_000]
    tags = {256: (4, [width]), 257: (4, [height]), 258: (3, [8]), 259: (3, [compression]), 262: (3, [1])}
    tags |= {277: (3, [1])}
    kind = generator.integers(3)
    if kind == 0:
        tags |= {273: (4, [8] * count), 278: (4, [int(generator.choice([1, height - 1, max(1, height // count)]))])}
        tags |= {279: (4, [len(body)] * count)}
    elif kind == 1:
        tags |= {273: (4, [8] * count), 278: (4, [max(1, height // count)]), 279: (4, [len(body) // count] * count)}
    else:
        side = [int(16 * generator.integers(1, 300)) for _ in range(2)]
        tags |= {322: (4, side[:1]), 323: (4, side[1:]), 324: (4, [8] * count), 325: (4, [len(body) // count] * count)}
    if generator.integers(4) == 0:
        tags[284] = 3, [2]
    return tiff(tags, body)[: BODY + 1_000]


def tiff_tags(generator: np.random.Generator) -> bytes:
    """A tag with millions of values, or a directory of thousands of tags."""
    tags: dict[int, Tag] = SMALL | {273: (4, [8]), 278: (4, [64]), 279: (4, [4_096])}
    count = int(10 ** generator.uniform(1, 6))
    kind = generator.integers(3)
    if kind == 0:
        tag, size = [(258, 3), (282, 5), (320, 3), (338, 3), (339, 3), (274, 3), (700, 1), (34675, 1)][
            generator.integers(8)
        ]
        tags[tag] = size, [1] * count
    elif kind == 1:
        tags |= {tag: (3, [1]) for tag in range(1_000, 1_000 + min(count, 60_000))}
    else:
        inner = tiff({tag: (3, [1]) for tag in range(min(count, 60_000))}, bytes(4_096))
        tags[int(generator.choice([34665, 34853]))] = 4, [struct.unpack_from("<I", inner, 4)[0]]
        return tiff(tags, inner[8:])
    return tiff(tags, bytes(4_096))[:BODY]


def tiff_large(generator: np.random.Generator) -> bytes:
    """As many pixels as the service allows, in every compression."""
    compression = str(generator.choice(["tiff_lzw", "tiff_adobe_deflate", "lzma", "zstd", "jpeg", "group3", "group4"]))
    mode = str(generator.choice(["L", "RGB", "RGBA", "CMYK", "I;16", "F"]))
    mode = {"group3": "1", "group4": "1"}.get(compression, "RGB" if compression == "jpeg" else mode)
    height, width = jpeg_shape(generator, SIDE * SIDE)
    image = Image.new(mode, (width, height), 77)
    return encode(image, "TIFF", compression=compression)[: BODY + 10**6]


def tiff_sixteen_bits(generator: np.random.Generator) -> bytes:
    """64 bits per pixel: RGBA of 16 bits each, rotated by its orientation tag."""
    height, width = shape(generator)
    body = zlib.compress(bytes(8 * height * width), 1)
    tags = {256: (4, [width]), 257: (4, [height]), 258: (3, [16] * 4), 259: (3, [8]), 262: (3, [2]), 277: (3, [4])}
    tags |= {
        273: (4, [8]),
        278: (4, [height]),
        279: (4, [len(body)]),
        338: (3, [2]),
        274: (3, [int(generator.choice([1, 6]))]),
    }
    return tiff(tags, body)


def tiff_fax(generator: np.random.Generator) -> bytes:
    """Damaged rows; libtiff prints a line for each."""
    compression = str(generator.choice(["group3", "group4", "tiff_ccitt"]))
    height, width = shape(generator, int(10 ** generator.uniform(4, 7.2)))
    image = noise(generator, height, width, 1, int(generator.choice([1, 4]))).convert("1")
    data = bytearray(encode(image, "TIFF", compression=compression))
    end = min(len(data) - 200, BODY)
    places = generator.integers(200, max(end, 201), max(len(data) // 20, 1))
    for place in places[:200_000]:
        data[place] = generator.integers(256)
    return bytes(data)


@cache
def phone(kind: str, mode: str) -> bytes:
    """A picture of many pixels as phones write it, in HEIC or AVIF."""
    import pillow_heif

    pillow_heif.register_heif_opener()
    image = noise(np.random.default_rng(0), SIDE // 2, SIDE // 2, len(mode), 64)
    return encode(image.convert(mode), kind, quality=30, **({"speed": 10} if kind == "AVIF" else {}))


def damaged_phone(generator: np.random.Generator, kind: str) -> bytes:
    """A picture of a phone of which some bytes are changed, more of them in its boxes than in its pixels."""
    data = bytearray(phone(kind, str(generator.choice(["RGB", "RGBA", "L"]))))
    for _ in range(int(generator.choice([0, 1, 4, 16]))):
        end = min(len(data), int(generator.choice([600, len(data)])))
        data[int(generator.integers(8, end))] = int(generator.integers(256))
    return bytes(data)


def heic(generator: np.random.Generator) -> bytes:
    return damaged_phone(generator, "HEIF")


def avif(generator: np.random.Generator) -> bytes:
    return damaged_phone(generator, "AVIF")


MAKERS: dict[str, tuple[Maker, ...]] = {
    "JPEG": (jpeg_segments, jpeg_junk, jpeg_scans, jpeg_large, jpeg_huge),
    "PNG": (png_metadata, png_pixels, png_empty_blocks),
    "WEBP": (webp, webp_canvas),
    "BMP": (bmp,),
    "GIF": (gif,),
    "TIFF": (
        tiff_strips,
        tiff_tags,
        tiff_lies,
        tiff_rows,
        tiff_tiles,
        tiff_jpegs,
        tiff_large,
        tiff_sixteen_bits,
        tiff_fax,
    ),
    "HEIC": (heic,),
    "AVIF": (avif,),
}
