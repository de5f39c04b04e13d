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

/** A model with three texts of one kind, no two of which overlap. */
export interface TrainingSubject {
  name: string;
  directory: string;
  evaluation: string;
  calibration: string;
  training: string;
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
  for (const { name, model, files, names } of available(options)) {
    const [a, b, c] = files;
    const [evaluation, same, other] = names;
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

/** The models that are there, with a third of their text each for training, calibration, evaluation. */
export function trainingSubjects(
  directory: string,
  options: Options,
  quick: boolean,
): TrainingSubject[] {
  const found = available(options).map(({ name, model, files, names }): TrainingSubject => {
    const [a, b] = files;
    const [evaluation, same] = names;
    const third = (file: string, use: string, rest: number) =>
      deal(directory, file, `${name}-${use}.txt`, (block) => block % 3 === rest);
    return {
      name,
      directory: model,
      evaluation: third(a, 'evaluation', 1),
      calibration: third(b, 'calibration', 0),
      training: third(a, 'training', 2),
      description:
        `${name}: evaluated on every third block of 20 lines of ${evaluation}, trained on another ` +
        `third of it, calibrated on ${evaluation === same ? 'the last' : `a third of ${same}`}`,
    };
  });
  return quick ? found.slice(0, 1) : found;
}

/** The models that are there, with all their texts. */
function available(options: Options) {
  return SUBJECTS.flatMap(([name, ...names]) => {
    const model = modelDirectory(name, options);
    const files = names.map((file) => textFile(file, options));
    if (model === undefined || files.some((file) => file === undefined)) return [];
    return [{ name, model, names, files: files as [string, string, string] }];
  });
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
