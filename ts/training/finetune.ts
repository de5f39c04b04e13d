import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { throwIfAborted } from '../common/abort.js';
import { EspalierError } from '../common/errors.js';
import { Tokenizer } from '../data/tokenizer.js';
import { readLabelNames } from '../formats/classifier-config.js';
import { checkDistinctOutput } from '../formats/distinct-output.js';
import { hashFile } from '../formats/file-hash.js';
import { OutputDirectory } from '../formats/output-directory.js';
import { readJsonFile } from '../formats/read-json-file.js';
import { MODEL_CONFIG_FILE } from '../formats/read-model-config.js';
import { writeRunRecord } from '../formats/run-record.js';
import { readWeightsIndex } from '../formats/weights-index.js';
import { writeFileAtomically } from '../formats/write-file-atomically.js';
import { positionsOf } from '../models/positions.js';
import { native } from '../native/addon.js';
import { resolveDevice } from '../native/resolve-device.js';
import { openFinetuneData } from './finetune-data.js';
import { FinetuneLoop, type FinetuneLoopResult } from './finetune-loop.js';
import { openFinetuneModel } from './finetune-model.js';
import {
  type FinetuneOptions,
  type ResolvedFinetune,
  resolveFinetune,
} from './finetune-options.js';
import { keepPrefixes } from './keep-prefixes.js';
import { lossCurve } from './loss-curve.js';
import { MetricsLog, readMetrics } from './metrics-log.js';
import { saveFinetuned } from './save-finetuned.js';
import { clearTrainingState, readTrainingState } from './training-state.js';

/** The names of the files that a training leaves beside its result. */
export const METRICS_FILE = 'metrics.jsonl';
export const LOSS_CURVE_FILE = 'loss.svg';

/** What `finetune` did; a plain object. */
export interface FinetuneResult extends FinetuneLoopResult {
  /** The directory with the adapter, or the model. */
  output: string;
  /** Trained elements, and elements of the whole model. */
  trainedParameters: number;
  /** Samples in the data, and rows left out. */
  samples: number;
  skippedRows: number;
  /** Names of the classes, for `classify`. */
  labels?: readonly string[];
  /** Most native memory held at once, in bytes. */
  peakMemoryBytes: number;
}

/**
 * Fine-tunes a model on its own text, instructions or labels: LoRA adapters (Hu et al. 2021) on a
 * frozen base, or with `full` every weight, by AdamW. The result is a PEFT directory, or a model
 * directory, with `run.json`, `metrics.jsonl` and `loss.svg`. The same options, threads and machine
 * give the same bytes, also across an interruption.
 * @param directory a Hugging Face model directory
 * @throws EspalierError `CONFIG` for wrong options, `FORMAT` for broken files and rows, `UNSUPPORTED`,
 * `OUT_OF_MEMORY`, `NUMERIC` when the loss stays infinite, `ABORTED` after saving
 */
export async function finetune(
  directory: string,
  options: FinetuneOptions,
): Promise<FinetuneResult> {
  const resolved = resolveFinetune(options);
  const { signal, onProgress, output } = options;
  const long = { ...(signal && { signal }), ...(onProgress && { onProgress }) };
  throwIfAborted(signal, 'finetune');
  const { device } = resolveDevice(options.device);
  await checkDistinctOutput(output, { 'model that is to be trained': directory }, 'finetune');
  const stored = await readJsonFile(join(directory, MODEL_CONFIG_FILE));
  const known = readLabelNames(stored);
  const maxLength = Math.min(resolved.maxLength, positionsOf(stored));
  const inputs = await inputHashes(directory, resolved, signal);
  const fingerprint = fingerprintOf(resolved, inputs);
  native().resetPeakMemory(device);
  const target = await OutputDirectory.open(output, {
    force: options.force ?? false,
    resume: options.resume ?? false,
  });
  const open: { dispose(): unknown }[] = [];
  try {
    if (target.resumed) await checkFingerprint(target.path, fingerprint);
    const tokenizer = await Tokenizer.open(directory, signal);
    open.push(tokenizer);
    const data = await openFinetuneData(tokenizer, resolved, maxLength, {
      ...long,
      ...(known && { known }),
    });
    open.push(data);
    const model = await openFinetuneModel(directory, resolved, data.labels, device);
    open.push(model);
    if (resolved.prefixCache > 0) open.push(keepPrefixes(model.model, resolved.prefixCache));
    const loop = new FinetuneLoop({
      model,
      data,
      options: resolved,
      directory: target.path,
      fingerprint,
      resume: target.resumed,
      openLog: (resumeAfter) =>
        MetricsLog.open(
          target.file(METRICS_FILE),
          resumeAfter === undefined ? {} : { resumeAfter },
        ),
      ...long,
    });
    open.push(loop);
    const result = await loop.run();
    await saveFinetuned(directory, target.path, model, signal);
    const curve = lossCurve(await readMetrics(target.file(METRICS_FILE)));
    await writeFileAtomically(target.file(LOSS_CURVE_FILE), (handle) => handle.writeFile(curve));
    const trained = [...model.model.trainableParameters()];
    const { seconds, ...metrics } = result;
    await writeRunRecord(target.path, {
      command: 'finetune',
      options: { model: directory, ...resolved },
      seed: resolved.seed,
      device,
      inputs,
      metrics,
    });
    await clearTrainingState(target.path);
    throwIfAborted(signal, 'finetune');
    await target.commit();
    return {
      ...result,
      output,
      trainedParameters: trained.reduce((sum, [, { size }]) => sum + size, 0),
      samples: data.samples,
      skippedRows: data.skippedRows,
      ...(data.labels && { labels: data.labels }),
      peakMemoryBytes: native().memory(device).peak,
    };
  } catch (error) {
    const begun = await readTrainingState(target.path).catch(() => undefined);
    if (begun === undefined) await target.discard().catch(() => {});
    else await target.suspend().catch(() => {});
    throw error;
  } finally {
    for (const thing of open.reverse()) await thing.dispose();
  }
}

/** Hashes of what decides the result; weights count by name and size, since they can be huge. */
async function inputHashes(
  directory: string,
  { data, evalData }: ResolvedFinetune,
  signal: AbortSignal | undefined,
): Promise<Record<string, string>> {
  const hashes: Record<string, string> = {};
  for (const file of [join(directory, MODEL_CONFIG_FILE), ...data, ...evalData]) {
    hashes[file] = await hashFile(file, signal);
  }
  const { entries } = await readWeightsIndex(directory);
  const layout = [...entries.values()].map(({ name, shape, dtype }) => [name, shape, dtype]);
  hashes[directory] = createHash('sha256').update(JSON.stringify(layout)).digest('hex');
  return hashes;
}

function fingerprintOf(resolved: ResolvedFinetune, inputs: Record<string, string>): string {
  // Neither changes what comes out.
  const { saveEvery: _, gradientCheckpointing: __, ...deciding } = resolved;
  const text = JSON.stringify([deciding, Object.values(inputs)]);
  return createHash('sha256').update(text).digest('hex');
}

async function checkFingerprint(directory: string, fingerprint: string): Promise<void> {
  const state = await readTrainingState(directory);
  if (state === undefined || state.progress.fingerprint === fingerprint) return;
  throw new EspalierError(
    'CONFIG',
    'the interrupted run had other options, another model or other data',
    {
      op: 'finetune',
      remedy: 'resume it with the same ones, or start over with --force',
      details: { path: directory },
    },
  );
}
