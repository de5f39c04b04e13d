import { EspalierError } from '../common/errors.js';
import type { ProgressEvent } from '../common/events.js';
import { AdamW } from '../nn/adamw.js';
import { lrSchedule } from '../nn/lr-schedule.js';
import type { Parameter } from '../nn/parameter.js';
import { keep } from '../tensor/scope.js';
import { Tensor } from '../tensor/tensor.js';
import type { Batch } from '../data/collate.js';
import { native } from '../native/addon.js';
import { restoreFinetune, saveFinetune } from './finetune-checkpoint.js';
import type { FinetuneData } from './finetune-data.js';
import type { FinetuneModel } from './finetune-model.js';
import type { ResolvedFinetune } from './finetune-options.js';
import { evaluateHeldOut, type HeldOutResult } from './held-out.js';
import type { MetricsLog } from './metrics-log.js';
import { SmoothedLoss } from './smoothed-loss.js';
import { Trainer } from './trainer.js';
import type { TrainingProgress } from './training-state.js';

/** What a training loop works on. */
export interface FinetuneLoopInputs {
  model: FinetuneModel;
  data: FinetuneData;
  options: ResolvedFinetune;
  /** Where checkpoints go. */
  directory: string;
  /** Identifies options and inputs. */
  fingerprint: string;
  /** Where to go on; undefined: from the beginning. */
  resume: boolean;
  openLog: (resumeAfter: number | undefined) => Promise<MetricsLog>;
  signal?: AbortSignal;
  onProgress?: (event: ProgressEvent) => void;
}

/** How a training went. */
export interface FinetuneLoopResult {
  /** Optimiser steps taken. */
  steps: number;
  /** Smoothed loss at the end, in nats. */
  loss: number;
  /** Tokens trained on, without padding. */
  tokens: number;
  /** Steps that changed nothing because loss or gradient were not finite. */
  skippedSteps: number;
  /** The last evaluation, or with early stopping the best one. */
  heldOut?: HeldOutResult;
  /** It ended early because the held-out loss got no better. */
  stoppedEarly: boolean;
  /** Seconds in the loop of this process. */
  seconds: number;
}

/** Trains until the last step, the last pass, or the point where held-out loss gets no better. */
export class FinetuneLoop {
  readonly #in: FinetuneLoopInputs;
  readonly #parameters: Map<string, Parameter>;
  readonly #optimizer: AdamW;
  readonly #best = new Map<string, Tensor>();
  readonly #stepsPerEpoch: number;
  readonly #totalSteps: number;
  #smoothed = new SmoothedLoss();
  #totals = { tokens: 0, skippedSteps: 0, bestLoss: Number.NaN, sinceBest: 0 };
  #heldOut: HeldOutResult | undefined;
  #tokensBefore = 0;

  /** Takes nothing over. */
  constructor(inputs: FinetuneLoopInputs) {
    this.#in = inputs;
    const { options, data, model } = inputs;
    this.#parameters = new Map(model.model.trainableParameters());
    this.#optimizer = new AdamW(this.#parameters, { weightDecay: options.weightDecay });
    this.#stepsPerEpoch = Math.ceil(data.train.perEpoch / options.gradientAccumulation);
    this.#totalSteps = options.steps ?? (options.epochs as number) * this.#stepsPerEpoch;
  }

  /**
   * Runs to the end.
   * @throws EspalierError `ABORTED` and `OUT_OF_MEMORY`, after a checkpoint of what was done;
   * `NUMERIC`; and what the model, the data and the disk fail with
   */
  async run(): Promise<FinetuneLoopResult> {
    const started = performance.now();
    const { options, signal } = this.#in;
    const progress = this.#in.resume ? await this.#restore() : undefined;
    let step = progress?.step ?? 0;
    const log = await this.#in.openLog(progress?.step);
    const trainer = new Trainer(this.#in.model.model, {
      optimizer: this.#optimizer,
      schedule: lrSchedule({
        kind: options.schedule,
        lr: options.lr,
        warmupSteps: options.warmup,
        totalSteps: this.#totalSteps,
      }),
      maxGradNorm: options.maxGradNorm,
      gradientCheckpointing: options.gradientCheckpointing,
      seed: options.seed,
      firstStep: step,
    });
    let stoppedEarly = false;
    let saved = step;
    let seconds = 0;
    try {
      while (step < this.#totalSteps && !stoppedEarly) {
        const epoch = Math.floor(step / this.#stepsPerEpoch);
        for await (const batches of this.#groups(epoch, step % this.#stepsPerEpoch)) {
          const result = await trainer.step(batches, signal);
          step = result.step;
          this.#totals.tokens += result.tokens;
          if (result.skipped) this.#totals.skippedSteps++;
          const smoothedLoss = this.#smoothed.add(result.loss);
          seconds = (performance.now() - started) / 1000;
          const { skipped, ...figures } = result;
          await log.add({ ...figures, smoothedLoss, ...(skipped ? { skipped: 1 } : {}) });
          this.#report(step, result.loss, smoothedLoss, result.learningRate, seconds);
          if (this.#evaluatesAfter(step)) stoppedEarly = await this.#evaluate(step, log);
          if (step % options.saveEvery === 0) {
            await this.#save(step);
            saved = step;
          }
          if (step >= this.#totalSteps || stoppedEarly) break;
        }
      }
      if (options.earlyStopping !== undefined) this.#restoreBest();
    } catch (error) {
      // What was done stays for a resume; a failure here must not hide the first.
      const exhausted = isOutOfMemory(error);
      if ((signal?.aborted === true || exhausted) && step > saved) {
        await this.#save(step).catch(() => undefined);
      }
      throw exhausted ? outOfMemory(error, step, options) : error;
    } finally {
      await log.close();
    }
    const { tokens, skippedSteps } = this.#totals;
    return {
      steps: step,
      loss: this.#smoothed.value,
      tokens,
      skippedSteps,
      ...(this.#heldOut && { heldOut: this.#heldOut }),
      stoppedEarly,
      seconds,
    };
  }

  /** Frees optimiser and best weights. */
  dispose(): void {
    this.#optimizer.dispose();
    for (const tensor of this.#best.values()) tensor.dispose();
  }

  /** The batches of one pass in groups of one optimiser step each, from step `first` of it on. */
  async *#groups(epoch: number, first: number): AsyncGenerator<Batch[]> {
    const { data, options, signal } = this.#in;
    const size = options.gradientAccumulation;
    let group: Batch[] = [];
    for await (const batch of data.train.epoch(epoch, first * size, signal)) {
      group.push(batch);
      if (group.length < size) continue;
      yield group;
      group = [];
    }
    if (group.length > 0) yield group;
  }

  #evaluatesAfter(step: number): boolean {
    if (this.#in.data.heldOut === undefined) return false;
    const every = this.#in.options.evalEvery ?? this.#stepsPerEpoch;
    return step % every === 0 || step === this.#totalSteps;
  }

  /** @returns whether to stop early */
  async #evaluate(step: number, log: MetricsLog): Promise<boolean> {
    const { data, model, options, signal, onProgress } = this.#in;
    if (data.heldOut === undefined) return false;
    const result = await evaluateHeldOut(model.model, data.heldOut, signal);
    const { loss, accuracy } = result;
    await log.add({ step, evalLoss: loss, ...(accuracy !== undefined && { accuracy }) });
    const shown = accuracy === undefined ? '' : `, accuracy ${(100 * accuracy).toFixed(2)} %`;
    onProgress?.({
      phase: 'train',
      completed: step,
      total: this.#totalSteps,
      unit: 'steps',
      message: `held out after step ${step}: loss ${loss.toFixed(4)}${shown}`,
    });
    if (!(loss >= this.#totals.bestLoss)) {
      this.#totals.bestLoss = loss;
      this.#totals.sinceBest = 0;
      if (options.earlyStopping !== undefined) this.#keepBest();
      this.#heldOut = result;
      return false;
    }
    if (options.earlyStopping === undefined) {
      this.#heldOut = result;
      return false;
    }
    this.#totals.sinceBest++;
    return this.#totals.sinceBest >= options.earlyStopping;
  }

  #keepBest(): void {
    for (const [name, { value }] of this.#parameters) {
      let copy = this.#best.get(name);
      if (copy === undefined) {
        copy = keep(Tensor.zeros(value.shape, value.dtype, value.device));
        this.#best.set(name, copy);
      }
      copy.copyFrom(value);
    }
  }

  #restoreBest(): void {
    for (const [name, tensor] of this.#best) this.#parameters.get(name)?.value.copyFrom(tensor);
  }

  #report(step: number, loss: number, smoothed: number, lr: number, seconds: number): void {
    this.#in.onProgress?.({
      phase: 'train',
      completed: step,
      total: this.#totalSteps,
      unit: 'steps',
      values: {
        loss,
        smoothedLoss: smoothed,
        learningRate: lr,
        tokensPerSecond: (this.#totals.tokens - this.#tokensBefore) / Math.max(seconds, 1e-9),
        peakMemoryBytes: native().memory(this.#in.model.model.device).peak,
      },
    });
  }

  async #save(step: number): Promise<void> {
    const { sum, weight } = this.#smoothed.state;
    const { accuracy } = this.#heldOut ?? {};
    const totals = {
      ...this.#totals,
      smoothedSum: sum,
      smoothedWeight: weight,
      ...(this.#heldOut && { heldOutLoss: this.#heldOut.loss }),
      ...(accuracy !== undefined && { accuracy }),
    };
    const progress: TrainingProgress = {
      step,
      epoch: Math.floor(step / this.#stepsPerEpoch),
      batch: (step % this.#stepsPerEpoch) * this.#in.options.gradientAccumulation,
      seed: this.#in.options.seed,
      fingerprint: this.#in.fingerprint,
      schedule: { kind: this.#in.options.schedule, totalSteps: this.#totalSteps },
      totals: Object.fromEntries(
        Object.entries(totals).filter(([, value]) => !Number.isNaN(value)),
      ),
    };
    await saveFinetune(this.#in.directory, progress, this.#tensors());
  }

  async #restore(): Promise<TrainingProgress | undefined> {
    const progress = await restoreFinetune(this.#in.directory, this.#tensors());
    if (progress === undefined) return undefined;
    const { totals } = progress;
    this.#totals = {
      tokens: totals.tokens ?? 0,
      skippedSteps: totals.skippedSteps ?? 0,
      bestLoss: totals.bestLoss ?? Number.NaN,
      sinceBest: totals.sinceBest ?? 0,
    };
    this.#tokensBefore = this.#totals.tokens;
    this.#smoothed = new SmoothedLoss(undefined, {
      sum: totals.smoothedSum ?? 0,
      weight: totals.smoothedWeight ?? 0,
    });
    const { heldOutLoss, accuracy } = totals;
    if (heldOutLoss !== undefined) {
      this.#heldOut = { loss: heldOutLoss, ...(accuracy !== undefined && { accuracy }) };
    }
    return progress;
  }

  #tensors() {
    return { parameters: this.#parameters, optimizer: this.#optimizer, best: this.#best };
  }
}

function isOutOfMemory(error: unknown): error is EspalierError {
  return error instanceof EspalierError && error.code === 'OUT_OF_MEMORY';
}

function outOfMemory(cause: EspalierError, done: number, options: ResolvedFinetune): EspalierError {
  const { op = 'finetune', message, details } = cause;
  const again = 'a smaller --batch-size (with more --gradient-accumulation) or --max-length';
  const less = options.gradientCheckpointing ? '' : '--gradient-checkpointing, ';
  return new EspalierError('OUT_OF_MEMORY', `no memory left after step ${done}: ${message}`, {
    op,
    remedy:
      done > 0 && less !== ''
        ? `go on with --resume --gradient-checkpointing, or start over with ${again}`
        : `start over with ${less}${again}`,
    details,
    cause,
  });
}
