import { EspalierError } from '../common/errors.js';
import { Random } from '../common/random.js';

const ROUNDS = 6;

/**
 * A permutation of [0, n) that is computed place by place and never stored: a Feistel network over the
 * next power of four, walked until it falls below n (Black and Rogaway 2002). The same seed gives the
 * same permutation everywhere, so a shuffled pass can be taken up at any place.
 */
export class SeededPermutation {
  /** How many numbers are permuted. */
  readonly size: number;
  readonly #half: number;
  readonly #keys: readonly number[];

  /**
   * @param size a whole number from 0 to 2^48
   * @throws EspalierError `CONFIG` for a size or seed out of range
   */
  constructor(size: number, seed: number) {
    if (!Number.isInteger(size) || size < 0 || size > 2 ** 48) {
      throw new EspalierError('CONFIG', `size must be a whole number up to 2^48, got ${size}`);
    }
    const random = new Random(seed);
    let half = 1;
    while (4 ** half < size) half++;
    this.size = size;
    this.#half = 2 ** half;
    this.#keys = Array.from({ length: ROUNDS }, () => random.uint32());
  }

  /** Which number stands at a place in [0, n). */
  at(place: number): number {
    let value = place;
    do value = this.#once(value);
    while (value >= this.size);
    return value;
  }

  #once(value: number): number {
    const half = this.#half;
    let left = Math.floor(value / half);
    let right = value % half;
    for (const key of this.#keys) {
      const next = (left ^ mix(right ^ key)) & (half - 1);
      left = right;
      right = next;
    }
    return left * half + right;
  }
}

/** The finaliser of MurmurHash3: every bit of the input moves every bit of the result. */
function mix(x: number): number {
  let h = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
