import type { LongOperationOptions } from '../../common/events.js';
import type { ModelConfig } from '../../formats/model-config.js';
import type { OutputDirectory } from '../../formats/output-directory.js';
import { writeRunRecord } from '../../formats/run-record.js';
import { native } from '../../native/addon.js';
import type { Checkpoint } from '../../models/checkpoint.js';
import type { LayerWeights } from '../../models/layer-weights.js';
import { ropeTensor } from '../../models/rope-tensor.js';
import type { Calibration } from '../../pruning/calibration.js';
import { calibrationChunks, disposeChunks } from '../../pruning/calibration-chunks.js';
import { loadFinishedLayer } from '../../pruning/load-finished-layer.js';
import { PartialResult } from '../../pruning/partial-result.js';
import { writePrunedModel } from '../../pruning/write-model.js';
import type { Tensor } from '../../tensor/tensor.js';
import { blockMethod } from './block-method.js';
import { calibrate } from './calibrate.js';
import { type Decisions, decide } from './decide.js';
import { dividesHidden, RATIO_TOLERANCE } from './candidate-splits.js';
import { layerPlan, type RunPlan } from './layer-plans.js';
import { layerParameters, modelParameters } from './parameter-budget.js';
import { inputHashes } from './prune-inputs.js';
import { type LayerReport, pruneLayers } from './prune-layers.js';
import type { ResolvedPruneOptions } from './prune-options.js';
import type { ReproducibleResult } from './prune-result.js';
import { mayHaveBiases, resultConfig, withZeroBiases } from './result-config.js';
import type { SplitTrial } from './split-search.js';
import type { Workbench } from './workbench.js';

/** Bytes that the widest intermediate tensor of a chunk may take. */
const CHUNK_BYTES = 32 << 20;

/** From this many floats per token in one tensor on, memory goes before time. */
const WIDE = 4096;

/** Freed memory that is kept for reuse: by default, and while a wide model is pruned. */
const DEFAULT_CACHE_BYTES = 256 << 20;
const WIDE_CACHE_BYTES = 16 << 20;

/** What a run of `prune` was started with. */
export interface PruneRunSetup extends LongOperationOptions {
  /** The model's directory as it was given. */
  directory: string;
  checkpoint: Checkpoint;
  options: ResolvedPruneOptions;
  output: OutputDirectory;
  fingerprint: string;
  device: string;
}

/** One run of `prune`, from calibration text to a complete directory. */
export class PruneRun {
  readonly #setup: PruneRunSetup;
  readonly #warnings: string[] = [];

  constructor(setup: PruneRunSetup) {
    this.#setup = setup;
  }

  /** Does everything up to the run record, which says that all else is there. */
  async execute(): Promise<ReproducibleResult> {
    const { checkpoint, options, output, fingerprint, signal } = this.#setup;
    const hashing = inputHashes(this.#setup.directory, checkpoint, options.calibration, signal);
    hashing.catch(() => {});
    const partial = await PartialResult.open(output.path, fingerprint);
    const frequencies = ropeTensor(checkpoint.config, checkpoint.device);
    const calibration = await this.#calibrate(frequencies);
    const bench = this.#bench(calibration, frequencies);
    const wide = widestLayer(bench.config) >= WIDE;
    // Freed blocks of such sizes are seldom asked for again soon.
    if (wide) native().setCacheLimit(WIDE_CACHE_BYTES);
    try {
      const decisions = await this.#decide(bench, calibration, partial);
      const { loss, reports } = await this.#pruneAll(bench, decisions.plan, partial);
      const result = this.#result(decisions, calibration, loss, reports);
      await this.#write(partial, reports);
      await writeRunRecord(output.path, {
        command: 'prune',
        options: withoutOutput(options),
        seed: options.seed,
        device: this.#setup.device,
        inputs: await hashing,
        metrics: { fingerprint, result },
      });
      return result;
    } finally {
      if (wide) native().setCacheLimit(DEFAULT_CACHE_BYTES);
      disposeChunks(bench.chunks);
      bench.frequencies.dispose();
    }
  }

  async #calibrate(frequencies: Tensor): Promise<Calibration> {
    const { directory, checkpoint, options, signal } = this.#setup;
    const { calibration, warnings } = await calibrate({
      directory,
      checkpoint,
      frequencies,
      options,
      ...(signal === undefined ? {} : { signal }),
      onProgress: (phase, completed, total) =>
        this.#progress(phase, completed, total, phase === 'sample' ? 'tokens' : 'texts'),
    });
    this.#warnings.push(...warnings);
    return calibration;
  }

  #bench(calibration: Calibration, frequencies: Tensor): Workbench {
    const { checkpoint, signal } = this.#setup;
    const { config } = checkpoint;
    const layers = config.layers.length;
    return {
      checkpoint,
      config,
      frequencies,
      chunks: calibrationChunks(calibration, widestLayer(config), CHUNK_BYTES, checkpoint.device),
      ...(signal === undefined ? {} : { signal }),
      onLayer: (phase, layer) => {
        if (phase === 'survey') this.#progress('calibrate', layer + 1, layers, 'layers');
        if (phase === 'gradients') this.#progress('gradients', layers - layer, layers, 'layers');
      },
    };
  }

  async #decide(
    bench: Workbench,
    calibration: Calibration,
    partial: PartialResult,
  ): Promise<Decisions> {
    if (partial.plan !== undefined) return partial.plan as Decisions;
    const { options, checkpoint } = this.#setup;
    const decisions = await decide({
      bench,
      calibration,
      options,
      widest: widestLayer(checkpoint.config),
      chunkBytes: CHUNK_BYTES,
      onTrial: (trial, done, total) => this.#trialProgress(trial, done, total),
      onPass: (done, total) => this.#progress('balance', done, total, 'passes'),
    });
    await partial.setPlan(decisions);
    return decisions;
  }

  async #pruneAll(
    bench: Workbench,
    plan: RunPlan,
    partial: PartialResult,
  ): Promise<{ loss: number; reports: LayerReport[] }> {
    const { options, checkpoint, signal } = this.#setup;
    const { config } = checkpoint;
    const { maxMaskVariance: guard, ...unguarded } = blockMethod(options);
    const guarded = guard !== undefined && plan.balanced !== true;
    const method = guarded ? { ...unguarded, maxMaskVariance: guard } : unguarded;
    if (plan.exceeded === true) {
      this.#warnings.push(
        `the variance guard would stop all layers before ${options.ratio} of the parameters are ` +
          `gone; it was exceeded`,
      );
    }
    const biases = method.compensateBias && mayHaveBiases(config);
    if (method.compensateBias && !biases) {
      this.#warnings.push(`a ${config.family} model can't carry FLAP's biases; they are left out`);
    }
    this.#progress('prune', 0, config.layers.length, 'layers');
    return pruneLayers(
      {
        ...bench,
        onLayer: (_, layer) => this.#progress('prune', layer + 1, config.layers.length, 'layers'),
      },
      {
        method: { ...method, compensateBias: biases },
        seed: options.seed,
        align: plan.align,
        plan: (layer, done) => layerPlan(config, plan, layer, done),
        finished: async (layer) => {
          const finished = partial.finished(layer);
          if (finished === undefined) return undefined;
          const weights = await loadFinishedLayer(
            partial.layerFile(layer),
            finished,
            config,
            checkpoint.device,
          );
          return { weights, report: finished.report as LayerReport };
        },
        onPruned: (layer, report) => this.#store(partial, layer, report, biases, signal),
      },
    );
  }

  async #store(
    partial: PartialResult,
    layer: LayerWeights,
    report: LayerReport,
    biases: boolean,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    if (!biases) return partial.finish(report.layer, layer, report, signal);
    const filled = withZeroBiases(layer);
    try {
      await partial.finish(report.layer, filled.layer, report, signal);
    } finally {
      for (const bias of filled.made) bias.dispose();
    }
  }

  #resultConfig(reports: readonly LayerReport[]): ModelConfig {
    const { options, checkpoint } = this.#setup;
    const { config } = checkpoint;
    const layers = reports.map(({ layer, attention, mlp }) => {
      const shape = config.layers[layer];
      if (shape === undefined) throw new RangeError(`no layer ${layer}`);
      const perGroup = shape.numAttentionHeads / shape.numKeyValueHeads;
      return {
        ...shape,
        numKeyValueHeads: attention.kept,
        numAttentionHeads: attention.kept * perGroup,
        intermediateSize: mlp.kept,
      };
    });
    const biases = blockMethod(options).compensateBias && mayHaveBiases(config);
    return resultConfig(config, layers, biases);
  }

  async #write(partial: PartialResult, reports: readonly LayerReport[]): Promise<void> {
    const { checkpoint, output, signal } = this.#setup;
    await writePrunedModel(output.path, {
      checkpoint,
      config: this.#resultConfig(reports),
      survivors: reports.map(({ layer }) => layer),
      partial,
      ...(signal === undefined ? {} : { signal }),
      onBytes: (written, total) => this.#progress('write', written, total, 'bytes'),
    });
  }

  #result(
    { plan, survey: surveyed, trials }: Decisions,
    calibration: Calibration,
    after: number,
    reports: LayerReport[],
  ): ReproducibleResult {
    const { options, checkpoint } = this.#setup;
    const { config } = checkpoint;
    const shapes = this.#resultConfig(reports).layers;
    const before = modelParameters(config);
    const left =
      modelParameters({ ...config, layers: [] }) +
      shapes.reduce((sum, shape) => sum + layerParameters(config, shape), 0);
    const ratio = 1 - left / before;
    this.#judgeRatio(ratio);
    this.#judgeHeads();
    const trial = trials[0]?.quality?.loss;
    return {
      method: options.method,
      nominalRatio: options.ratio,
      ratio,
      parameters: { before, after: modelParameters(this.#resultConfig(reports)) },
      layers: { before: config.layers.length, after: shapes.length, dropped: plan.split.dropped },
      widths: {
        intermediateSize: shapes.map((shape) => shape.intermediateSize),
        numAttentionHeads: shapes.map((shape) => shape.numAttentionHeads),
        numKeyValueHeads: shapes.map((shape) => shape.numKeyValueHeads),
      },
      influence: surveyed.influence,
      perLayer: reports,
      splits: trials,
      heldOutLoss: { before: surveyed.loss, ...(trial === undefined ? {} : { trial }), after },
      calibration: {
        training: calibration.training.length,
        heldOut: calibration.heldOut.length,
        sampled: calibration.sampled,
        window: calibration.window,
      },
      warnings: [...this.#warnings],
    };
  }

  #judgeHeads(): void {
    const { options, checkpoint } = this.#setup;
    const { keyValueGroups: groups, shape } = options;
    if (groups === 'auto' || shape !== 'uniform' || dividesHidden(checkpoint.config, groups))
      return;
    this.#warnings.push(
      `${groups} key/value groups: the hidden size, ${checkpoint.config.hiddenSize}, is no multiple ` +
        'of the number of heads; the result loads in espalier, but stock transformers refuses it',
    );
  }

  #judgeRatio(ratio: number): void {
    const { ratio: asked } = this.#setup.options;
    const percent = (x: number) => `${(100 * x).toFixed(1)} %`;
    if (ratio < asked - 1e-9) {
      this.#warnings.push(
        `only ${percent(ratio)} of the parameters are gone, not ${percent(asked)}: ` +
          'the variance guard stopped some layers',
      );
    } else if (ratio > asked + RATIO_TOLERANCE) {
      this.#warnings.push(
        `${percent(ratio)} of the parameters are gone, more than the ${percent(asked)} asked for: ` +
          'the shapes allow nothing nearer',
      );
    }
  }

  #trialProgress({ split, estimate, quality }: SplitTrial, done: number, total: number): void {
    const layers = split.dropped.length === 0 ? 'none' : split.dropped.join(' ');
    const { loss, divergence } = quality ??
      estimate ?? { loss: Number.NaN, divergence: Number.NaN };
    const perplexity = Math.exp(loss);
    this.#setup.onProgress?.({
      phase: 'search',
      completed: done,
      total,
      unit: 'splits',
      message:
        `layers dropped: ${layers}, groups ${Math.max(...split.groups)}, ` +
        `channels ${Math.max(...split.channels)}: divergence ${divergence.toPrecision(3)}, ` +
        `perplexity ${perplexity.toPrecision(4)} (${quality === undefined ? 'estimate' : 'held out'})`,
      values: { ratio: split.ratio, divergence, perplexity },
    });
  }

  #progress(phase: string, completed: number, total: number, unit: string): void {
    this.#setup.onProgress?.({ phase, completed, total, unit });
  }
}

/** Where the result stands is no part of how it was made. */
function withoutOutput({ output: _, ...options }: ResolvedPruneOptions): Record<string, unknown> {
  return options;
}

/** The largest number of floats that a layer holds per token in one tensor. */
function widestLayer(config: ModelConfig): number {
  const { hiddenSize, headDim, layers } = config;
  return Math.max(
    hiddenSize,
    ...layers.map((layer) => Math.max(layer.intermediateSize, layer.numAttentionHeads * headDim)),
  );
}
