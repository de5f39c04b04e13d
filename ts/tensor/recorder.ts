import type { Pieces } from '../common/pieces.js';
import type { Tensor } from './tensor.js';

/**
 * A gradient rule: from the gradients of an op's outputs (undefined where none came) to those of its
 * inputs, in order, each shaped like its input.
 *
 * @param gradients one per output
 * @param saved what the op asked to keep, in order; freed afterwards
 * @param wanted which inputs need a gradient; undefined may be returned for the others
 */
export type Backward = (
  gradients: readonly (Tensor | undefined)[],
  saved: readonly Tensor[],
  wanted: readonly boolean[],
) => readonly (Tensor | undefined)[];

/** One application of an op, as its gradient rule needs it. */
export interface OpRecord {
  /** Name of the op, for messages. */
  op: string;
  /** What it read, as far as a gradient can flow there. */
  inputs: readonly (Tensor | undefined)[];
  /** What it made. */
  outputs: readonly Tensor[];
  /** What the rule needs; kept alive by the recorder whatever the caller disposes. */
  saved: readonly Tensor[];
  /** The rule. */
  backward: Backward;
}

/** What nn/ installs to see ops being applied. */
export interface Recorder {
  /** Whether recording is on and a gradient flows to this tensor. */
  tracks(tensor: Tensor): boolean;
  /** Takes note of an op of which some input is tracked. */
  record(op: OpRecord): void;
  /** Walks back from `root`, a piece for each op. */
  walkBack(root: Tensor, gradient: Tensor | undefined): Pieces<void>;
  /** A tensor was disposed. */
  disposed(tensor: Tensor): void;
}

let installed: Recorder | undefined;

/** Makes `recorder` the one of this thread. */
export function installRecorder(recorder: Recorder): void {
  installed = recorder;
}

/** The recorder of this thread, if one was installed. */
export function currentRecorder(): Recorder | undefined {
  return installed;
}

/**
 * Whether an op applied to `inputs` now would be recorded; ops make the outputs that only their
 * gradient rule needs under this condition.
 */
export function isTracked(...inputs: readonly (Tensor | undefined)[]): boolean {
  const recorder = installed;
  if (recorder === undefined) return false;
  return inputs.some((input) => input !== undefined && recorder.tracks(input));
}

/** Records an op when a gradient flows to one of its inputs; does nothing otherwise. */
export function record(op: OpRecord): void {
  if (isTracked(...op.inputs)) installed?.record(op);
}
