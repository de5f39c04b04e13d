import { join } from 'node:path';
import { type ModelConfig, parseModelConfig } from './model-config.js';
import { readJsonFile } from './read-json-file.js';

/** The name of the configuration in a model directory. */
export const MODEL_CONFIG_FILE = 'config.json';

/**
 * Reads and interprets config.json of a model directory.
 * @throws EspalierError as `parseModelConfig`, and `CONFIG` when the file can't be read.
 */
export async function readModelConfig(directory: string): Promise<ModelConfig> {
  const path = join(directory, MODEL_CONFIG_FILE);
  return parseModelConfig(await readJsonFile(path), path);
}
