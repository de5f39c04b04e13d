import { length } from '../data/tasks/python-text.js';

/** The share of right answers. */
export interface Accuracy {
  value: number;
  /** Standard error of the mean, sample deviation over √n; NaN for a single question. */
  stderr: number;
}

/** Which choice is the most likely one, by three measures. */
export interface Verdict {
  /** By log-likelihood. */
  best: number;
  /** By log-likelihood over the answer's characters (code points). */
  bestPerCharacter: number;
  /** By log-likelihood over the answer's bytes in UTF-8. */
  bestPerByte: number;
}

/**
 * Chooses between answers as lm-evaluation-harness does; of equal ones, the first.
 * @param logLikelihoods one per answer
 */
export function judge(logLikelihoods: readonly number[], answers: readonly string[]): Verdict {
  const over = (size: (answer: string) => number) =>
    logLikelihoods.map((value, i) => value / size(answers[i] as string));
  return {
    best: largest(logLikelihoods),
    bestPerCharacter: largest(over(length)),
    bestPerByte: largest(over((answer) => Buffer.byteLength(answer))),
  };
}

/** Accuracy from how many of `count` answers are right. */
export function accuracy(right: number, count: number): Accuracy {
  const value = right / count;
  // The sample deviation of zeros and ones.
  return { value, stderr: Math.sqrt((value * (1 - value)) / (count - 1)) };
}

function largest(values: readonly number[]): number {
  return values.reduce((best, value, i) => (value > (values[best] as number) ? i : best), 0);
}
