import { EspalierError } from '../common/errors.js';
import { keep, scope } from '../tensor/scope.js';
import { settled } from '../tensor/settle.js';
import { Tensor } from '../tensor/tensor.js';
import type { TokenBatch } from './token-batch.js';

/**
 * Remembers the stream that enters the lowest trained layer, sample by sample: below it nothing
 * changes while a frozen base is trained, so it is computed once (LEGEND's saving). Each sample is
 * computed alone and without its padding, so that what is kept depends on nothing but the sample.
 *
 * Bounded: full, it keeps what it has, since a pass over the data asks for everything in turn and
 * whatever were replaced would be missed later; only streams of another depth make room.
 */
export class PrefixCache {
  readonly #maxBytes: number;
  readonly #streams = new Map<string, { depth: number; stream: Tensor }>();
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
   * @param compute the stream of one sample without the padding behind it, f32 [1, length, hidden]
   * @returns f32 [batch, sequence, hidden]; zeros where there is padding
   */
  stream(batch: TokenBatch, depth: number, compute: (sample: TokenBatch) => Tensor): Tensor {
    return scope(() => {
      const fresh = new Map<string, Tensor>();
      const streams = Array.from({ length: batch.batch }, (_, row) => {
        const sample = sampleOf(batch, row);
        const key = keyOf(sample, depth);
        const known = this.#streams.get(key)?.stream ?? fresh.get(key);
        if (known !== undefined) {
          this.#hits++;
          return known;
        }
        this.#misses++;
        const computed = compute(sample);
        const stream = computed.reshape(computed.shape.slice(1));
        fresh.set(key, stream);
        return stream;
      });
      const hidden = streams[0]?.shape[1] as number;
      const result = Tensor.zeros([batch.batch, batch.sequence, hidden], 'f32', streams[0]?.device);
      for (const [row, stream] of streams.entries()) {
        const target = result.slice(row, row + 1).reshape([batch.sequence, hidden]);
        target.slice(0, stream.shape[0] as number).copyFrom(stream);
      }
      for (const [key, stream] of fresh) this.#put(key, depth, stream);
      return result;
    });
  }

  /** Frees everything held. */
  dispose(): void {
    for (const { stream } of this.#streams.values()) stream.dispose();
    this.#streams.clear();
    this.#bytes = 0;
  }

  #put(key: string, depth: number, stream: Tensor): void {
    const bytes = 4 * stream.size;
    if (bytes > this.#maxBytes) return;
    for (const [oldest, held] of this.#streams) {
      if (this.#bytes + bytes <= this.#maxBytes) break;
      if (held.depth !== depth) this.#drop(oldest, held.stream);
    }
    if (this.#bytes + bytes > this.#maxBytes) return;
    this.#streams.set(key, { depth, stream: keep(stream) });
    this.#bytes += bytes;
    // One that no memory could be had for must not fail every later step of its sample.
    settled(stream).catch(() => {
      if (this.#streams.get(key)?.stream === stream) this.#drop(key, stream);
    });
  }

  #drop(key: string, stream: Tensor): void {
    this.#streams.delete(key);
    this.#bytes -= 4 * stream.size;
    stream.dispose();
  }
}

/** One sequence of a batch up to its last token that is not padding; an empty one keeps a place. */
function sampleOf(batch: TokenBatch, row: number): TokenBatch {
  const { inputIds, attentionMask, typeIds, sequence } = batch;
  const start = row * sequence;
  const mask = attentionMask?.subarray(start, start + sequence);
  const length = mask === undefined ? sequence : Math.max(1, mask.lastIndexOf(1) + 1);
  const real = mask?.subarray(0, length);
  return {
    inputIds: inputIds.subarray(start, start + length),
    ...(real?.includes(0) && { attentionMask: real }),
    ...(typeIds && { typeIds: typeIds.subarray(start, start + length) }),
    batch: 1,
    sequence: length,
  };
}

/** Everything that decides a sample's stream, as text. */
function keyOf({ inputIds, attentionMask, typeIds }: TokenBatch, depth: number): string {
  const types = typeIds?.some((type) => type !== 0) ? typeIds.join() : '';
  return `${depth}:${inputIds.join()}:${types}:${attentionMask?.join('') ?? ''}`;
}
