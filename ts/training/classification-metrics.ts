import { EspalierError } from '../common/errors.js';
import { accuracy } from './choice-metrics.js';

/** How well one class is found. */
export interface ClassMetrics {
  /** Of the samples that were put into the class, the share that belongs there; 0 when none was. */
  precision: number;
  /** Of the samples that belong to the class, the share that was put there; 0 when there is none. */
  recall: number;
  /** Harmonic mean of both; 0 when both are. */
  f1: number;
  /** How many samples belong to the class. */
  support: number;
}

/** How well a classifier does. */
export interface ClassificationMetrics {
  /** Share of samples that were put into their class. */
  accuracy: number;
  /** Standard error of the accuracy; NaN for a single sample. */
  accuracyStderr: number;
  /** Mean F1 of the classes that occur, among the labels or the predictions. */
  macroF1: number;
  /** Samples by their class (row) and the one they were put into (column). */
  confusion: number[][];
  /** Class by class, in order. */
  classes: ClassMetrics[];
  samples: number;
}

/** Counts the predictions of a classifier as they come. */
export class ClassificationTally {
  readonly #confusion: number[][];

  /** @param classes how many there are */
  constructor(classes: number) {
    this.#confusion = Array.from({ length: classes }, () => Array<number>(classes).fill(0));
  }

  /**
   * Counts one sample.
   * @throws EspalierError `CONFIG` for a label or a prediction that is no class.
   */
  add(label: number, prediction: number): void {
    const row = this.#confusion[label];
    const before = row?.[prediction];
    if (row === undefined || before === undefined) {
      const [name, value] = row === undefined ? ['label', label] : ['prediction', prediction];
      const last = this.#confusion.length - 1;
      throw new EspalierError(
        'CONFIG',
        `${name}: expected a class from 0 to ${last}, got ${value}`,
      );
    }
    row[prediction] = before + 1;
  }

  /** What the samples so far say. */
  metrics(): ClassificationMetrics {
    const confusion = this.#confusion.map((row) => [...row]);
    const put = confusion.map((_, c) => sum(confusion.map((row) => row[c] as number)));
    const right = confusion.map((row, c) => row[c] as number);
    const classes = confusion.map((row, c): ClassMetrics => {
      const support = sum(row);
      const hits = right[c] as number;
      return {
        precision: share(hits, put[c] as number),
        recall: share(hits, support),
        f1: share(2 * hits, support + (put[c] as number)),
        support,
      };
    });
    const occurring = classes.filter(({ support }, c) => support + (put[c] as number) > 0);
    const samples = sum(put);
    const { value, stderr } = accuracy(sum(right), samples);
    return {
      accuracy: value,
      accuracyStderr: stderr,
      macroF1: sum(occurring.map(({ f1 }) => f1)) / occurring.length,
      confusion,
      classes,
      samples,
    };
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function share(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}
