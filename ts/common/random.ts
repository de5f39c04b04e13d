import { EspalierError } from './errors.js';

/**
 * Seeded random numbers: sfc32 (Chris Doty-Humphrey, PractRand), seeded through splitmix32.
 * The same seed gives the same sequence on every machine. Not for secrets.
 */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;
  #spare: number | undefined;

  /** `seed`: a whole number in [0, 2^53); anything else throws `CONFIG`. */
  constructor(seed: number) {
    if (!Number.isSafeInteger(seed) || seed < 0) {
      throw new EspalierError('CONFIG', `seed must be a whole number of at least 0, got ${seed}`);
    }
    const high = Math.floor(seed / 2 ** 32);
    const mix = splitmix32((seed ^ Math.imul(high, 0x9e3779b9)) >>> 0);
    this.#a = mix();
    this.#b = mix() ^ high;
    this.#c = mix();
    for (let i = 0; i < 12; i++) this.uint32();
  }

  /** A whole number in [0, 2^32). */
  uint32(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum;
    return sum >>> 0;
  }

  /** A number in [0, 1) with 53 random bits. */
  float(): number {
    return ((this.uint32() >>> 5) * 2 ** 26 + (this.uint32() >>> 6)) / 2 ** 53;
  }

  /** A whole number in [0, n), without modulo bias; n in [1, 2^32]. */
  integer(n: number): number {
    if (!Number.isInteger(n) || n < 1 || n > 2 ** 32) {
      throw new EspalierError('CONFIG', `n must be a whole number from 1 to 2^32, got ${n}`);
    }
    const limit = 2 ** 32 - (2 ** 32 % n);
    for (;;) {
      const value = this.uint32();
      if (value < limit) return value % n;
    }
  }

  /** A standard normal number (Marsaglia's polar method). */
  normal(): number {
    if (this.#spare !== undefined) {
      const spare = this.#spare;
      this.#spare = undefined;
      return spare;
    }
    for (;;) {
      const u = 2 * this.float() - 1;
      const v = 2 * this.float() - 1;
      const square = u * u + v * v;
      if (square === 0 || square >= 1) continue;
      const factor = Math.sqrt((-2 * Math.log(square)) / square);
      this.#spare = v * factor;
      return u * factor;
    }
  }

  /** Shuffles in place (Fisher-Yates) and returns the same array. */
  shuffle<T>(items: T[]): T[] {
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.integer(i + 1);
      const held = items[i] as T;
      items[i] = items[j] as T;
      items[j] = held;
    }
    return items;
  }

  /** `count` different whole numbers out of [0, n), in ascending order. */
  sample(n: number, count: number): number[] {
    if (!Number.isInteger(count) || count < 0 || count > n) {
      throw new EspalierError(
        'CONFIG',
        `count must be a whole number from 0 to ${n}, got ${count}`,
      );
    }
    const chosen = new Set<number>();
    // Floyd's algorithm: each subset is equally likely, and only `count` numbers are held.
    for (let top = n - count; top < n; top++) {
      const pick = this.integer(top + 1);
      chosen.add(chosen.has(pick) ? top : pick);
    }
    return [...chosen].sort((x, y) => x - y);
  }
}

/**
 * A seed of its own for each of several places that draw from one seed, such as the layers of a model.
 * @returns a whole number in [0, 2^53)
 */
export function deriveSeed(seed: number, place: number): number {
  const random = new Random(seed);
  const mix = splitmix32((random.uint32() ^ Math.imul(place + 1, 0x85ebca6b)) >>> 0);
  mix();
  return (mix() >>> 11) * 2 ** 32 + mix();
}

function splitmix32(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return (z ^ (z >>> 15)) >>> 0;
  };
}
