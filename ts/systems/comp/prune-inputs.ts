import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { hashFile } from '../../formats/file-hash.js';
import { MODEL_CONFIG_FILE } from '../../formats/read-model-config.js';
import type { Checkpoint } from '../../models/checkpoint.js';
import type { ResolvedPruneOptions } from './prune-options.js';

/**
 * Identifies a run: its options, where the result goes left aside, and its inputs. Weights count by
 * size and time of change: hashing them takes as long as a layer's work, and is done for the record.
 */
export async function runFingerprint(
  checkpoint: Checkpoint,
  options: ResolvedPruneOptions,
  signal?: AbortSignal,
): Promise<string> {
  const { output: _, ...rest } = options;
  const hash = createHash('sha256').update(JSON.stringify(rest));
  hash.update(await hashFile(join(checkpoint.directory, MODEL_CONFIG_FILE), signal));
  for (const file of options.calibration) hash.update(await hashFile(file, signal));
  for (const file of checkpoint.index.files) {
    const { size, mtimeMs } = await stat(file);
    hash.update(`${size} ${mtimeMs}`);
  }
  return hash.digest('hex');
}

/** SHA-256 of all input files, by path as given. */
export async function inputHashes(
  directory: string,
  checkpoint: Checkpoint,
  calibration: readonly string[],
  signal?: AbortSignal,
): Promise<Record<string, string>> {
  const hashes: Record<string, string> = {};
  const files = [join(directory, MODEL_CONFIG_FILE), ...checkpoint.index.files, ...calibration];
  for (const file of files) hashes[file] = await hashFile(file, signal);
  return hashes;
}
