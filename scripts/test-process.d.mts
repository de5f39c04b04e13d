/** Where the totals of a test program stand in its output. */
export interface Labels {
  total: RegExp;
  passed: RegExp;
  skipped: RegExp;
}

/** What a test program reported. */
export interface Totals {
  passed: number;
  failed: number;
  skipped: number;
}

/** A program that has ended. */
export interface Execution {
  output: string;
  ended: string;
  late: boolean;
  seconds: number;
}

export const uvuLabels: Labels;
export const doctestLabels: Labels;

/** Runs a program to its end and collects what it printed. */
export function execute(
  program: string,
  args: string[],
  options: { timeLimitMs: number; environment?: Record<string, string>; group?: boolean },
): Promise<Execution>;

/** What a run reported; a program that ended badly without naming a failure counts as one. */
export function totals(output: string, ended: string, labels: Labels): Totals;
