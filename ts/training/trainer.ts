import { breathe } from '../common/abort.js';
import { EspalierError } from '../common/errors.js';
import type { Pieces } from '../common/pieces.js';
import { deriveSeed } from '../common/random.js';
import type { LossOptions } from '../models/decoder.js';
import type { TokenBatch } from '../models/token-batch.js';
import { clipGradNorm } from '../nn/clip-grad-norm.js';
import type { Optimizer } from '../nn/optimizer.js';
import type { Parameter } from '../nn/parameter.js';
import { regionInTurns } from '../tensor/region.js';
import { scopeInPieces } from '../tensor/scope.js';
import { settle, settleNumber } from '../tensor/settle.js';
import { Tensor } from '../tensor/tensor.js';

/** A model that can be trained: one that `loadModel` or `loadClassifier` gives. */
export interface TrainableModel {
  /** The mean loss of a batch, with a way back to the parameters. */
  loss(batch: TokenBatch, options?: LossOptions): Tensor;
  /** As `loss`, in pieces between which the event loop is served; default: `loss` in one turn. */
  lossInPieces?(batch: TokenBatch, options?: LossOptions): Pieces<Tensor>;
  /** What is trained. */
  trainableParameters(): Iterable<[string, Parameter]>;
}

/** Options of {@link Trainer}. */
export interface TrainerOptions {
  /** Changes the model's trainable parameters. */
  optimizer: Optimizer;
  /** Learning rate of the optimiser step `step`, counted from 0. */
  schedule: (step: number) => number;
  /** Gradients are scaled down to this global norm; 0 leaves them as they are. Default 1. */
  maxGradNorm?: number;
  /** Keep only what enters each layer and compute the rest again on the way back. Default false. */
  gradientCheckpointing?: boolean;
  /** Seed of the dropout masks; default 0. */
  seed?: number;
  /** Steps with a loss or gradient that is not finite change nothing; after this many in a row the
   * training fails. Default 10. */
  maxSkippedSteps?: number;
  /** Optimiser steps taken before, when a training goes on. Default 0. */
  firstStep?: number;
}

/** What one optimiser step did. */
export interface StepResult {
  /** Optimiser steps taken, this one included. */
  step: number;
  /** Mean loss over all targets of the step, in nats. */
  loss: number;
  /** Global norm of the gradients, before clipping. */
  gradNorm: number;
  /** Learning rate that was used. */
  learningRate: number;
  /** Tokens read, without padding. */
  tokens: number;
  /** Nothing was changed, because loss or gradient were not finite. */
  skipped: boolean;
}

/** Takes optimiser steps, each over one batch or several that count as one. */
export class Trainer {
  readonly #model: TrainableModel;
  readonly #options: Required<TrainerOptions>;
  #step: number;
  #skippedInARow = 0;

  /**
   * Changes nothing yet; the model and the optimiser stay the caller's.
   * @throws EspalierError `CONFIG` when the model has nothing to train
   */
  constructor(model: TrainableModel, options: TrainerOptions) {
    this.#model = model;
    this.#options = {
      maxGradNorm: 1,
      gradientCheckpointing: false,
      seed: 0,
      maxSkippedSteps: 10,
      firstStep: 0,
      ...options,
    };
    this.#step = this.#options.firstStep;
    if (this.#parameters().length === 0) {
      throw new EspalierError('CONFIG', 'the model has no trainable parameter', {
        remedy: 'give it an adapter set, or load it as trainable and call trainAll()',
      });
    }
  }

  /**
   * One optimiser step over the targets of all batches together (gradient accumulation). When it is
   * aborted or fails, parameters and optimiser are as before and it can be taken again, such as with
   * smaller batches.
   * @throws EspalierError `ABORTED`; `NUMERIC` after too many steps in a row that were not finite;
   * `OUT_OF_MEMORY` and what else the model's ops fail with
   */
  async step(batches: readonly TokenBatch[], signal?: AbortSignal): Promise<StepResult> {
    const { optimizer, schedule, maxGradNorm, maxSkippedSteps } = this.#options;
    const counts = batches.map(targetCount);
    const targets = counts.reduce((sum, count) => sum + count, 0);
    const losses: Tensor[] = [];
    let norm: Tensor | undefined;
    try {
      for (const [i, batch] of batches.entries()) {
        await breathe(signal, 'training');
        losses.push(
          await this.#queue(batch, i, (counts[i] as number) / Math.max(1, targets), signal),
        );
        // One batch is computed while the next is being queued, no more.
        if (i > 0) await settle(losses[i - 1] as Tensor, signal);
      }
      const learningRate = schedule(this.#step);
      optimizer.lr = learningRate;
      norm = clipGradNorm(this.#parameters(), maxGradNorm > 0 ? maxGradNorm : Infinity);
      const read = await Promise.all(losses.map((loss) => settleNumber(loss, signal)));
      const gradNorm = await settleNumber(norm, signal);
      // Up to here an abort or a failure leaves the step undone; from here on it is done wholly.
      await optimizer.step(norm);
      const loss = read.reduce(
        (sum, value, i) => sum + (value * (counts[i] as number)) / Math.max(1, targets),
        0,
      );
      const skipped = !Number.isFinite(gradNorm);
      this.#skippedInARow = skipped ? this.#skippedInARow + 1 : 0;
      if (this.#skippedInARow > maxSkippedSteps) {
        throw new EspalierError(
          'NUMERIC',
          `training: ${this.#skippedInARow} steps in a row had a loss or gradient that is not finite`,
          { remedy: 'lower the learning rate, or look for broken samples' },
        );
      }
      this.#step++;
      const tokens = batches.reduce((sum, batch) => sum + tokenCount(batch), 0);
      return {
        step: this.#step,
        loss,
        gradNorm,
        learningRate,
        tokens,
        skipped,
      };
    } finally {
      optimizer.zeroGrad();
      norm?.dispose();
      for (const loss of losses) loss.dispose();
    }
  }

  /** Forward and backward of one batch, whose share in the step's loss is `weight`. */
  #queue(
    batch: TokenBatch,
    index: number,
    weight: number,
    signal: AbortSignal | undefined,
  ): Promise<Tensor> {
    const { seed, gradientCheckpointing } = this.#options;
    const device = this.#parameters()[0]?.value.device ?? 'cpu';
    const options = {
      dropoutSeed: deriveSeed(deriveSeed(seed, this.#step), index),
      gradientCheckpointing,
    };
    const walk = scopeInPieces(() => this.#walk(batch, weight, device, options));
    const key = `training step [${batch.batch}, ${batch.sequence}]`;
    return regionInTurns(device, key, walk, { signal, op: 'training' });
  }

  *#walk(batch: TokenBatch, weight: number, device: string, options: LossOptions): Pieces<Tensor> {
    const model = this.#model;
    const loss =
      model.lossInPieces === undefined
        ? model.loss(batch, options)
        : yield* model.lossInPieces(batch, options);
    const share = Tensor.from([weight], [1], { device }).reshape(loss.shape);
    yield* loss.backwardInPieces(share);
    return loss;
  }

  #parameters(): Parameter[] {
    return Array.from(this.#model.trainableParameters(), ([, parameter]) => parameter);
  }
}

/** How many positions or sequences of a batch have a label. */
export function targetCount({
  labels,
  inputIds,
  attentionMask,
  batch,
  sequence,
}: TokenBatch): number {
  const counted = (array: Int32Array) => array.reduce((n, label) => n + Number(label !== -100), 0);
  if (labels !== undefined && labels.length === batch) return counted(labels);
  // A language model predicts no first token.
  const all = labels ?? inputIds;
  let count = 0;
  for (let i = 0; i < all.length; i++) {
    if (i % sequence === 0 || all[i] === -100) continue;
    if (labels === undefined && attentionMask?.[i] === 0) continue;
    count++;
  }
  return count;
}

function tokenCount({ inputIds, attentionMask }: TokenBatch): number {
  return attentionMask?.reduce((sum, real) => sum + real, 0) ?? inputIds.length;
}
