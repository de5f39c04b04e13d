import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { demoDirectory } from './synthetic-checkpoint.js';

/** Options with which suites are told where models and texts lie. */
export const inputOptions = {
  models: { type: 'string' },
  texts: { type: 'string' },
} as const;

type Options = Readonly<Record<string, string | boolean | undefined>>;

/** A measured model and the texts for it. */
export interface MeasuredModel {
  name: string;
  directory: string;
  /** Texts by what they are, never calibrated and evaluated on the same part. */
  evaluation: string;
  calibration: string;
}

/**
 * Finds a checkpoint in `--models`, else in `ESPALIER_MODELS`; `undefined` when it is not there.
 * babyllama-tok105 is the demo's, and always there.
 */
export function modelDirectory(name: string, options: Options): string | undefined {
  const root = (options.models as string | undefined) ?? process.env.ESPALIER_MODELS;
  const given = root === undefined ? undefined : join(root, name);
  if (given !== undefined && existsSync(join(given, 'config.json'))) return given;
  return name === 'babyllama-tok105' ? join(demoDirectory(), 'model') : undefined;
}

/** Finds a text in `--texts`, else in `ESPALIER_TEXTS`, else among the demo's. */
export function textFile(name: string, options: Options): string | undefined {
  const roots = [options.texts as string | undefined, process.env.ESPALIER_TEXTS];
  for (const root of [...roots, join(demoDirectory(), 'text')]) {
    if (root !== undefined && existsSync(join(root, name))) return join(root, name);
  }
  return undefined;
}
