// PNG files of eight-bit gray, as masks are sent: written and read here, since what a canvas gives
// back is four times as large, and some browsers alter it.

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];
const UP = 2; // the filter that gives most where rows are alike

async function encodeGray(values, width, height) {
  const lines = new Uint8Array(height * (width + 1));
  for (let y = 0; y < height; y += 1) {
    const at = y * (width + 1);
    lines[at] = UP;
    for (let x = 0; x < width; x += 1)
      lines[at + 1 + x] = values[y * width + x] - (y ? values[(y - 1) * width + x] : 0);
  }
  const head = new DataView(new ArrayBuffer(13));
  head.setUint32(0, width);
  head.setUint32(4, height);
  head.setUint8(8, 8); // bits; all else 0: gray, deflate, not interlaced
  const packed = await streamed(lines, new CompressionStream("deflate"));
  const parts = [
    new Uint8Array(SIGNATURE), chunk("IHDR", new Uint8Array(head.buffer)),
    chunk("IDAT", packed), chunk("IEND", new Uint8Array(0)),
  ];
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

// The values of a file as `encodeGray` or Pillow writes it.
async function decodeGray(file) {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const [width, height] = [view.getUint32(16), view.getUint32(20)];
  const packed = [];
  for (let at = 8; at < view.byteLength; at += 12 + view.getUint32(at))
    if (nameAt(view, at + 4) === "IDAT")
      packed.push(new Uint8Array(view.buffer, view.byteOffset + at + 8, view.getUint32(at)));
  const lines = await streamed(new Blob(packed), new DecompressionStream("deflate"));
  return unfiltered(lines, width, height);
}

function nameAt(view, at) {
  return String.fromCharCode(...[0, 1, 2, 3].map((i) => view.getUint8(at + i)));
}

// What the filters of the PNG specification, section 9.2, expect of a value from those to the left,
// above, and above to the left.
const GUESSES = [
  () => 0,
  (left) => left,
  (left, up) => up,
  (left, up) => (left + up) >> 1,
  (left, up, corner) => {
    const guess = left + up - corner;
    const [byLeft, byUp] = [Math.abs(guess - left), Math.abs(guess - up)];
    const byCorner = Math.abs(guess - corner);
    if (byLeft <= byUp && byLeft <= byCorner) return left;
    return byUp <= byCorner ? up : corner;
  },
];

// A row is a filter and what the values differ by from what it expects.
function unfiltered(lines, width, height) {
  const values = new Uint8Array(width * height);
  for (let y = 0; y < height; y += 1) {
    const guess = GUESSES[lines[y * (width + 1)]];
    const row = y * width;
    for (let x = 0; x < width; x += 1) {
      const left = x ? values[row + x - 1] : 0;
      const up = y ? values[row + x - width] : 0;
      const corner = x && y ? values[row + x - width - 1] : 0;
      values[row + x] = lines[y * (width + 1) + 1 + x] + guess(left, up, corner);
    }
  }
  return values;
}

async function streamed(data, through) {
  const stream = new Blob([data]).stream().pipeThrough(through);
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function chunk(name, data) {
  const bytes = new Uint8Array(12 + data.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, data.length);
  [...name].forEach((letter, i) => (bytes[4 + i] = letter.charCodeAt(0)));
  bytes.set(data, 8);
  view.setUint32(8 + data.length, checksum(bytes.subarray(4, 8 + data.length)));
  return bytes;
}

function checksum(bytes) {
  let sum = 0xffffffff;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit += 1) sum = sum & 1 ? (sum >>> 1) ^ 0xedb88320 : sum >>> 1;
  }
  return (sum ^ 0xffffffff) >>> 0;
}
