import { EspalierError } from '../common/errors.js';
import { keep, scope } from '../tensor/scope.js';
import { Tensor } from '../tensor/tensor.js';
import type { TokenBatch } from './token-batch.js';

/**
 * Remembers the stream that enters the lowest trained layer, sample by sample: below it nothing
 * changes while a frozen base is trained, so it is computed once. Bounded; the sample that was asked
 * for longest ago goes first.
 */
export class PrefixCache {
  readonly #maxBytes: number;
  readonly #streams = new Map<string, Tensor>();
  #bytes = 0;
  #hits = 0;
  #misses = 0;

  /** @param maxBytes memory that streams may take, 4 bytes per token and hidden unit */
  constructor(maxBytes: number) {
    if (!(maxBytes >= 0)) {
      throw new EspalierError(
        'CONFIG',
        `prefixCache: expected a size of at least 0, got ${maxBytes}`,
      );
    }
    this.#maxBytes = maxBytes;
  }

  /** Bytes held, and how often a sample was there or not. */
  get statistics(): { bytes: number; samples: number; hits: number; misses: number } {
    const { size: samples } = this.#streams;
    return { bytes: this.#bytes, samples, hits: this.#hits, misses: this.#misses };
  }

  /**
   * The stream of a batch, out of the cache as far as it is there.
   * @param depth number of layers below; streams of another depth are other streams
   * @param compute the stream of samples that are not there, f32 [batch, sequence, hidden]
   * @returns f32 [batch, sequence, hidden]; zeros where there is padding
   */
  stream(batch: TokenBatch, depth: number, compute: (missing: TokenBatch) => Tensor): Tensor {
    return scope(() => {
      const samples = samplesOf(batch, depth);
      const absent = samples.filter(({ key }) => !this.#streams.has(key));
      const missing = [...new Map(absent.map((sample) => [sample.key, sample])).values()];
      this.#hits += samples.length - missing.length;
      this.#misses += missing.length;
      const fresh = new Map<string, Tensor>();
      if (missing.length > 0) {
        const computed = compute(
          rowsOf(
            batch,
            missing.map(({ row }) => row),
          ),
        );
        for (const [i, { key, length }] of missing.entries()) {
          const rows = computed
            .slice(i, i + 1)
            .reshape(computed.shape.slice(1))
            .slice(0, length);
          const copy = Tensor.zeros(rows.shape);
          copy.copyFrom(rows);
          fresh.set(key, copy);
        }
      }
      const streams = samples.map(({ key }) => this.#take(key) ?? (fresh.get(key) as Tensor));
      const hidden = streams[0]?.shape[1] as number;
      const result = Tensor.zeros([batch.batch, batch.sequence, hidden]);
      for (const [row, stream] of streams.entries()) {
        const target = result.slice(row, row + 1).reshape([batch.sequence, hidden]);
        target.slice(0, stream.shape[0] as number).copyFrom(stream);
      }
      for (const [key, stream] of fresh) this.#put(key, stream);
      return result;
    });
  }

  /** Frees everything held. */
  dispose(): void {
    for (const stream of this.#streams.values()) stream.dispose();
    this.#streams.clear();
    this.#bytes = 0;
  }

  /** Moves a stream to the end of the order in which they go. */
  #take(key: string): Tensor | undefined {
    const stream = this.#streams.get(key);
    if (stream === undefined) return undefined;
    this.#streams.delete(key);
    this.#streams.set(key, stream);
    return stream;
  }

  #put(key: string, stream: Tensor): void {
    const bytes = 4 * stream.size;
    if (bytes > this.#maxBytes) return;
    for (const [oldest, held] of this.#streams) {
      if (this.#bytes + bytes <= this.#maxBytes) break;
      this.#streams.delete(oldest);
      this.#bytes -= 4 * held.size;
      held.dispose();
    }
    this.#streams.set(key, keep(stream));
    this.#bytes += bytes;
  }
}

interface Sample {
  key: string;
  row: number;
  /** Tokens up to the last that is not padding. */
  length: number;
}

function samplesOf(batch: TokenBatch, depth: number): Sample[] {
  const { inputIds, attentionMask, typeIds, sequence } = batch;
  return Array.from({ length: batch.batch }, (_, row) => {
    const start = row * sequence;
    const mask = attentionMask?.subarray(start, start + sequence);
    const length = mask === undefined ? sequence : mask.lastIndexOf(1) + 1;
    const cut = (array: Int32Array | Uint8Array | undefined) =>
      array?.subarray(start, start + length).join();
    const hidden = mask?.subarray(0, length).includes(0) ? mask.subarray(0, length).join('') : '';
    return { key: `${depth}:${cut(inputIds)}:${cut(typeIds) ?? ''}:${hidden}`, row, length };
  });
}

/** Some of the sequences of a batch, as a batch. */
function rowsOf(batch: TokenBatch, rows: readonly number[]): TokenBatch {
  const { sequence } = batch;
  const pick = <A extends Int32Array | Uint8Array>(array: A, target: A): A => {
    for (const [i, row] of rows.entries()) {
      target.set(array.subarray(row * sequence, (row + 1) * sequence), i * sequence);
    }
    return target;
  };
  const size = rows.length * sequence;
  const { inputIds, attentionMask, typeIds } = batch;
  return {
    inputIds: pick(inputIds, new Int32Array(size)),
    ...(attentionMask && { attentionMask: pick(attentionMask, new Uint8Array(size)) }),
    ...(typeIds && { typeIds: pick(typeIds, new Uint8Array(size)) }),
    batch: rows.length,
    sequence,
  };
}
