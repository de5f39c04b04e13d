import { join } from 'node:path';
import { packageVersion } from '../common/environment.js';
import { writeJsonFile } from './write-json-file.js';

/** What stands in `run.json`: how an output directory came to be. */
export interface RunRecord {
  /** The verb: `prune`, `finetune`. */
  command: string;
  /** Version of espalier. */
  version: string;
  options: Readonly<Record<string, unknown>>;
  seed: number;
  /** The concrete device. */
  device: string;
  /** SHA-256 of the input files, by path as given. */
  inputs: Readonly<Record<string, string>>;
  metrics: Readonly<Record<string, unknown>>;
}

/** The name of the record in an output directory. */
export const RUN_RECORD_FILE = 'run.json';

/**
 * Writes `run.json`.
 * @throws EspalierError `CONFIG` when it can't be written.
 */
export async function writeRunRecord(
  directory: string,
  record: Omit<RunRecord, 'version'>,
): Promise<void> {
  const { command, ...rest } = record;
  const whole: RunRecord = { command, version: packageVersion(), ...rest };
  await writeJsonFile(join(directory, RUN_RECORD_FILE), whole);
}
