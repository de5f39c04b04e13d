import { open } from 'node:fs/promises';
import { EspalierError } from '../common/errors.js';
import { fileError } from '../common/file-error.js';
import type { TensorEntry } from './safetensors-header.js';

/**
 * Reads a tensor of floating-point numbers out of a safetensors file into ordinary memory, widened
 * to f32.
 * @throws EspalierError `UNSUPPORTED` for a dtype other than F32, BF16 and F16, `FORMAT` when the file
 * has become shorter, `OUT_OF_MEMORY`, `CONFIG` when it can't be read.
 */
export async function readFloats(entry: TensorEntry): Promise<Float32Array> {
  const { dtype, file, name, offset, bytes } = entry;
  if (dtype !== 'F32' && dtype !== 'BF16' && dtype !== 'F16') {
    throw new EspalierError('UNSUPPORTED', `tensor ${name} of ${file} has the dtype ${dtype}`, {
      remedy: 'store it as F32, BF16 or F16',
      details: { tensor: name, dtype },
    });
  }
  const data = await readBytes(file, name, offset, bytes);
  if (dtype === 'F32') return new Float32Array(data.buffer);
  const halves = new Uint16Array(data.buffer);
  return dtype === 'BF16' ? fromBFloat16(halves) : fromFloat16(halves);
}

async function readBytes(
  file: string,
  name: string,
  offset: number,
  bytes: number,
): Promise<Uint8Array<ArrayBuffer>> {
  let data: Uint8Array<ArrayBuffer>;
  try {
    data = new Uint8Array(bytes);
  } catch (cause) {
    throw new EspalierError('OUT_OF_MEMORY', `tensor ${name} needs ${bytes} bytes`, { cause });
  }
  try {
    const handle = await open(file, 'r');
    try {
      for (let done = 0; done < bytes; ) {
        const length = Math.min(bytes - done, 2 ** 30);
        const { bytesRead } = await handle.read(data, done, length, offset + done);
        if (bytesRead === 0) {
          throw new EspalierError('FORMAT', `${file} ended inside the tensor ${name}`);
        }
        done += bytesRead;
      }
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw fileError(error, 'read', file);
  }
  return data;
}

function fromBFloat16(halves: Uint16Array): Float32Array {
  const bits = new Uint32Array(halves.length);
  for (let i = 0; i < halves.length; i++) bits[i] = (halves[i] as number) << 16;
  return new Float32Array(bits.buffer);
}

function fromFloat16(halves: Uint16Array): Float32Array {
  const values = new Float32Array(halves.length);
  for (let i = 0; i < halves.length; i++) {
    const half = halves[i] as number;
    const sign = half & 0x8000 ? -1 : 1;
    const exponent = (half >> 10) & 31;
    const fraction = half & 1023;
    if (exponent === 31) values[i] = fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
    else if (exponent === 0) values[i] = sign * fraction * 2 ** -24;
    else values[i] = sign * (1024 + fraction) * 2 ** (exponent - 25);
  }
  return values;
}
