import { EspalierError } from '../common/errors.js';
import type { AdapterModule } from '../formats/peft-adapter.js';
import { tensorDType } from '../formats/safetensors-dtype.js';
import type { TensorEntry } from '../formats/safetensors-header.js';
import { fileSource, type TensorSource } from '../formats/tensor-source.js';
import type { TypedArray } from '../native/types.js';
import { add } from '../ops/add.js';
import { cast } from '../ops/cast.js';
import { linear } from '../ops/linear.js';
import { scale as scaleBy } from '../ops/scale.js';
import { transpose } from '../ops/transpose.js';
import { keep, scope } from '../tensor/scope.js';
import { Tensor } from '../tensor/tensor.js';

/** Floats of the weight in memory at once. */
const BLOCK = 2 ** 20;

/**
 * The weight W + scale · B A of a module, in f32 and rounded to the dtype in which W is stored (as
 * PEFT's `merge_and_unload` does), computed in blocks of rows while it is written.
 * @param scale factor of the adapter's own scale
 * @throws EspalierError `UNSUPPORTED` for a dtype other than F32, BF16 and F16.
 */
export function mergedSource(
  entry: TensorEntry,
  module: AdapterModule,
  { name = entry.name, scale = 1 }: { name?: string; scale?: number } = {},
): TensorSource {
  const dtype = weightDType(entry);
  const { a, b, rank, inFeatures, outFeatures } = module;
  const rowBytes = entry.bytes / outFeatures;
  const rows = Math.min(outFeatures, Math.max(1, Math.floor(BLOCK / inFeatures)));
  const factors = new Float32Array(rows).fill(scale * module.scale);

  async function* chunks(): AsyncGenerator<Uint8Array> {
    const columns = scope(() => keep(transpose(Tensor.from(a, [rank, inFeatures]))));
    try {
      for (let row = 0; row < outFeatures; row += rows) {
        const count = Math.min(rows, outFeatures - row);
        const stored = await storedRows(entry, row * rowBytes, count * rowBytes);
        const values = dtype === 'f32' ? new Float32Array(stored) : new Uint16Array(stored);
        const merged = scope(() => {
          const weight = Tensor.from(values, [count, inFeatures], { dtype });
          const product = linear(
            Tensor.from(b.subarray(row * rank, (row + count) * rank), [count, rank]),
            columns,
          );
          // Scaled after the product, as PEFT does it, so that the bits are the same.
          const change = scaleBy(product, Tensor.from(factors.subarray(0, count)), {
            axis: 'rows',
          });
          return cast(add(cast(weight, 'f32'), change), dtype);
        });
        try {
          yield bytesOf(await merged.read());
        } finally {
          merged.dispose();
        }
      }
    } finally {
      columns.dispose();
    }
  }
  return { name, dtype: entry.dtype, shape: entry.shape, chunks };
}

function weightDType({ name, dtype }: TensorEntry): 'f32' | 'bf16' | 'f16' {
  const known = tensorDType(dtype);
  if (known === 'f32' || known === 'bf16' || known === 'f16') return known;
  throw new EspalierError('UNSUPPORTED', `tensor ${name} has the dtype ${dtype}`, {
    remedy: 'weights may be F32, BF16 or F16',
    details: { tensor: name, dtype },
  });
}

/** Bytes `[start, start + bytes)` of a stored tensor, in a buffer of their own. */
async function storedRows(entry: TensorEntry, start: number, bytes: number): Promise<ArrayBuffer> {
  const part = { ...entry, offset: entry.offset + start, bytes };
  const result = new Uint8Array(bytes);
  let done = 0;
  for await (const chunk of fileSource(part).chunks()) {
    result.set(chunk, done);
    done += chunk.length;
  }
  return result.buffer;
}

function bytesOf(values: TypedArray): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
