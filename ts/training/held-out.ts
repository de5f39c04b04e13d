import { breathe } from '../common/abort.js';
import { inTurns } from '../common/pieces.js';
import type { Batches } from '../data/batches.js';
import { Classifier } from '../models/classifier.js';
import type { Decoder } from '../models/decoder.js';
import { noGradInPieces } from '../nn/no-grad.js';
import { settleNumber } from '../tensor/settle.js';
import { ClassificationTally } from './classification-metrics.js';
import { targetCount } from './trainer.js';

/** What a model does on data that it was not trained on. */
export interface HeldOutResult {
  /** Mean loss over all targets, in nats. */
  loss: number;
  /** Share of right answers, for classifiers. */
  accuracy?: number;
}

/**
 * Mean loss, and for classifiers the accuracy, over every batch of a data set; nothing is recorded.
 * @throws EspalierError `ABORTED`
 */
export async function evaluateHeldOut(
  model: Decoder | Classifier,
  data: Batches,
  signal?: AbortSignal,
): Promise<HeldOutResult> {
  const tally =
    model instanceof Classifier ? new ClassificationTally(model.labels.length) : undefined;
  let sum = 0;
  let count = 0;
  for await (const batch of data.epoch(0, 0, signal)) {
    await breathe(signal, 'finetune');
    const loss = await inTurns(noGradInPieces(model.lossInPieces(batch)), signal, 'finetune');
    const targets = targetCount(batch);
    try {
      sum += (await settleNumber(loss, signal)) * targets;
    } finally {
      loss.dispose();
    }
    count += targets;
    if (tally === undefined || !(model instanceof Classifier)) continue;
    for (const [i, prediction] of (await model.classify(batch, {}, signal)).entries()) {
      tally.add(batch.labels[i] as number, prediction);
    }
  }
  const loss = sum / Math.max(1, count);
  return tally === undefined ? { loss } : { loss, accuracy: tally.metrics().accuracy };
}
