import { join } from 'node:path';
import { EspalierError } from '../common/errors.js';
import {
  sourceBytes,
  type WriteSafetensorsOptions,
  writeSafetensors,
} from './safetensors-writer.js';
import type { TensorSource } from './tensor-source.js';
import { WEIGHTS_FILE, WEIGHTS_INDEX_FILE } from './weights-index.js';
import { writeJsonFile } from './write-json-file.js';

/** Options of {@link writeWeights}. */
export interface WriteWeightsOptions extends WriteSafetensorsOptions {
  /** Largest amount of tensor data in one file, in bytes; default 5 GB. One tensor is never split. */
  maxShardBytes?: number;
}

/**
 * Writes the weights of a model into a directory: `model.safetensors`, or numbered shards with
 * `model.safetensors.index.json` when they exceed `maxShardBytes`. The index comes last.
 * @returns the names of the files that were written.
 * @throws EspalierError as {@link writeSafetensors}.
 */
export async function writeWeights(
  directory: string,
  sources: readonly TensorSource[],
  { maxShardBytes = 5e9, ...options }: WriteWeightsOptions = {},
): Promise<string[]> {
  if (new Set(sources.map((source) => source.name)).size !== sources.length) {
    throw new EspalierError('FORMAT', 'two tensors have the same name');
  }
  const shards = splitIntoShards(sources, maxShardBytes);
  if (shards.length === 1) {
    await writeSafetensors(join(directory, WEIGHTS_FILE), sources, options);
    return [WEIGHTS_FILE];
  }
  const weightMap: [string, string][] = [];
  const files: string[] = [];
  for (const [i, shard] of shards.entries()) {
    const file = `model-${pad(i + 1)}-of-${pad(shards.length)}.safetensors`;
    await writeSafetensors(join(directory, file), shard, options);
    for (const source of shard) weightMap.push([source.name, file]);
    files.push(file);
  }
  await writeJsonFile(join(directory, WEIGHTS_INDEX_FILE), {
    metadata: { total_size: sources.reduce((sum, source) => sum + sourceBytes(source), 0) },
    weight_map: Object.fromEntries(weightMap),
  });
  return [...files, WEIGHTS_INDEX_FILE];
}

function splitIntoShards(
  sources: readonly TensorSource[],
  maxShardBytes: number,
): TensorSource[][] {
  const shards: TensorSource[][] = [[]];
  let filled = 0;
  for (const source of sources) {
    const bytes = sourceBytes(source);
    if (filled > 0 && filled + bytes > maxShardBytes) {
      shards.push([]);
      filled = 0;
    }
    shards.at(-1)?.push(source);
    filled += bytes;
  }
  return shards;
}

function pad(n: number): string {
  return String(n).padStart(5, '0');
}
