import { breathe } from '../common/abort.js';
import { packageVersion } from '../common/environment.js';
import type { LongOperationOptions } from '../common/events.js';
import { Batches } from '../data/batches.js';
import { openLabelledSamples } from '../data/labelled-samples.js';
import { Tokenizer } from '../data/tokenizer.js';
import { loadClassifier } from '../models/load-classifier.js';
import { resolveDevice } from '../native/resolve-device.js';
import { type ClassificationMetrics, ClassificationTally } from './classification-metrics.js';

/** Options of {@link evaluateClassifier}. */
export interface EvaluateClassifierOptions extends LongOperationOptions {
  /** `.csv`, `.tsv` or `.jsonl` with texts and their classes. */
  data: string | readonly string[];
  /** A PEFT directory whose adapter and head are put in force; default none. */
  adapter?: string;
  /** Use only the first samples. */
  limit?: number;
  /** Samples computed at once; default 32. */
  batch?: number;
  /** Tokens of a sample at most; default the model's positions, up to 512. */
  maxLength?: number;
  /** Column with the text, or two for pairs; default found by name. */
  textColumns?: readonly string[];
  /** Column with the class; default found by name. */
  labelColumn?: string;
  /** Default `auto`: the CPU. */
  device?: string;
  /** How weights are held, as for `loadModel`; default `auto`. */
  dtype?: 'auto' | 'f32' | 'bf16';
}

/** What {@link evaluateClassifier} measures. */
export interface ClassifierEvaluation extends ClassificationMetrics {
  /** Names of the classes, in the order of the confusion matrix. */
  labels: readonly string[];
  samples: number;
  seconds: number;
  samplesPerSecond: number;
  model: string;
  device: string;
  version: string;
}

/**
 * Accuracy, macro F1 and confusion matrix of a classifier on labelled texts.
 * @throws EspalierError as `loadClassifier` and `openLabelledSamples`; `ABORTED`
 */
export async function evaluateClassifier(
  directory: string,
  options: EvaluateClassifierOptions,
): Promise<ClassifierEvaluation> {
  const { data, adapter, limit, batch: batchSize = 32, dtype = 'auto', signal } = options;
  const { onProgress, textColumns, labelColumn } = options;
  const { device } = resolveDevice(options.device);
  const open: { dispose(): unknown }[] = [];
  try {
    const model = await loadClassifier(directory, {
      dtype,
      ...(adapter !== undefined && { adapter }),
    });
    open.push(model);
    const tokenizer = await Tokenizer.open(directory, signal);
    open.push(tokenizer);
    const positions = model.config.maxPositionEmbeddings;
    const source = await openLabelledSamples(typeof data === 'string' ? [data] : data, tokenizer, {
      labels: model.labels,
      maxLength: Math.min(options.maxLength ?? 512, positions),
      ...(textColumns && { textColumns }),
      ...(labelColumn !== undefined && { labelColumn }),
      ...(signal && { signal }),
    });
    open.push(source);
    const count = Math.min(limit ?? source.count, source.count);
    const { padId = 0 } = await tokenizer.tokens(signal);
    const batches = new Batches({ ...source, count }, { batchSize, shuffle: false, padId });
    const tally = new ClassificationTally(model.labels.length);
    const started = performance.now();
    let completed = 0;
    for await (const batch of batches.epoch(0, 0, signal)) {
      await breathe(signal, 'evaluate');
      for (const [i, prediction] of (await model.classify(batch, {}, signal)).entries()) {
        tally.add(batch.labels[i] as number, prediction);
      }
      completed += batch.batch;
      onProgress?.({ phase: 'classify', completed, total: count, unit: 'samples' });
    }
    const seconds = (performance.now() - started) / 1000;
    return {
      ...tally.metrics(),
      labels: model.labels,
      samples: count,
      seconds,
      samplesPerSecond: count / seconds,
      model: directory,
      device,
      version: packageVersion(),
    };
  } finally {
    for (const thing of open.reverse()) await thing.dispose();
  }
}
