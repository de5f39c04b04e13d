import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { EspalierError } from '../common/errors.js';
import { fileError } from '../common/file-error.js';
import { readJsonFile } from './read-json-file.js';
import type { TensorEntry } from './safetensors-header.js';
import { readSafetensors } from './safetensors-reader.js';

/** The names that Hugging Face gives to the weights of a model. */
export const WEIGHTS_FILE = 'model.safetensors';
export const WEIGHTS_INDEX_FILE = `${WEIGHTS_FILE}.index.json`;

/** Where every tensor of a checkpoint lies. */
export interface WeightsIndex {
  /** By name; in the order of the files. */
  entries: ReadonlyMap<string, TensorEntry>;
  /** The safetensors files, as full paths. */
  files: readonly string[];
  /** `__metadata__` of the first file. */
  metadata: ReadonlyMap<string, string>;
}

/**
 * Finds the tensors of a checkpoint: `model.safetensors`, or else the shards that
 * `model.safetensors.index.json` names. Every shard must be a plain file name inside the directory.
 * @throws EspalierError `FORMAT` for a broken file, `CONFIG` for a missing one.
 */
export async function readWeightsIndex(directory: string): Promise<WeightsIndex> {
  const single = join(directory, WEIGHTS_FILE);
  if (await exists(single)) {
    const file = await readSafetensors(single);
    return { entries: file.entries, files: [single], metadata: file.metadata };
  }
  const index = join(directory, WEIGHTS_INDEX_FILE);
  if (!(await exists(index))) {
    throw new EspalierError('CONFIG', `${directory} has neither ${WEIGHTS_FILE} nor an index`, {
      remedy: 'give a Hugging Face model directory with safetensors weights',
      details: { path: directory },
    });
  }
  return readShards(directory, index);
}

async function readShards(directory: string, index: string): Promise<WeightsIndex> {
  const weightMap = readWeightMap(await readJsonFile(index, 100_000_000), index);
  const names = [...new Set(weightMap.values())].sort();
  const shards = new Map<string, Awaited<ReturnType<typeof readSafetensors>>>();
  for (const name of names) {
    if (!(await exists(join(directory, name))))
      throw formatError(index, `names ${name}, which is missing`);
    shards.set(name, await readSafetensors(join(directory, name)));
  }
  const entries = new Map<string, TensorEntry>();
  for (const [tensor, shard] of weightMap) {
    const entry = shards.get(shard)?.entries.get(tensor);
    if (entry === undefined) {
      throw formatError(
        index,
        `places ${JSON.stringify(tensor)} in ${shard}, which has no such tensor`,
      );
    }
    entries.set(tensor, entry);
  }
  const files = [...shards.values()];
  return {
    entries,
    files: files.map((file) => file.path),
    metadata: files[0]?.metadata ?? new Map(),
  };
}

function readWeightMap(json: Record<string, unknown>, index: string): Map<string, string> {
  const map = json.weight_map;
  if (typeof map !== 'object' || map === null || Array.isArray(map)) {
    throw formatError(index, 'has no weight_map object');
  }
  const result = new Map<string, string>();
  for (const [tensor, shard] of Object.entries(map)) {
    if (!isPlainFileName(shard)) {
      const shown = JSON.stringify(shard)?.slice(0, 120);
      throw formatError(index, `names ${shown}, which is not a safetensors file of its directory`);
    }
    result.set(tensor, shard);
  }
  return result;
}

function isPlainFileName(value: unknown): value is string {
  if (typeof value !== 'string' || value.length > 255) return false;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused.
  return /^[^/\\\u0000-\u001f:]+\.safetensors$/.test(value) && !value.startsWith('..');
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT') return false;
    throw fileError(error, 'read', path);
  }
}

function formatError(path: string, why: string): EspalierError {
  return new EspalierError('FORMAT', `${path} ${why}`, { details: { path } });
}
