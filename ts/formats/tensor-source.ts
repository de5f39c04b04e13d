import { open } from 'node:fs/promises';
import { EspalierError } from '../common/errors.js';
import { fileError } from '../common/file-error.js';
import type { SafetensorsDType } from './safetensors-dtype.js';
import type { TensorEntry } from './safetensors-header.js';

/** A tensor to be written: its description, and its bytes when they are asked for. */
export interface TensorSource {
  name: string;
  dtype: SafetensorsDType;
  shape: readonly number[];
  /** The bytes in row-major little-endian order, in pieces; may be asked for more than once. */
  chunks(): AsyncIterable<Uint8Array>;
}

const CHUNK_BYTES = 4 << 20;

/** A tensor copied byte for byte out of another safetensors file, whatever its dtype. */
export function fileSource(entry: TensorEntry, name = entry.name): TensorSource {
  return { name, dtype: entry.dtype, shape: entry.shape, chunks: () => fileChunks(entry) };
}

/** A tensor of f32 numbers out of ordinary memory. */
export function memorySource(
  name: string,
  shape: readonly number[],
  data: Float32Array,
): TensorSource {
  return {
    name,
    dtype: 'F32',
    shape,
    async *chunks() {
      for (let start = 0; start < data.length; start += CHUNK_BYTES / 4) {
        const part = data.subarray(start, start + CHUNK_BYTES / 4);
        yield new Uint8Array(part.buffer, part.byteOffset, part.byteLength);
      }
    },
  };
}

async function* fileChunks(entry: TensorEntry): AsyncGenerator<Uint8Array> {
  const buffer = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, entry.bytes));
  const handle = await open(entry.file, 'r').catch((error) => {
    throw fileError(error, 'read', entry.file);
  });
  try {
    for (let done = 0; done < entry.bytes; ) {
      const wanted = Math.min(buffer.length, entry.bytes - done);
      const { bytesRead } = await handle.read(buffer, 0, wanted, entry.offset + done);
      if (bytesRead === 0) {
        throw new EspalierError('FORMAT', `${entry.file} ended inside the tensor ${entry.name}`);
      }
      done += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await handle.close();
  }
}
