import type { FileHandle } from 'node:fs/promises';
import { throwIfAborted } from '../common/abort.js';
import { EspalierError } from '../common/errors.js';
import { SAFETENSORS_BITS } from './safetensors-dtype.js';
import { MAX_HEADER_BYTES } from './safetensors-header.js';
import type { TensorSource } from './tensor-source.js';
import { writeFileAtomically } from './write-file-atomically.js';

/** Options of {@link writeSafetensors}. */
export interface WriteSafetensorsOptions {
  /** `__metadata__`; default `{ format: 'pt' }`, which transformers asks for. */
  metadata?: Readonly<Record<string, string>>;
  signal?: AbortSignal;
  /** Called with the number of bytes of tensor data after each piece. */
  onBytes?: (bytes: number) => void;
}

/** The length of a tensor's data in bytes. */
export function sourceBytes(source: TensorSource): number {
  return (source.shape.reduce((x, y) => x * y, 1) * SAFETENSORS_BITS[source.dtype]) / 8;
}

/**
 * Writes a safetensors file, one tensor after the other, and lets it appear under its name only when
 * it is complete and on the disk. The same tensors give the same bytes. Tensors with wider elements
 * come first, so that each is aligned to its element size; otherwise the given order is kept.
 * @returns the size of the file in bytes.
 * @throws EspalierError `CONFIG` when the file can't be written, `FORMAT` for a duplicate name,
 * `SHAPE` when a tensor's bytes don't fit its shape, `ABORTED`.
 */
export async function writeSafetensors(
  path: string,
  sources: readonly TensorSource[],
  { metadata = { format: 'pt' }, signal, onBytes }: WriteSafetensorsOptions = {},
): Promise<number> {
  const ordered = [...sources].sort(
    (x, y) => SAFETENSORS_BITS[y.dtype] - SAFETENSORS_BITS[x.dtype],
  );
  const header = encodeHeader(ordered, metadata);
  return writeFileAtomically(path, async (handle) => {
    let written = await writeAll(handle, header);
    for (const source of ordered) {
      written += await writeTensor(handle, source, signal, onBytes);
    }
    return written;
  });
}

function encodeHeader(
  sources: readonly TensorSource[],
  metadata: Readonly<Record<string, string>>,
): Buffer {
  // A null prototype and defineProperty: a tensor may be called __proto__.
  const json: Record<string, unknown> = Object.create(null);
  const define = (key: string, value: unknown) => {
    if (Object.hasOwn(json, key)) {
      throw new EspalierError('FORMAT', `two tensors are called ${JSON.stringify(key)}`);
    }
    Object.defineProperty(json, key, { value, enumerable: true });
  };
  define('__metadata__', metadata);
  let offset = 0;
  for (const source of sources) {
    const end = offset + sourceBytes(source);
    define(source.name, { dtype: source.dtype, shape: source.shape, data_offsets: [offset, end] });
    offset = end;
  }
  const text = Buffer.from(JSON.stringify(json));
  const length = Math.ceil(text.length / 8) * 8;
  if (length > MAX_HEADER_BYTES) {
    throw new EspalierError('UNSUPPORTED', `${sources.length} tensors need too large a header`);
  }
  const header = Buffer.alloc(8 + length, 0x20);
  header.writeBigUInt64LE(BigInt(length));
  text.copy(header, 8);
  return header;
}

async function writeTensor(
  handle: FileHandle,
  source: TensorSource,
  signal: AbortSignal | undefined,
  onBytes: ((bytes: number) => void) | undefined,
): Promise<number> {
  const expected = sourceBytes(source);
  let written = 0;
  for await (const chunk of source.chunks()) {
    throwIfAborted(signal, 'writeSafetensors');
    written += await writeAll(handle, chunk);
    onBytes?.(chunk.length);
  }
  if (written !== expected) {
    throw new EspalierError(
      'SHAPE',
      `tensor ${source.name} of shape [${source.shape}] needs ${expected} bytes, got ${written}`,
    );
  }
  return written;
}

/** A write may be cut short by the system; this one goes on until all is written or it fails. */
async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<number> {
  for (let done = 0; done < bytes.length; ) {
    done += (await handle.write(bytes, done, bytes.length - done)).bytesWritten;
  }
  return bytes.length;
}
