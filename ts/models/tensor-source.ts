import { safetensorsDType, type SharedDType } from '../formats/safetensors-dtype.js';
import type { TensorSource } from '../formats/tensor-source.js';
import type { Tensor } from '../tensor/tensor.js';
import { settle } from '../tensor/settle.js';

/** As much is copied out of native memory at once, so that no copy delays the event loop. */
const CHUNK_BYTES = 2 << 20;

/** A tensor in memory as something that can be written. */
export function tensorSource(name: string, tensor: Tensor, signal?: AbortSignal): TensorSource {
  const dtype = safetensorsDType(tensor.dtype as SharedDType);
  return { name, dtype, shape: tensor.shape, chunks: () => tensorChunks(tensor, signal) };
}

async function* tensorChunks(tensor: Tensor, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  const flat = tensor.reshape([tensor.size]);
  try {
    for (let start = 0; start < tensor.size; start += CHUNK_BYTES / 8) {
      const part = flat.slice(start, Math.min(tensor.size, start + CHUNK_BYTES / 8));
      try {
        const values = await settle(part, signal);
        yield new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
      } finally {
        part.dispose();
      }
    }
  } finally {
    flat.dispose();
  }
}
