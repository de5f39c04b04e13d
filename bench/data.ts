import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Random } from '../ts/common/random.js';

/** Numbers that are drawn one by one, and the stretches in which they come again. */
const POOL = 1 << 22;
const STRETCH = 1 << 15;

/**
 * `count` seeded standard normal numbers. Beyond four million, stretches from random places of those:
 * drawing a hundred million takes longer than what is measured with them.
 */
export function normals(seed: number, count: number): Float32Array {
  const random = new Random(seed);
  const values = new Float32Array(count);
  const drawn = Math.min(count, POOL);
  for (let i = 0; i < drawn; i++) values[i] = random.normal();
  for (let done = drawn; done < count; done += STRETCH) {
    const start = random.integer(POOL - STRETCH);
    values.copyWithin(done, start, start + Math.min(STRETCH, count - done));
  }
  return values;
}

/** Rounds to what bf16 can hold, to nearest even, in place. */
export function roundToBf16(values: Float32Array): Float32Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  for (let i = 0; i < bits.length; i++) {
    const b = bits[i]!;
    bits[i] = (b + 0x7fff + ((b >>> 16) & 1)) & 0xffff0000;
  }
  return values;
}

/** A directory for files that a suite hands to its peer; removed at the end of `body`. */
export async function withDirectory<R>(body: (directory: string) => Promise<R>): Promise<R> {
  const directory = mkdtempSync(join(tmpdir(), 'espalier-bench-'));
  try {
    return await body(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Writes the raw elements of `values` and returns the path. */
export function writeRaw(directory: string, name: string, values: ArrayBufferView): string {
  const path = join(directory, name);
  writeFileSync(path, new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  return path;
}
