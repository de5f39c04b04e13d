// What a suite sees: its options, a report to fill, the Python peer, progress on stderr.
import type { ParseArgsConfig } from 'node:util';
import type { Peer } from './peers/peer.js';
import type { Report } from './report.js';

/** What a suite is given. */
export interface SuiteContext {
  /** Values of the suite's own options. */
  options: Readonly<Record<string, string | boolean | undefined>>;
  /** Fewer shapes, rounds and cells: a check that the suite works, not a measurement. */
  quick: boolean;
  /** Threads of ours and of the peer. */
  threads: number;
  /** Where ours computes: `cpu`, or an opened GPU. */
  device: string;
  /** Where the peer computes: `cpu` or `cuda`. */
  peerDevice: string;
  report: Report;
  /** The Python peer, started on the first call; `undefined` when it is not set up. */
  peer(): Promise<Peer | undefined>;
  /** Prints a line of progress. */
  say(line: string): void;
}

/** A suite: one claim and how it is measured. */
export interface Suite {
  claim: string;
  /** Options beyond the common ones, as `util.parseArgs` takes them. */
  options?: NonNullable<ParseArgsConfig['options']>;
  /** Checks correctness, then measures, then fills the report; throws when results are wrong. */
  run(context: SuiteContext): Promise<void>;
}

/** Fails a suite whose results are wrong: nothing that computes nonsense is timed. */
export function check(condition: boolean, message: string): void {
  if (!condition) throw new Error(`wrong result, nothing was timed: ${message}`);
}

/**
 * Fails unless `got` is within `tolerance` of `expected`, relative to the larger magnitude, or to
 * `scale` where the values may cancel.
 */
export function checkClose(
  got: number,
  expected: number,
  tolerance: number,
  what: string,
  scale = Math.max(Math.abs(got), Math.abs(expected)),
): void {
  check(
    Math.abs(got - expected) <= tolerance * scale,
    `${what}: expected ${expected}, got ${got} (tolerance ${tolerance} of ${scale})`,
  );
}

export { Report } from './report.js';
export { formatFigure, formatSeconds } from './report.js';
export {
  type Contender,
  finish,
  interleave,
  median,
  ofPeer,
  onDevice,
  ratio,
  type Timing,
} from './timing.js';
