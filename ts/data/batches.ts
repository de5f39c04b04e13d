import { EspalierError } from '../common/errors.js';
import { Random } from '../common/random.js';
import { type Batch, collate } from './collate.js';
import type { Sample, SampleSource } from './sample.js';
import { SeededPermutation } from './seeded-permutation.js';

/** How a data set is cut into batches. */
export interface BatchOptions {
  /** Samples in a batch; the last one of a pass may have fewer. */
  batchSize: number;
  /** Seed of the order; each pass has its own. */
  seed?: number;
  /** A new order in every pass; default true. */
  shuffle?: boolean;
  /**
   * Batches that are filled together by length, so that little is padding; default 32, 1 keeps the
   * order as it is.
   */
  bucketBatches?: number;
  /** Id that fills the places of no token; default 0. */
  padId?: number;
}

/**
 * The batches of a data set, pass by pass. What stands in a batch follows from seed, pass and number
 * alone, so a training that was interrupted goes on with the very batches that it would have had.
 */
export class Batches {
  /** Batches in a pass. */
  readonly perEpoch: number;
  readonly #source: SampleSource;
  readonly #options: Required<BatchOptions>;

  /**
   * @throws EspalierError `CONFIG` for options out of range or a data set without samples
   */
  constructor(source: SampleSource, options: BatchOptions) {
    const { batchSize, seed = 0, shuffle = true, bucketBatches = 32, padId = 0 } = options;
    for (const [name, value] of Object.entries({ batchSize, bucketBatches })) {
      if (Number.isInteger(value) && value >= 1) continue;
      throw new EspalierError('CONFIG', `${name} must be a whole number from 1, got ${value}`);
    }
    if (source.count === 0) throw new EspalierError('CONFIG', 'the data has no samples');
    this.#source = source;
    this.#options = { batchSize, seed, shuffle, bucketBatches, padId };
    this.perEpoch = Math.ceil(source.count / batchSize);
  }

  /**
   * The batches of one pass, from a given one on. The next bucket is read while one is used.
   * @param epoch number of the pass, from 0
   * @param first number of the first batch, as a checkpoint remembers it
   */
  async *epoch(epoch: number, first = 0, signal?: AbortSignal): AsyncGenerator<Batch> {
    const { bucketBatches } = this.#options;
    const buckets = Math.ceil(this.perEpoch / bucketBatches);
    let bucket = Math.floor(first / bucketBatches);
    let skip = first % bucketBatches;
    let ahead = bucket < buckets ? this.#bucket(epoch, bucket, signal) : undefined;
    try {
      while (ahead !== undefined) {
        const batches = await ahead;
        bucket++;
        ahead = bucket < buckets ? this.#bucket(epoch, bucket, signal) : undefined;
        // A failure is reported when its turn comes, not as an unhandled rejection.
        ahead?.catch(() => undefined);
        for (const batch of batches.slice(skip)) yield batch();
        skip = 0;
      }
    } finally {
      await ahead?.catch(() => undefined);
    }
  }

  /** The batches of one bucket, each put together when it is asked for. */
  async #bucket(
    epoch: number,
    bucket: number,
    signal: AbortSignal | undefined,
  ): Promise<(() => Batch)[]> {
    const { batchSize, bucketBatches, seed, shuffle, padId } = this.#options;
    const { count } = this.#source;
    const size = batchSize * bucketBatches;
    const places = Array.from(
      { length: Math.min(size, count - bucket * size) },
      (_, i) => bucket * size + i,
    );
    // Odd factors keep the seeds of passes and buckets apart.
    const passSeed = (new Random(seed).uint32() ^ Math.imul(epoch + 1, 0x9e3779b1)) >>> 0;
    const bucketSeed = (passSeed ^ Math.imul(bucket + 1, 0x85ebca6b)) >>> 0;
    const order = new SeededPermutation(count, passSeed);
    const numbers = shuffle ? places.map((place) => order.at(place)) : places;
    const samples = await this.#source.read(numbers, signal);
    const all = numbers.map((number, i) => ({ number, sample: samples[i] as Sample }));
    if (bucketBatches > 1) {
      const length = ({ sample }: (typeof all)[number]) => sample.inputIds.length;
      all.sort((x, y) => length(x) - length(y));
    }
    const groups: (typeof all)[] = [];
    for (let i = 0; i < all.length; i += batchSize) groups.push(all.slice(i, i + batchSize));
    if (shuffle && bucketBatches > 1) new Random(bucketSeed).shuffle(groups);
    return groups.map(
      (group) => () =>
        collate(
          group.map(({ sample }) => sample),
          group.map(({ number }) => number),
          padId,
        ),
    );
  }
}
