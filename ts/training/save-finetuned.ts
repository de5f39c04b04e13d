import { join } from 'node:path';
import { asClassifierConfig } from '../formats/classifier-config.js';
import { copyCompanionFiles } from '../formats/companion-files.js';
import { writeAdapter } from '../formats/peft-adapter.js';
import { readJsonFile } from '../formats/read-json-file.js';
import { MODEL_CONFIG_FILE } from '../formats/read-model-config.js';
import { writeWeights } from '../formats/weights-writer.js';
import { writeJsonFile } from '../formats/write-json-file.js';
import { Classifier } from '../models/classifier.js';
import { adapterFileOf } from '../models/create-adapter-set.js';
import { tensorSource } from '../models/tensor-source.js';
import type { FinetuneModel } from './finetune-model.js';

/**
 * Writes what was trained: a PEFT directory, or with every weight trained a model directory in f32.
 * A classifier's adapter carries the config.json that names its classes.
 * @param base the directory that the model was loaded from
 * @param target a directory that exists
 * @throws EspalierError `CONFIG` when it can't be written, `ABORTED`
 */
export async function saveFinetuned(
  base: string,
  target: string,
  { model, config }: FinetuneModel,
  signal?: AbortSignal,
): Promise<void> {
  const stored = await readJsonFile(join(base, MODEL_CONFIG_FILE));
  const named = model instanceof Classifier ? asClassifierConfig(stored, model.labels) : stored;
  await copyCompanionFiles(base, target, signal);
  if (config !== undefined && model.adapter !== undefined) {
    await writeAdapter(target, await adapterFileOf(model.adapter, config));
    if (model instanceof Classifier) await writeJsonFile(join(target, MODEL_CONFIG_FILE), named);
    return;
  }
  const sources = [...model.namedTensors()].map(([name, tensor]) =>
    tensorSource(name, tensor, signal),
  );
  await writeWeights(target, sources, signal === undefined ? {} : { signal });
  const { torch_dtype: _, ...rest } = named;
  await writeJsonFile(join(target, MODEL_CONFIG_FILE), { ...rest, dtype: 'float32' });
}
