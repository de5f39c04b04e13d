import { EspalierError } from '../common/errors.js';
import { atOnce, inTurns, type Pieces } from '../common/pieces.js';
import type { EncoderConfig } from '../formats/encoder-config.js';
import type { ModelConfig } from '../formats/model-config.js';
import type { AdapterSet } from '../nn/adapter-set.js';
import { noGradInPieces } from '../nn/no-grad.js';
import type { Parameter } from '../nn/parameter.js';
import { dropout } from '../ops/dropout.js';
import { linear } from '../ops/linear.js';
import { relu } from '../ops/relu.js';
import { rmsNorm } from '../ops/rms-norm.js';
import { selectToken } from '../ops/select-token.js';
import { softmaxCrossEntropy } from '../ops/softmax-cross-entropy.js';
import { tanh } from '../ops/tanh.js';
import { scopeInPieces } from '../tensor/scope.js';
import { settle } from '../tensor/settle.js';
import { Tensor } from '../tensor/tensor.js';
import { type ClassifierHead, classifierHead } from './classifier-head.js';
import { Decoder, type LossOptions } from './decoder.js';
import type { Encoder } from './encoder.js';
import {
  type AttachedAdapters,
  attachAdapters,
  dropoutSeedAt,
  type ForwardContext,
} from './forward-context.js';
import type { LinearWeights } from './layer-weights.js';
import type { PrefixCache } from './prefix-cache.js';
import {
  type InputIds,
  type TokenBatch,
  type TokenBatchOptions,
  tokenBatch,
} from './token-batch.js';
import { trainAll } from './train-all.js';

/** Place of the first dropout mask of the head. */
const HEAD_PLACE = 2_000_000;

/** Options of {@link Classifier.forward}. */
export type ClassifyOptions = Pick<TokenBatchOptions, 'attentionMask' | 'tokenTypeIds'>;

/** An encoder or decoder with a head that scores classes of whole sequences. */
export class Classifier {
  /** The model below the head. */
  readonly trunk: Encoder | Decoder;
  /** Names of the classes, in order. */
  readonly labels: readonly string[];
  readonly #head: ClassifierHead;
  readonly #headTensors: ReadonlyMap<string, Tensor>;
  #adopted: AdapterSet | undefined;
  #adapter: AdapterSet | undefined;
  #attached: AttachedAdapters | undefined;
  #own: ReadonlyMap<string, Parameter> | undefined;

  /**
   * Takes trunk and head over: `dispose()` frees them.
   * @param headTensors weights of the head by full name, such as `classifier.weight`
   */
  constructor(
    trunk: Encoder | Decoder,
    headTensors: ReadonlyMap<string, Tensor>,
    labels: readonly string[],
  ) {
    this.trunk = trunk;
    this.labels = labels;
    this.#head = classifierHead(trunk.config);
    this.#headTensors = headTensors;
  }

  /** Where it computes. */
  get device(): string {
    return this.trunk.device;
  }

  /** What the trunk computes. */
  get config(): EncoderConfig | ModelConfig {
    return this.trunk.config;
  }

  /** The linear layers that adapters can change, by module path. */
  get linears(): ReadonlyMap<string, LinearWeights> {
    return this.trunk.linears;
  }

  /** The weights of the head by full name, such as `classifier.weight`. */
  get headTensors(): ReadonlyMap<string, Tensor> {
    return this.#headTensors;
  }

  /** Keeps what the layers below the lowest trained one give; stays its owner's. Default none. */
  get prefixCache(): PrefixCache | undefined {
    return this.trunk.prefixCache;
  }

  set prefixCache(cache: PrefixCache | undefined) {
    this.trunk.prefixCache = cache;
  }

  /** The adapter set in force, which stays its owner's. */
  get adapter(): AdapterSet | undefined {
    return this.#adapter;
  }

  /**
   * Puts an adapter set in force, with the head that it carries, or none.
   * @throws EspalierError `CONFIG` or `SHAPE` when it belongs to another base.
   */
  set adapter(set: AdapterSet | undefined) {
    for (const [name, { value }] of set?.saved ?? []) {
      const own = this.#headTensors.get(name);
      if (own === undefined) {
        throw new EspalierError('CONFIG', `adapter: the model has no head weight ${name}`);
      }
      if (own.shape.join() !== value.shape.join()) {
        throw new EspalierError(
          'SHAPE',
          `adapter: ${name} is [${own.shape}] in the model, but [${value.shape}] in the adapter`,
        );
      }
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

  /** Every weight under its name in the checkpoint. */
  namedTensors(): Map<string, Tensor> {
    const { trunk } = this;
    const own = trunk instanceof Decoder ? trunk.namedTensors() : trunk.tensors;
    const named = new Map([...own, ...this.#headTensors]);
    // A classifier has no use for the head of the language model.
    named.delete('lm_head.weight');
    return named;
  }

  /** What is trained: the adapter set's parameters, named as PEFT does, or those of `trainAll()`. */
  *trainableParameters(): Generator<[string, Parameter]> {
    if (this.#own !== undefined) yield* this.#own;
    if (this.#adapter !== undefined) yield* this.#adapter.parameters();
  }

  /**
   * The scores of the classes for a batch of equally long, padded sequences.
   * @returns f32 [batch, labels]
   * @throws EspalierError `SHAPE` for ragged, empty or too long sequences and ids out of range.
   */
  forward(inputIds: InputIds, options: ClassifyOptions = {}): Tensor {
    return atOnce(this.#forward(inputIds, options));
  }

  *#forward(inputIds: InputIds, options: ClassifyOptions): Pieces<Tensor> {
    const batch = tokenBatch(inputIds, this.config, options);
    return yield* scopeInPieces(() => this.#logits(batch, this.#context({})));
  }

  /**
   * The mean cross-entropy, in nats, of the classes of a batch.
   * @param options `labels` holds one class per sequence, or -100 where there is none
   * @returns f32 []
   * @throws EspalierError as {@link forward}, and `SHAPE` for labels outside the classes
   */
  loss(inputIds: InputIds, options: LossOptions = {}): Tensor {
    return atOnce(this.lossInPieces(inputIds, options));
  }

  /** As {@link loss}, a piece for each layer. */
  *lossInPieces(inputIds: InputIds, options: LossOptions = {}): Pieces<Tensor> {
    const batch = tokenBatch(inputIds, this.config, options);
    const { labels } = batch;
    if (labels?.length !== batch.batch) {
      const got = labels === undefined ? 'none' : labels.length;
      throw new EspalierError('SHAPE', `labels: expected ${batch.batch} classes, got ${got}`);
    }
    for (const label of labels) {
      if (label === -100 || (label >= 0 && label < this.labels.length)) continue;
      throw new EspalierError(
        'SHAPE',
        `labels: expected classes from 0 to ${this.labels.length - 1}, got ${label}`,
      );
    }
    return yield* scopeInPieces(() => this.#meanLoss(batch, labels, this.#context(options)));
  }

  /**
   * The class with the highest score for each sequence of a batch.
   * @throws EspalierError as {@link forward}, and `ABORTED`
   */
  async classify(
    inputIds: InputIds,
    options: ClassifyOptions = {},
    signal?: AbortSignal,
  ): Promise<number[]> {
    const logits = await inTurns(
      noGradInPieces(this.#forward(inputIds, options)),
      signal,
      'classify',
    );
    try {
      const scores = await settle(logits, signal);
      const classes = this.labels.length;
      return Array.from({ length: scores.length / classes }, (_, row) => {
        const own = scores.subarray(row * classes, (row + 1) * classes) as Float32Array;
        return own.indexOf(Math.max(...own));
      });
    } finally {
      logits.dispose();
    }
  }

  /** Frees trunk and head. Idempotent. */
  dispose(): void {
    this.#adopted?.dispose();
    for (const parameter of this.#own?.values() ?? []) parameter.dispose();
    for (const tensor of this.#headTensors.values()) tensor.dispose();
    this.trunk.dispose();
  }

  #context({ dropoutSeed, gradientCheckpointing = false }: LossOptions): ForwardContext {
    return {
      ...(this.#attached === undefined ? {} : { adapters: this.#attached }),
      ...(dropoutSeed === undefined ? {} : { dropoutSeed }),
      gradientCheckpointing,
    };
  }

  *#meanLoss(batch: TokenBatch, labels: Int32Array, context: ForwardContext): Pieces<Tensor> {
    const logits = yield* this.#logits(batch, context);
    return softmaxCrossEntropy(logits, this.#upload(labels));
  }

  *#logits(batch: TokenBatch, context: ForwardContext): Pieces<Tensor> {
    let x = yield* this.#pooled(batch, context);
    const { layers, activation, bias, dropFirst } = this.#head;
    for (const [i, path] of layers.entries()) {
      const last = i === layers.length - 1;
      if (last || dropFirst) x = this.#drop(x, context, i);
      const weight = this.#headTensor(`${path}.weight`);
      x = linear(x, weight, bias ? this.#headTensor(`${path}.bias`) : undefined);
      if (!last) x = activation === 'tanh' ? tanh(x) : relu(x);
    }
    return x;
  }

  /** The state of the first token, or in a decoder of the last one that is not padding. */
  *#pooled(batch: TokenBatch, context: ForwardContext): Pieces<Tensor> {
    const { trunk } = this;
    const first = new Int32Array(batch.batch);
    if (!(trunk instanceof Decoder)) {
      return selectToken(yield* trunk.stream(batch, context), this.#upload(first));
    }
    const last = first.map((_, row) => {
      const mask = batch.attentionMask?.subarray(row * batch.sequence, (row + 1) * batch.sequence);
      return mask === undefined ? batch.sequence - 1 : Math.max(0, mask.lastIndexOf(1));
    });
    const stream = yield* trunk.stream(batch, context);
    const chosen = selectToken(stream, this.#upload(last));
    return rmsNorm(chosen, trunk.outer.finalNorm, trunk.config.rmsNormEps);
  }

  #upload(data: Int32Array): Tensor {
    return Tensor.from(data, [data.length], { device: this.device });
  }

  #headTensor(name: string): Tensor {
    const tensor = this.#adapter?.saved.get(name)?.value ?? this.#headTensors.get(name);
    if (tensor === undefined) throw new Error(`unreachable: no head weight ${name}`);
    return tensor;
  }

  #drop(x: Tensor, context: ForwardContext, place: number): Tensor {
    const seed = dropoutSeedAt(context, HEAD_PLACE + place);
    const probability = this.#head.dropout;
    return seed === undefined || probability === 0 ? x : dropout(x, probability, seed);
  }
}
