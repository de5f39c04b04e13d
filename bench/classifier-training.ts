import type { Batch } from '../ts/data/collate.js';
import { loadClassifier } from '../ts/models/load-classifier.js';
import type { TokenBatch } from '../ts/models/token-batch.js';
import { AdamW } from '../ts/nn/adamw.js';
import { Trainer } from '../ts/training/trainer.js';

/** Padded sequences with their classes, as they go to other processes. */
export interface PlainBatch {
  ids: number[][];
  mask: number[][];
  labels: number[];
}

/** A classifier with an adapter that takes training steps. */
export interface ClassifierSide {
  /** One optimiser step. */
  step(batch: PlainBatch): Promise<{ loss: number; seconds: number }>;
  /** The class of each sequence. */
  predict(batch: PlainBatch): Promise<number[]>;
  dispose(): void;
}

/** Loads a classifier of two classes and an adapter from disk and readies AdamW over the adapter. */
export async function openClassifierTraining(
  directory: string,
  adapter: string,
  schedule: (step: number) => number,
): Promise<ClassifierSide> {
  const model = await loadClassifier(directory, { adapter, numLabels: 2 });
  const optimizer = new AdamW(model.trainableParameters(), { weightDecay: 0 });
  const trainer = new Trainer(model, { optimizer, schedule });
  return {
    async step(plain) {
      const batch = tokenBatchOf(plain);
      const start = performance.now();
      const { loss } = await trainer.step([batch]);
      return { loss, seconds: (performance.now() - start) / 1000 };
    },
    predict: (plain) => model.classify(tokenBatchOf(plain)),
    dispose() {
      optimizer.dispose();
      model.dispose();
    },
  };
}

/** A batch as lists. */
export function plainBatch({
  inputIds,
  attentionMask,
  labels,
  batch,
  sequence,
}: Batch): PlainBatch {
  const rows = (array: Int32Array | Uint8Array) =>
    Array.from({ length: batch }, (_, row) =>
      Array.from(array.subarray(row * sequence, (row + 1) * sequence)),
    );
  return { ids: rows(inputIds), mask: rows(attentionMask), labels: [...labels] };
}

/** Tokens of a batch, without padding. */
export function tokensOf({ mask }: PlainBatch): number {
  return mask.flat().reduce((sum, real) => sum + real, 0);
}

function tokenBatchOf({ ids, mask, labels }: PlainBatch): TokenBatch {
  return {
    inputIds: Int32Array.from(ids.flat()),
    attentionMask: Uint8Array.from(mask.flat()),
    labels: Int32Array.from(labels),
    batch: ids.length,
    sequence: ids[0]?.length ?? 0,
  };
}
