// Files to one ZIP archive, stored as they are (https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT).

const TABLE = Uint32Array.from({ length: 256 }, (_, value) => {
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

function checksum(bytes) {
  let sum = ~0;
  for (const byte of bytes) sum = TABLE[(sum ^ byte) & 255] ^ (sum >>> 8);
  return ~sum >>> 0;
}

/** `fields` are [bytes, value] pairs, little-endian. */
function record(...fields) {
  const view = new DataView(new ArrayBuffer(fields.reduce((sum, [bytes]) => sum + bytes, 0)));
  let at = 0;
  for (const [bytes, value] of fields) {
    if (bytes === 4) view.setUint32(at, value, true);
    else view.setUint16(at, value, true);
    at += bytes;
  }
  return new Uint8Array(view.buffer);
}

/** [[path, Blob], ...] to the bytes of an archive. */
export async function zip(files) {
  const parts = [];
  const directory = [];
  let offset = 0;
  for (const [path, blob] of files) {
    const name = new TextEncoder().encode(path);
    const content = new Uint8Array(await blob.arrayBuffer());
    const size = content.length;
    // version 2.0, names in UTF-8, stored, 1 January 1980
    const common = [[2, 20], [2, 0x800], [2, 0], [2, 0], [2, 33], [4, checksum(content)], [4, size], [4, size], [2, name.length], [2, 0]];
    const head = record([4, 0x04034b50], ...common);
    parts.push(head, name, content);
    directory.push(record([4, 0x02014b50], [2, 20], ...common, [2, 0], [2, 0], [2, 0], [4, 0], [4, offset]), name);
    offset += head.length + name.length + size;
  }
  const length = directory.reduce((sum, part) => sum + part.length, 0);
  const end = record([4, 0x06054b50], [2, 0], [2, 0], [2, files.length], [2, files.length], [4, length], [4, offset], [2, 0]);
  return new Blob([...parts, ...directory, end]).arrayBuffer();
}
