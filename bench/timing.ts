import { Mark } from '../ts/tensor/mark.js';
import { scope } from '../ts/tensor/scope.js';
import type { Tensor } from '../ts/tensor/tensor.js';

/** Something to time: returns when the work is done, or the seconds that another process measured. */
export interface Contender {
  /** What to call it in tables. */
  name: string;
  /**
   * Does the work once. A peer in another process returns its own seconds.
   * @param repeats for contenders with `inRow`: how often; the seconds returned are those of one
   */
  run(repeats: number): number | undefined | Promise<number | undefined>;
  /** The work is repeated in a row and timed as a whole, as devices are that queue it. */
  inRow?: boolean;
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
   * round's repetitions counts, because other processes only ever add; the mean of those in a row.
   * Default 0.05.
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
    await once(contender, 1);
    const seconds = await once(contender, contender.inRow ? 3 : 1);
    repeats.push(Math.min(1000, Math.max(1, Math.round(least / seconds))));
  }
  const timings = contenders.map(({ name }) => ({ name, seconds: [] as number[], median: 0 }));
  for (let round = 0; round < rounds; round++) {
    for (const [index, contender] of contenders.entries()) {
      await new Promise((resolve) => setTimeout(resolve, 15));
      const count = repeats[index]!;
      let fastest = contender.inRow ? await once(contender, count) : Infinity;
      if (!contender.inRow) {
        for (let i = 0; i < count; i++) fastest = Math.min(fastest, await once(contender, 1));
      }
      timings[index]!.seconds.push(fastest);
    }
  }
  for (const timing of timings) timing.median = median(timing.seconds);
  return timings;
}

async function once(contender: Contender, repeats: number): Promise<number> {
  const start = performance.now();
  const result = contender.run(repeats);
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

/**
 * Work of ours on a device. On the CPU it is done once and waited for, by the wall clock; on a GPU it
 * is queued many times in a row between two marks, by the GPU's clock.
 *
 * @param work queues the work once and returns what it made, the last tensor last
 */
export function onDevice(
  name: string,
  device: string,
  work: () => Tensor | readonly Tensor[],
): Contender {
  const made = () => [work()].flat();
  if (device === 'cpu') {
    const run = () => {
      const tensors = made();
      finish(tensors.pop()!);
      for (const tensor of tensors) tensor.dispose();
      return undefined;
    };
    return { name, run };
  }
  const run = async (repeats: number) => {
    const start = new Mark(device);
    for (let i = 0; i < repeats; i++) for (const tensor of made()) tensor.dispose();
    return (await new Mark(device).secondsSince(start)) / repeats;
  };
  return { name, run, inRow: true };
}

/**
 * Work of the peer: a method of bench/peers that takes `repeats` and returns the seconds of one, by
 * the wall clock on a CPU and by events on a GPU.
 */
export function ofPeer(
  name: string,
  device: string,
  call: (repeats: number) => Promise<number>,
): Contender {
  return { name, run: call, inRow: device !== 'cpu' };
}

/** Blocks until the stream has computed `tensor`, copying a single element out, and disposes it. */
export function finish(tensor: Tensor): void {
  scope(() => tensor.reshape([tensor.size]).slice(0, 1).readSync());
  tensor.dispose();
}
