import { EspalierError } from '../common/errors.js';
import { atOnce, type Pieces } from '../common/pieces.js';
import type { ModelConfig } from '../formats/model-config.js';
import type { AdapterSet } from '../nn/adapter-set.js';
import { noGrad } from '../nn/no-grad.js';
import type { Parameter } from '../nn/parameter.js';
import { recompute } from '../nn/recompute.js';
import { embedding } from '../ops/embedding.js';
import type { Shape } from '../native/types.js';
import { isTracked } from '../tensor/recorder.js';
import { scope, scopeInPieces } from '../tensor/scope.js';
import { Tensor } from '../tensor/tensor.js';
import {
  headLogits,
  headLoss,
  headMeanLoss,
  nextTokenTargets,
  shiftedTargets,
} from './decoder-head.js';
import { layerTensorName } from './decoder-tensors.js';
import { type AttachedAdapters, attachAdapters, type ForwardContext } from './forward-context.js';
import { frozenDepth, type LayerParts } from './frozen-depth.js';
import { type LayerForwardOptions, layerForward } from './layer-forward.js';
import {
  disposeLayer,
  layerLinears,
  type LayerWeights,
  type LinearWeights,
  namedLayerLinears,
  namedLayerTensors,
} from './layer-weights.js';
import { disposeOuter, namedOuterTensors, type OuterWeights } from './outer-weights.js';
import type { PrefixCache } from './prefix-cache.js';
import { ropeFrequencies } from './rope-frequencies.js';
import {
  type InputIds,
  type TokenBatch,
  type TokenBatchOptions,
  tokenBatch,
} from './token-batch.js';
import { trainAll } from './train-all.js';

/** Options of {@link Decoder.hiddenStates}. */
export interface HiddenStatesOptions {
  /** Called, inside the scope, with the stream entering each layer and at last the one leaving the
   * last; `keep()` what must live on. */
  onStream?: (stream: Tensor, layer: number) => void;
  /** Looks into a layer: the options of its `layerForward`. */
  layerOptions?: (layer: number) => LayerForwardOptions;
  /** Adapters, dropout and padding of this pass; default the adapter set in force. */
  context?: ForwardContext;
}

/** Options of {@link Decoder.forward}. */
export type ForwardOptions = Pick<TokenBatchOptions, 'attentionMask'>;

/** Options of {@link Decoder.loss}. */
export interface LossOptions extends TokenBatchOptions {
  /** Seed of this step's dropout masks; default no dropout. */
  dropoutSeed?: number;
  /** Keep only what enters each layer, and compute the rest again on the way back; default false. */
  gradientCheckpointing?: boolean;
}

/** A decoder-only language model of the LLaMA family with all its weights loaded. */
export class Decoder {
  /** What it computes. */
  readonly config: ModelConfig;
  /** Embedding, final norm and head. */
  readonly outer: OuterWeights;
  /** In order. */
  readonly layers: readonly LayerWeights[];
  /** The linear layers that adapters can change, by module path. */
  readonly linears: ReadonlyMap<string, LinearWeights>;
  /** Keeps what the layers below the lowest trained one give; stays its owner's. Default none. */
  prefixCache: PrefixCache | undefined;
  readonly #frequencies: Tensor;
  #adopted: AdapterSet | undefined;
  #adapter: AdapterSet | undefined;
  #attached: AttachedAdapters | undefined;
  #own: ReadonlyMap<string, Parameter> | undefined;
  #disposed = false;

  /**
   * Takes the weights over: `dispose()` frees them.
   * @param frequencies inverse frequencies of the rotation, [headDim / 2]; default those of the config
   */
  constructor(
    config: ModelConfig,
    outer: OuterWeights,
    layers: readonly LayerWeights[],
    frequencies: Float32Array = ropeFrequencies(config.rope, config.headDim),
  ) {
    this.config = config;
    this.outer = outer;
    this.layers = layers;
    this.#frequencies = Tensor.from(frequencies, [frequencies.length], { device: this.device });
    this.linears = new Map(layers.flatMap(layerLinears));
  }

  /** Where it computes. */
  get device(): string {
    return this.outer.embedding.device;
  }

  /** The adapter set in force, which stays its owner's. */
  get adapter(): AdapterSet | undefined {
    return this.#adapter;
  }

  /**
   * Puts an adapter set in force, or none. Costs nothing: the base stays as it is.
   * @throws EspalierError `CONFIG` or `SHAPE` when it belongs to another base, `UNSUPPORTED` when it
   * holds whole tensors, such as the head of a classifier.
   */
  set adapter(set: AdapterSet | undefined) {
    const [whole] = set?.saved.keys() ?? [];
    if (whole !== undefined) {
      throw new EspalierError(
        'UNSUPPORTED',
        `adapter: ${whole} is replaced as a whole, which a language model can't do`,
        { remedy: 'merge the adapter into the model; that of a classifier needs numLabels' },
      );
    }
    this.#attached = set === undefined ? undefined : attachAdapters(this.linears, set);
    this.#adapter = set;
  }

  /** Puts an adapter set in force and takes it over: `dispose()` frees it with the model. */
  adopt(set: AdapterSet): void {
    this.adapter = set;
    this.#adopted = set;
  }

  /**
   * Makes every weight a parameter, for full fine-tuning.
   * @throws EspalierError `CONFIG` when weights are not held as f32 copies
   */
  trainAll(): void {
    this.#own ??= trainAll(this.namedTensors());
  }

  /** Every weight under its name in the checkpoint; a tied head is not listed twice. */
  namedTensors(): Map<string, Tensor> {
    const named = namedOuterTensors(this.outer);
    for (const [i, layer] of this.layers.entries()) {
      for (const [name, tensor] of namedLayerTensors(layer)) {
        named.set(layerTensorName(i, name), tensor);
      }
    }
    return named;
  }

  /** What is trained: the adapter set's parameters, named as PEFT does, or those of `trainAll()`. */
  *trainableParameters(): Generator<[string, Parameter]> {
    if (this.#own !== undefined) yield* this.#own;
    if (this.#adapter !== undefined) yield* this.#adapter.parameters();
  }

  /** The context of a pass with the adapter set in force. */
  context(
    options: Pick<LossOptions, 'dropoutSeed' | 'gradientCheckpointing'> = {},
  ): ForwardContext {
    const { dropoutSeed, gradientCheckpointing = false } = options;
    return {
      ...(this.#attached === undefined ? {} : { adapters: this.#attached }),
      ...(dropoutSeed === undefined ? {} : { dropoutSeed }),
      gradientCheckpointing,
    };
  }

  /**
   * The logits of a batch of equally long token sequences.
   * @returns f32 [batch, sequence, vocab]
   * @throws EspalierError `SHAPE` for ragged, empty or too long sequences and ids out of range.
   */
  forward(inputIds: InputIds, options: ForwardOptions = {}): Tensor {
    const batch = tokenBatch(inputIds, this.config, options);
    return scope(() => {
      const x = atOnce(this.stream(batch, this.context()));
      return headLogits(this.config, this.outer, x);
    });
  }

  /**
   * The mean negative log-likelihood, in nats, of the labels, each predicted from the tokens before
   * it. `backward()` on it leads to the trainable parameters; dispose it when it is not wanted.
   * @param options labels are aligned with the tokens and default to them, without padding
   * @returns f32 []; 0 when there is no label
   * @throws EspalierError as {@link forward}
   */
  loss(inputIds: InputIds, options: LossOptions = {}): Tensor {
    return atOnce(this.lossInPieces(inputIds, options));
  }

  /** As {@link loss}, a piece for each layer. */
  *lossInPieces(inputIds: InputIds, options: LossOptions = {}): Pieces<Tensor> {
    const batch = tokenBatch(inputIds, this.config, options);
    const labels = batch.labels ?? unpadded(batch);
    if (labels.length !== batch.inputIds.length) {
      throw new EspalierError(
        'SHAPE',
        `labels: expected ${batch.inputIds.length} tokens, got ${labels.length}`,
      );
    }
    return yield* scopeInPieces(() => this.#meanLoss(batch, labels, this.context(options)));
  }

  /**
   * The negative log-likelihood, in nats, of each next token of a batch of equally long sequences.
   * The logits of all positions are never held at once.
   * @returns f32 [batch, sequence - 1]
   * @throws EspalierError as {@link forward}, and `SHAPE` for sequences of one token.
   */
  async tokenLosses(inputIds: InputIds): Promise<Float32Array> {
    const { inputIds: ids, batch, sequence } = tokenBatch(inputIds, this.config);
    if (sequence < 2) {
      throw new EspalierError('SHAPE', 'inputIds: a loss needs at least 2 tokens, got 1');
    }
    const losses = noGrad(() => this.losses(ids, sequence));
    const all = (await losses.read()) as Float32Array;
    losses.dispose();
    const result = new Float32Array(batch * (sequence - 1));
    for (let i = 0; i < batch; i++) {
      result.set(all.subarray(i * sequence, (i + 1) * sequence - 1), i * (sequence - 1));
    }
    return result;
  }

  /**
   * The negative log-likelihood of windows of token ids, one value per position.
   * @param ids whole windows, one after the other
   * @param counted see `nextTokenTargets`
   * @returns f32 [ids.length]; 0 where nothing is predicted
   */
  losses(ids: Int32Array, window: number, counted?: number): Tensor {
    return scope(() => {
      const targets = this.#upload(nextTokenTargets(ids, window, counted));
      const x = this.hiddenStates(this.#upload(ids, [ids.length / window, window]));
      return headLoss(this.config, this.outer, x, targets);
    });
  }

  /**
   * The residual stream leaving the last layer, before the final norm.
   * @param ids i32 [batch, sequence]
   * @returns f32 [batch, sequence, hidden]
   */
  hiddenStates(ids: Tensor, options: HiddenStatesOptions = {}): Tensor {
    return scope(() =>
      this.throughLayers(embedding(ids, this.outer.embedding), 0, this.layers.length, options),
    );
  }

  /**
   * The residual stream after the layers `[from, to)`: a model can be cut at any layer, and
   * `backward(gradient)` on the result starts from a gradient that comes from elsewhere.
   * @param x f32 [batch, sequence, hidden], the stream entering layer `from`
   * @returns f32 like `x`
   */
  throughLayers(x: Tensor, from: number, to: number, options: HiddenStatesOptions = {}): Tensor {
    return scope(() => atOnce(this.#through(x, from, to, options)));
  }

  /** As {@link throughLayers}, a piece for each layer, in the scope around. */
  *#through(x: Tensor, from: number, to: number, options: HiddenStatesOptions): Pieces<Tensor> {
    const { onStream, layerOptions, context = this.context() } = options;
    let stream = x;
    for (const [i, layer] of this.layers.slice(from, to).entries()) {
      onStream?.(stream, from + i);
      const next = this.#layer(layer, stream, { context, ...layerOptions?.(from + i) });
      if (onStream === undefined && stream !== x) stream.dispose();
      stream = next;
      yield;
    }
    onStream?.(stream, to);
    return stream;
  }

  /** Frees the weights. Idempotent. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#frequencies.dispose();
    this.#adopted?.dispose();
    for (const parameter of this.#own?.values() ?? []) parameter.dispose();
    disposeOuter(this.outer);
    for (const layer of this.layers) disposeLayer(layer);
  }

  #upload(data: Int32Array | Uint8Array, shape: Shape = [data.length]): Tensor {
    return Tensor.from(data, shape, { device: this.device });
  }

  #idsOf({ inputIds, batch, sequence }: TokenBatch): Tensor {
    return this.#upload(inputIds, [batch, sequence]);
  }

  /** A context that hides the padding of a batch, where a causal model could see it. */
  #masked({ attentionMask, batch, sequence }: TokenBatch, context: ForwardContext): ForwardContext {
    if (attentionMask === undefined || !hidesKeys(attentionMask, sequence)) return context;
    return { ...context, keyMask: this.#upload(attentionMask, [batch, sequence]) };
  }

  #layer(layer: LayerWeights, x: Tensor, options: LayerForwardOptions): Tensor {
    const run = (stream: Tensor, context?: ForwardContext) =>
      layerForward(this.config, layer, stream, this.#frequencies, {
        ...options,
        ...(context && { context }),
      });
    const { keyMask, ...context } = options.context ?? {};
    if (context.gradientCheckpointing !== true) return run(x);
    const { tensors, linears } = partsOf(layer);
    const inside = [...tensors];
    for (const linear of linears) {
      const adapter = context.adapters?.get(linear)?.adapter;
      if (adapter !== undefined) inside.push(adapter.a.value, adapter.b.value);
    }
    const uses = inside.filter((tensor) => isTracked(tensor));
    return recompute(
      ([stream, mask]) => run(stream as Tensor, { ...context, ...(mask && { keyMask: mask }) }),
      keyMask === undefined ? [x] : [x, keyMask],
      uses,
    );
  }

  /**
   * The residual stream leaving the last layer for a checked batch, padding hidden; a piece for each
   * layer.
   * @returns f32 [batch, sequence, hidden]
   */
  stream(batch: TokenBatch, context: ForwardContext): Pieces<Tensor> {
    return scopeInPieces(() => this.#fromTokens(batch, context));
  }

  *#fromTokens(batch: TokenBatch, context: ForwardContext): Pieces<Tensor> {
    const cache = this.prefixCache;
    const depth =
      cache === undefined
        ? 0
        : frozenDepth([this.outer.embedding], this.layers.map(partsOf), context.adapters);
    const x =
      cache === undefined || depth === 0
        ? embedding(this.#idsOf(batch), this.outer.embedding)
        : cache.stream(batch, depth, (sample) =>
            noGrad(() => {
              const entering = embedding(this.#idsOf(sample), this.outer.embedding);
              return this.throughLayers(entering, 0, depth, { context: this.#masked(sample, {}) });
            }),
          );
    const options = { context: this.#masked(batch, context) };
    return yield* this.#through(x, depth, this.layers.length, options);
  }

  *#meanLoss(batch: TokenBatch, labels: Int32Array, context: ForwardContext): Pieces<Tensor> {
    const x = yield* this.stream(batch, context);
    const targets = this.#upload(shiftedTargets(labels, batch.sequence));
    return headMeanLoss(this.config, this.outer, x, targets);
  }
}

function partsOf(layer: LayerWeights): LayerParts {
  return {
    tensors: [...namedLayerTensors(layer).values()],
    linears: [...namedLayerLinears(layer).values()],
  };
}

/** The tokens themselves as labels, -100 where there is padding. */
function unpadded({ inputIds, attentionMask }: TokenBatch): Int32Array {
  return attentionMask === undefined
    ? inputIds
    : inputIds.map((id, i) => (attentionMask[i] === 0 ? -100 : id));
}

/** Whether padding stands before a token; behind them all, a causal model never looks at it. */
function hidesKeys(mask: Uint8Array, sequence: number): boolean {
  return mask.some((real, i) => real === 1 && i % sequence !== 0 && mask[i - 1] === 0);
}
