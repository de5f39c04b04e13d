import { closeSync, openSync, readSync } from 'node:fs';
import { EspalierError } from '../common/errors.js';
import { fileError } from '../common/file-error.js';
import type { SharedDType } from '../formats/safetensors-dtype.js';
import type { TensorEntry } from '../formats/safetensors-header.js';
import { Tensor } from '../tensor/tensor.js';

const ARRAYS = {
  f32: Float32Array,
  f64: Float64Array,
  bf16: Uint16Array,
  f16: Uint16Array,
  i64: BigInt64Array,
  i32: Int32Array,
  u8: Uint8Array,
} as const;

/**
 * Copies one tensor out of its file, for the rare files whose header has an odd length: mapped memory
 * would not be aligned to the element size there.
 * @throws EspalierError `FORMAT` when the file has become shorter, `CONFIG` when it can't be read.
 */
export function readUnaligned(entry: TensorEntry, dtype: SharedDType): Tensor {
  const bytes = new Uint8Array(entry.bytes);
  try {
    const descriptor = openSync(entry.file, 'r');
    try {
      for (let done = 0; done < bytes.length; ) {
        const length = Math.min(bytes.length - done, 2 ** 30);
        const count = readSync(descriptor, bytes, done, length, entry.offset + done);
        if (count === 0) throw new EspalierError('FORMAT', `${entry.file} has become shorter`);
        done += count;
      }
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    throw fileError(error, 'read', entry.file);
  }
  return Tensor.from(new ARRAYS[dtype](bytes.buffer), entry.shape, { dtype });
}
