import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { modelDirectory, textFile } from '../inputs.js';

/** A model with the texts to calibrate and to evaluate on. */
export interface Subject {
  name: string;
  directory: string;
  evaluation: string;
  calibration: { 'same kind': string; 'other kind': string };
  /** What the texts are, for the report. */
  description: string;
}

type Options = Readonly<Record<string, string | boolean | undefined>>;

/** Model, evaluation text, calibration texts. One file for two purposes is cut in the middle. */
const SUBJECTS = [
  ['babyllama-tok105', 'tinystories_sample.txt', 'tinystories_sample.txt', 'wizard_of_oz.txt'],
  ['stories260K', 'tinystories_sample.txt', 'tinystories_sample.txt', 'wizard_of_oz.txt'],
  ['demo-3m', 'pd_valid.txt', 'pd_calibration.txt', 'reviews_calibration.txt'],
] as const;

/** The models that are there, their texts cut and copied into `directory`. */
export function subjects(directory: string, options: Options, quick: boolean): Subject[] {
  const found: Subject[] = [];
  for (const [name, evaluation, same, other] of SUBJECTS) {
    const model = modelDirectory(name, options);
    const files = [evaluation, same, other].map((file) => textFile(file, options));
    if (model === undefined || files.some((file) => file === undefined)) continue;
    const [a, b, c] = files as [string, string, string];
    found.push({
      name,
      directory: model,
      evaluation: cut(directory, a, `${name}-evaluation.txt`, 0.5, 1),
      calibration: {
        'same kind': cut(directory, b, `${name}-same.txt`, 0, 0.5),
        'other kind': cut(directory, c, `${name}-other.txt`, 0, 1),
      },
      description:
        `${name}: evaluated on the second half of ${evaluation}, calibrated on the first half of ` +
        `${same} (same kind) or on ${other} (other kind)`,
    });
    if (quick) break;
  }
  return found;
}

/** Copies the lines from one fraction of a text to another, so that no part is used twice. */
function cut(directory: string, file: string, name: string, from: number, to: number): string {
  const lines = readFileSync(file, 'utf8').split('\n');
  const path = join(directory, name);
  const [start, end] = [Math.floor(lines.length * from), Math.floor(lines.length * to)];
  writeFileSync(path, lines.slice(start, end).join('\n'));
  return path;
}
