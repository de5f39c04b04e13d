/** One step of a long operation, as `onProgress` receives it. */
export interface ProgressEvent {
  /** What is being done, in one or two words: `tokenize`, `evaluate`, `calibrate`. */
  phase: string;
  /** How many units are done. */
  completed: number;
  /** How many there are in all. */
  total: number;
  /** What is counted: `windows`, `layers`, `tokens`. */
  unit: string;
  /** A line for people, when there is something to say. */
  message?: string;
  /** Figures measured so far. */
  values?: Readonly<Record<string, number | string>>;
}

/** Options that every long operation takes. */
export interface LongOperationOptions {
  /** Aborting rejects the operation with `ABORTED` within a second and leaves nothing half-written. */
  signal?: AbortSignal;
  /** Called after every step; what it throws rejects the operation. */
  onProgress?: (event: ProgressEvent) => void;
}
