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

/** Model, evaluation text, calibration texts. One file for two purposes is dealt out in blocks. */
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
      evaluation: deal(directory, a, `${name}-evaluation.txt`, (block) => block % 3 === 1),
      calibration: {
        'same kind': deal(directory, b, `${name}-same.txt`, (block) => block % 3 !== 1),
        'other kind': c,
      },
      description:
        `${name}: evaluated on every third block of 20 lines of ${evaluation}, calibrated on ` +
        `the other blocks of ${same} (same kind) or on ${other} (other kind)`,
    });
    if (quick) break;
  }
  return found;
}

/** Copies some blocks of 20 lines of a text, which keeps all its parts in proportion. */
function deal(
  directory: string,
  file: string,
  name: string,
  chosen: (block: number) => boolean,
): string {
  const lines = readFileSync(file, 'utf8').split('\n');
  const path = join(directory, name);
  const kept = lines.filter((_, index) => chosen(Math.floor(index / 20)));
  writeFileSync(path, kept.join('\n'));
  return path;
}
