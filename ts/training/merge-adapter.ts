import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { throwIfAborted } from '../common/abort.js';
import { EspalierError } from '../common/errors.js';
import type { LongOperationOptions } from '../common/events.js';
import { ADAPTER_CONFIG_FILE } from '../formats/adapter-config.js';
import { asClassifierConfig, readLabelNames } from '../formats/classifier-config.js';
import { copyCompanionFiles } from '../formats/companion-files.js';
import { checkDistinctOutput } from '../formats/distinct-output.js';
import { hashFile } from '../formats/file-hash.js';
import { OutputDirectory } from '../formats/output-directory.js';
import {
  ADAPTER_WEIGHTS_FILE,
  type AdapterFile,
  type AdapterModule,
  readAdapter,
  type SavedTensor,
} from '../formats/peft-adapter.js';
import { readJsonFile } from '../formats/read-json-file.js';
import { MODEL_CONFIG_FILE } from '../formats/read-model-config.js';
import { writeRunRecord } from '../formats/run-record.js';
import { sourceBytes } from '../formats/safetensors-writer.js';
import { fileSource, memorySource, type TensorSource } from '../formats/tensor-source.js';
import { readWeightsIndex, type WeightsIndex } from '../formats/weights-index.js';
import { writeWeights } from '../formats/weights-writer.js';
import { writeJsonFile } from '../formats/write-json-file.js';
import { placeAdapter } from '../models/adapter-placement.js';
import { mergedSource } from '../models/merged-source.js';

/** Options of {@link mergeAdapter}. */
export interface MergeOptions extends LongOperationOptions {
  /** Where the merged model appears once it is complete. */
  output: string;
  /** Factor of the adapter's own scale; default 1. Negative factors subtract it. */
  scale?: number;
  /** Replace the output, once the new one is complete. Default false. */
  force?: boolean;
}

/** What {@link mergeAdapter} did; a plain object. */
export interface MergeResult {
  /** The directory with the merged model. */
  output: string;
  /** How many weights took up an adapter. */
  modules: number;
  /** Tensors that came whole out of the adapter, such as a classifier. */
  savedTensors: number;
  scale: number;
  /** Bytes of tensor data in the result. */
  bytes: number;
  seconds: number;
}

/**
 * Adds a PEFT adapter to the weights of its base: W + scale · B A in f32, stored in the base's dtype,
 * a block of rows in memory at a time. The result is a Hugging Face model directory with `run.json`.
 * @param directory the base model
 * @param adapterDirectory the PEFT directory; its config.json, if it has one, names the classes
 * @throws EspalierError `FORMAT` for broken files and for an adapter of another base, `UNSUPPORTED` for
 * adapters other than plain LoRA, `CONFIG` for wrong options or an output that is in the way, `ABORTED`.
 */
export async function mergeAdapter(
  directory: string,
  adapterDirectory: string,
  { output, scale = 1, force = false, signal, onProgress }: MergeOptions,
): Promise<MergeResult> {
  const started = performance.now();
  if (!Number.isFinite(scale)) {
    throw new EspalierError('CONFIG', `scale must be a finite number, got ${scale}`);
  }
  throwIfAborted(signal, 'mergeAdapter');
  const inputs = { 'base model': directory, adapter: adapterDirectory };
  await checkDistinctOutput(output, inputs, 'mergeAdapter');
  const config = await readJsonFile(join(directory, MODEL_CONFIG_FILE));
  const index = await readWeightsIndex(directory);
  const adapter = await readAdapter(adapterDirectory);
  const sources = mergedSources(index, adapter, scale);
  const result = await resultConfig(config, adapter, adapterDirectory);
  const target = await OutputDirectory.open(output, { force });
  try {
    const bytes = sources.reduce((sum, source) => sum + sourceBytes(source), 0);
    let written = 0;
    await writeWeights(target.path, sources, {
      ...(signal === undefined ? {} : { signal }),
      onBytes(count) {
        written += count;
        onProgress?.({ phase: 'merge', completed: written, total: bytes, unit: 'bytes' });
      },
    });
    await copyCompanionFiles(directory, target.path, signal);
    await writeJsonFile(target.file(MODEL_CONFIG_FILE), result);
    const metrics = { modules: adapter.modules.size, savedTensors: adapter.modulesToSave.size };
    await writeRunRecord(target.path, {
      command: 'merge',
      options: { model: directory, adapter: adapterDirectory, scale },
      seed: 0,
      device: 'cpu',
      inputs: await inputHashes(directory, index, adapterDirectory, signal),
      metrics: { ...metrics, bytes },
    });
    throwIfAborted(signal, 'mergeAdapter');
    await target.commit();
    const seconds = (performance.now() - started) / 1000;
    return { output, ...metrics, scale, bytes, seconds };
  } catch (error) {
    await target.discard().catch(() => {});
    throw error;
  }
}

/** Every tensor of the result, in the order of the base, what is new at the end. */
function mergedSources(index: WeightsIndex, adapter: AdapterFile, scale: number): TensorSource[] {
  const { modules, saved, rename } = placeAdapter(adapter, index.entries);
  const sources: TensorSource[] = [];
  for (const entry of index.entries.values()) {
    const name = rename(entry.name);
    if (name === undefined || saved.has(name)) continue;
    const path = modules.get(entry.name);
    if (path === undefined) {
      sources.push(fileSource(entry, name));
    } else {
      const module = adapter.modules.get(path) as AdapterModule;
      sources.push(mergedSource(entry, module, { name, scale }));
    }
  }
  for (const [name, key] of saved) {
    const { shape, data } = adapter.modulesToSave.get(key) as SavedTensor;
    sources.push(memorySource(name, shape, data));
  }
  return sources;
}

/** The base's config.json; that of a classifier names its classes. */
async function resultConfig(
  config: Record<string, unknown>,
  adapter: AdapterFile,
  adapterDirectory: string,
): Promise<Record<string, unknown>> {
  const { taskType } = adapter.config;
  if (taskType !== 'SEQ_CLS' || adapter.modulesToSave.size === 0) return config;
  const file = join(adapterDirectory, MODEL_CONFIG_FILE);
  const own = (await exists(file)) ? readLabelNames(await readJsonFile(file)) : undefined;
  // The last layer of the head has a row for every class.
  const classes = [...adapter.modulesToSave]
    .filter(
      ([name, { shape }]) =>
        /(^|\.)(classifier|out_proj|score)\.weight$/.test(name) && shape.length === 2,
    )
    .at(-1)?.[1].shape[0];
  if (classes === undefined) return config;
  const known = own ?? readLabelNames(config);
  const names = known?.length === classes ? known : undefined;
  const labels = names ?? Array.from({ length: classes }, (_, i) => `LABEL_${i}`);
  return asClassifierConfig(config, labels);
}

async function inputHashes(
  directory: string,
  index: WeightsIndex,
  adapterDirectory: string,
  signal: AbortSignal | undefined,
): Promise<Record<string, string>> {
  const hashes: Record<string, string> = {};
  const files = [
    join(directory, MODEL_CONFIG_FILE),
    ...index.files,
    join(adapterDirectory, ADAPTER_CONFIG_FILE),
    join(adapterDirectory, ADAPTER_WEIGHTS_FILE),
  ];
  for (const file of files) hashes[file] = await hashFile(file, signal);
  return hashes;
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
