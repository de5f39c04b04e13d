import type { Tensor } from '../ts/tensor/tensor.js';

/** Something to time: returns when the work is done, or the seconds that another process measured. */
export interface Contender {
  /** What to call it in tables. */
  name: string;
  /** Does the work once. A peer in another process returns its own seconds. */
  run(): number | undefined | Promise<number | undefined>;
}

/** What was measured of one contender. */
export interface Timing {
  name: string;
  /** Seconds of every round, in order. */
  seconds: number[];
  /** Median of `seconds`. */
  median: number;
}

/** How `interleave` measures. */
export interface TimingOptions {
  /** Measured rounds; one more goes ahead as a warm-up. Default 7. */
  rounds?: number;
  /**
   * Seconds that one contender works per round at least, repeating what is short: the fastest of a
   * round's repetitions counts, because other processes only ever add. Default 0.05.
   */
  least?: number;
}

/**
 * Times contenders in turns, A B C A B C, so that whatever else the machine does hits all of them.
 * Between two turns it sleeps long enough for the threads of the last one to stop spinning.
 */
export async function interleave(
  contenders: readonly Contender[],
  { rounds = 7, least = 0.05 }: TimingOptions = {},
): Promise<Timing[]> {
  const repeats: number[] = [];
  for (const contender of contenders) {
    await once(contender);
    repeats.push(Math.min(1000, Math.max(1, Math.round(least / (await once(contender))))));
  }
  const timings = contenders.map(({ name }) => ({ name, seconds: [] as number[], median: 0 }));
  for (let round = 0; round < rounds; round++) {
    for (const [index, contender] of contenders.entries()) {
      await new Promise((resolve) => setTimeout(resolve, 15));
      const count = repeats[index]!;
      let fastest = Infinity;
      for (let i = 0; i < count; i++) fastest = Math.min(fastest, await once(contender));
      timings[index]!.seconds.push(fastest);
    }
  }
  for (const timing of timings) timing.median = median(timing.seconds);
  return timings;
}

async function once(contender: Contender): Promise<number> {
  const start = performance.now();
  const result = contender.run();
  const reported = result instanceof Promise ? await result : result;
  return reported ?? (performance.now() - start) / 1000;
}

/**
 * How much longer `a` takes than `b`: the median over rounds of the ratio of neighbouring
 * measurements, which a slow drift of the machine does not move.
 */
export function ratio(a: Timing, b: Timing): number {
  return median(a.seconds.map((seconds, round) => seconds / b.seconds[round]!));
}

/** The middle value; of an even number the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((x, y) => x - y);
  const middle = sorted.length >> 1;
  if (sorted.length % 2 === 1) return sorted[middle]!;
  return (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Blocks until the stream has computed `tensor`, copying a single row out. */
export function finish(tensor: Tensor): void {
  const row = tensor.shape.length === 0 ? tensor : tensor.slice(0, 1);
  row.readSync();
  if (row !== tensor) row.dispose();
  tensor.dispose();
}
