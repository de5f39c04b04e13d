import type { ProgressEvent } from '../common/events.js';

/** Speed of a phase. */
export interface Pace {
  /** Units a second, once two events are apart in time. */
  rate: number | undefined;
  /** Seconds to go, once the rate is known. */
  remaining: number | undefined;
  /** Seconds since the phase began. */
  elapsed: number;
}

/**
 * Measures the rate of a phase from its events. What was already done at its first event (a resumed
 * run) does not count as speed.
 */
export class Meter {
  /** The name that the events of this phase carry. */
  readonly phase: string;
  readonly #start: number;
  readonly #done: number;

  /** `now` in milliseconds, of any monotonic clock. */
  constructor(first: ProgressEvent, now: number) {
    this.phase = first.phase;
    this.#start = now;
    this.#done = first.completed;
  }

  /** The pace up to this event. */
  pace(event: ProgressEvent, now: number): Pace {
    const elapsed = (now - this.#start) / 1000;
    const units = event.completed - this.#done;
    if (units <= 0 || elapsed <= 0) return { rate: undefined, remaining: undefined, elapsed };
    const rate = units / elapsed;
    return { rate, remaining: Math.max(0, event.total - event.completed) / rate, elapsed };
  }
}
