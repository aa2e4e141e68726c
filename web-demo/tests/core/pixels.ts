/** Ramps with some noise, in whole numbers: the same as in `tests/golden/make_jpeg.py`. */
export function pixels(width: number, height: number, channels: number): Uint8Array {
  const data = new Uint8Array(width * height * channels);
  let at = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < channels; c++) {
        const noise = Number((BigInt(x * 73856093) ^ BigInt(y * 19349663) ^ BigInt(c * 83492791)) % 23n);
        data[at++] = (x * 3 + y * 2 + c * 40 + noise) % 256;
      }
    }
  }
  return data;
}
