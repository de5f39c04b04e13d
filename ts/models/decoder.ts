import { EspalierError } from '../common/errors.js';
import type { ModelConfig } from '../formats/model-config.js';
import { embedding } from '../ops/embedding.js';
import { scope } from '../tensor/scope.js';
import { Tensor } from '../tensor/tensor.js';
import { headLogits, headLoss, nextTokenTargets } from './decoder-head.js';
import { type LayerForwardOptions, layerForward } from './layer-forward.js';
import { disposeLayer, type LayerWeights } from './layer-weights.js';
import { disposeOuter, type OuterWeights } from './outer-weights.js';
import { ropeFrequencies } from './rope-frequencies.js';

/** Options of {@link Decoder.hiddenStates}. */
export interface HiddenStatesOptions {
  /** Called, inside the scope, with the stream entering each layer and at last the one leaving the
   * last; `keep()` what must live on. */
  onStream?: (stream: Tensor, layer: number) => void;
  /** Looks into a layer: the options of its `layerForward`. */
  layerOptions?: (layer: number) => LayerForwardOptions;
}

/** A decoder-only language model of the LLaMA family with all its weights loaded. */
export class Decoder {
  /** What it computes. */
  readonly config: ModelConfig;
  /** Embedding, final norm and head. */
  readonly outer: OuterWeights;
  /** In order. */
  readonly layers: readonly LayerWeights[];
  readonly #frequencies: Tensor;
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
    this.#frequencies = Tensor.from(frequencies);
  }

  /**
   * The logits of a batch of equally long token sequences.
   * @returns f32 [batch, sequence, vocab]
   * @throws EspalierError `SHAPE` for ragged, empty or too long sequences and ids out of range.
   */
  forward(inputIds: readonly (readonly number[])[]): Tensor {
    const { ids, batch, sequence } = this.#batch(inputIds);
    return scope(() => {
      const x = this.hiddenStates(Tensor.from(ids, [batch, sequence]));
      return headLogits(this.config, this.outer, x);
    });
  }

  /**
   * The negative log-likelihood, in nats, of each next token of a batch of equally long sequences.
   * The logits of all positions are never held at once.
   * @returns f32 [batch, sequence - 1]
   * @throws EspalierError as {@link forward}, and `SHAPE` for sequences of one token.
   */
  async loss(inputIds: readonly (readonly number[])[]): Promise<Float32Array> {
    const { ids, batch, sequence } = this.#batch(inputIds);
    if (sequence < 2) {
      throw new EspalierError('SHAPE', 'inputIds: a loss needs at least 2 tokens, got 1');
    }
    const losses = scope(() => this.losses(ids, sequence));
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
      const targets = Tensor.from(nextTokenTargets(ids, window, counted));
      const x = this.hiddenStates(Tensor.from(ids, [ids.length / window, window]));
      return headLoss(this.config, this.outer, x, targets);
    });
  }

  /**
   * The residual stream leaving the last layer, before the final norm.
   * @param ids i32 [batch, sequence]
   * @returns f32 [batch, sequence, hidden]
   */
  hiddenStates(ids: Tensor, { onStream, layerOptions }: HiddenStatesOptions = {}): Tensor {
    return scope(() => {
      let x = embedding(ids, this.outer.embedding);
      for (const [i, layer] of this.layers.entries()) {
        onStream?.(x, i);
        const next = layerForward(this.config, layer, x, this.#frequencies, layerOptions?.(i));
        if (onStream === undefined) x.dispose();
        x = next;
      }
      onStream?.(x, this.layers.length);
      return x;
    });
  }

  /** Frees the weights. Idempotent. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#frequencies.dispose();
    disposeOuter(this.outer);
    for (const layer of this.layers) disposeLayer(layer);
  }

  #batch(inputIds: readonly (readonly number[])[]): {
    ids: Int32Array;
    batch: number;
    sequence: number;
  } {
    const batch = inputIds.length;
    const sequence = inputIds[0]?.length ?? 0;
    const { vocabSize, maxPositionEmbeddings } = this.config;
    const refuse = (expected: string, got: unknown): never => {
      throw new EspalierError('SHAPE', `inputIds: expected ${expected}, got ${got}`);
    };
    if (sequence === 0) refuse('at least one sequence of at least one token', 'none');
    if (sequence > maxPositionEmbeddings) {
      refuse(`at most ${maxPositionEmbeddings} tokens, the model's positions`, sequence);
    }
    const ids = new Int32Array(batch * sequence);
    for (const [i, row] of inputIds.entries()) {
      if (row.length !== sequence) refuse(`${sequence} tokens in sequence ${i}`, row.length);
      for (const [j, id] of row.entries()) {
        if (!Number.isInteger(id) || id < 0 || id >= vocabSize) {
          refuse(`token ids from 0 to ${vocabSize - 1}`, id);
        }
        ids[i * sequence + j] = id;
      }
    }
    return { ids, batch, sequence };
  }
}
