// A PNG file as pixels alone: what it says besides (recipe, prompt, program) is in chunks of other
// names, and left out.

const PIXELS = /^(IHDR|PLTE|tRNS|IDAT|IEND)$/;

async function bare(blob) {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  const view = new DataView(bytes.buffer);
  const kept = [bytes.subarray(0, 8)]; // its signature
  for (let start = 8; start + 12 <= bytes.length; ) {
    const end = start + 12 + view.getUint32(start);
    const name = String.fromCharCode(...bytes.subarray(start + 4, start + 8));
    if (PIXELS.test(name)) kept.push(bytes.subarray(start, end));
    start = end;
  }
  return new Blob(kept, { type: "image/png" });
}
