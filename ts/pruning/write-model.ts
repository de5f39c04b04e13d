import { join } from 'node:path';
import { copyCompanionFiles } from '../formats/companion-files.js';
import { encodeModelConfig } from '../formats/encode-model-config.js';
import type { ModelConfig } from '../formats/model-config.js';
import { MODEL_CONFIG_FILE } from '../formats/read-model-config.js';
import { fileSource } from '../formats/tensor-source.js';
import { sourceBytes } from '../formats/safetensors-writer.js';
import { writeWeights } from '../formats/weights-writer.js';
import { writeJsonFile } from '../formats/write-json-file.js';
import type { Checkpoint } from '../models/checkpoint.js';
import { outerTensors } from '../models/decoder-tensors.js';
import type { PartialResult } from './partial-result.js';

/** What {@link writePrunedModel} puts together. */
export interface PrunedModel {
  checkpoint: Checkpoint;
  /** Configuration of the result. */
  config: ModelConfig;
  /** For each layer of the result, its index in the unpruned model. */
  survivors: readonly number[];
  partial: PartialResult;
  signal?: AbortSignal;
  /** Called after each piece with the bytes of weights written so far and in all. */
  onBytes?: (written: number, total: number) => void;
}

/**
 * Writes a pruned model as a Hugging Face directory: the finished layers under their new numbers, the
 * tensors outside the layers and the tokenizer's files unchanged.
 * @throws EspalierError `CONFIG` when something can't be written, `ABORTED`
 */
export async function writePrunedModel(directory: string, model: PrunedModel): Promise<void> {
  const { checkpoint, config, survivors, partial, signal, onBytes } = model;
  const sources = outerTensors(config).map(({ name }) => fileSource(checkpoint.entry(name)));
  for (const [position, layer] of survivors.entries()) {
    sources.push(...(await partial.sources(layer, position, config)));
  }
  const total = sources.reduce((sum, source) => sum + sourceBytes(source), 0);
  let written = 0;
  await writeWeights(directory, sources, {
    ...(signal === undefined ? {} : { signal }),
    onBytes: (bytes) => {
      written += bytes;
      onBytes?.(written, total);
    },
  });
  await copyCompanionFiles(checkpoint.directory, directory, signal);
  await writeJsonFile(join(directory, MODEL_CONFIG_FILE), encodeModelConfig(config));
}
