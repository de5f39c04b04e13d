import { throwIfAborted } from '../common/abort.js';
import { inTurns, type Pieces, Turn } from '../common/pieces.js';
import type { Random } from '../common/random.js';
import type { ModelConfig } from '../formats/model-config.js';
import { add } from '../ops/add.js';
import { attention } from '../ops/attention.js';
import { embedding } from '../ops/embedding.js';
import { addRmsNorm, rmsNorm } from '../ops/rms-norm.js';
import { rope } from '../ops/rope.js';
import { swiglu } from '../ops/swiglu.js';
import { scope, scopeInPieces } from '../tensor/scope.js';
import { Tensor } from '../tensor/tensor.js';
import { applyLinear } from './apply-linear.js';
import { attentionProjections, layerAttention } from './attention-block.js';
import { headLogits } from './decoder-head.js';
import type { LayerWeights } from './layer-weights.js';
import type { OuterWeights } from './outer-weights.js';

/** The model that {@link sampleSequences} draws from. */
export interface SampledModel {
  config: ModelConfig;
  outer: OuterWeights;
  layers: readonly LayerWeights[];
  /** See `ropeFrequencies`, as a tensor [headDim / 2]. */
  frequencies: Tensor;
}

/** What {@link sampleSequences} draws. */
export interface SampleOptions {
  /** The first token of every sequence. */
  first: readonly number[];
  /** Tokens in a sequence, the first included; at most the model's positions. */
  length: number;
  random: Random;
  signal?: AbortSignal;
  /** Called at first and after each position of a batch: tokens drawn so far, and all that will be. */
  onTokens?: (drawn: number, total: number) => void;
}

/** Rotated keys and values of all positions so far, f32 [position, sequence · kvHead, headDim]. */
interface LayerCache {
  keys: Tensor;
  values: Tensor;
}

/** Bytes that kept keys and values may take; more sequences are written one batch after the other. */
const MAX_CACHE_BYTES = 64 << 20;

/**
 * Lets a model write: every next token is drawn from its own distribution (temperature 1). Keys and
 * values are kept, 64 MiB of them at most, so the work is that of one forward pass over all tokens.
 * @throws EspalierError `ABORTED`, `OUT_OF_MEMORY`
 */
export async function sampleSequences(
  model: SampledModel,
  { first, ...options }: SampleOptions,
): Promise<Int32Array[]> {
  const { config, layers } = model;
  const groups = layers.reduce((sum, { shape }) => sum + shape.numKeyValueHeads, 0);
  const each = 8 * options.length * groups * config.headDim;
  const most = Math.max(1, Math.floor(MAX_CACHE_BYTES / each));
  const sequences: Int32Array[] = [];
  const total = first.length * (options.length - 1);
  options.onTokens?.(0, total);
  for (let start = 0; start < first.length; start += most) {
    const before = start * (options.length - 1);
    const batch = {
      first: first.slice(start, start + most),
      ...options,
      onTokens: (drawn: number) => options.onTokens?.(before + drawn, total),
    };
    sequences.push(...(await sampleBatch(model, batch)));
  }
  return sequences;
}

/** Writes some sequences in step. */
async function sampleBatch(
  model: SampledModel,
  {
    first,
    length,
    random,
    signal,
    onTokens,
  }: SampleOptions & { onTokens: (drawn: number) => void },
): Promise<Int32Array[]> {
  const { config, layers } = model;
  const count = first.length;
  const { device } = model.outer.embedding;
  const caches = layers.map(({ shape }) => {
    const size = [length, count * shape.numKeyValueHeads, config.headDim];
    return { keys: Tensor.zeros(size, 'f32', device), values: Tensor.zeros(size, 'f32', device) };
  });
  const weights = new Float64Array(config.vocabSize);
  const turn = new Turn();
  const sequences = first.map((id) => new Int32Array(length).fill(id));
  try {
    for (let position = 0; position + 1 < length; position++) {
      const ids = Int32Array.from(sequences, (sequence) => sequence[position] as number);
      throwIfAborted(signal, 'sample');
      const logits = await nextLogits(model, ids, position, caches, signal);
      for (const [i, sequence] of sequences.entries()) {
        if (turn.over) await turn.end(signal, 'sample');
        const row = logits.subarray(i * config.vocabSize, (i + 1) * config.vocabSize);
        sequence[position + 1] = draw(row, weights, random);
      }
      onTokens(count * (position + 1));
    }
    return sequences;
  } finally {
    for (const { keys, values } of caches) for (const cache of [keys, values]) cache.dispose();
  }
}

/** The logits behind one more token of every sequence, f32 [sequences, vocab]. */
async function nextLogits(
  { config, outer, layers, frequencies }: SampledModel,
  ids: Int32Array,
  position: number,
  caches: readonly LayerCache[],
  signal: AbortSignal | undefined,
): Promise<Float32Array> {
  const throughLayers = function* (): Pieces<Tensor> {
    const { device } = outer.embedding;
    let x = embedding(Tensor.from(ids, [1, ids.length], { device }), outer.embedding);
    for (const [i, layer] of layers.entries()) {
      x = nextStream(config, layer, x, frequencies, position, caches[i] as LayerCache);
      yield;
    }
    return headLogits(config, outer, x);
  };
  const logits = await inTurns(scopeInPieces(throughLayers), signal, 'sample');
  try {
    return (await logits.read()) as Float32Array;
  } finally {
    logits.dispose();
  }
}

/**
 * A layer at one position of every sequence. All sequences have the same length, so they stand side by
 * side as heads of one: what has been seen is then contiguous, and attention reads it as it lies.
 */
function nextStream(
  config: ModelConfig,
  layer: LayerWeights,
  x: Tensor,
  frequencies: Tensor,
  position: number,
  { keys, values }: LayerCache,
): Tensor {
  const { headDim, rmsNormEps: eps } = config;
  const { numAttentionHeads: heads, numKeyValueHeads: groups } = layer.shape;
  const count = x.shape[1] as number;
  return scope(() => {
    const { query, key, value } = attentionProjections(layer, rmsNorm(x, layer.inputNorm, eps));
    const placed = (y: Tensor, perSequence: number, norm: Tensor | undefined) => {
      const split = y.reshape([1, 1, count * perSequence, headDim]);
      const normed = norm === undefined ? split : rmsNorm(split, norm, eps);
      return rope(normed, frequencies, { offset: position });
    };
    const seen = (cache: Tensor, newest: Tensor) => {
      cache.slice(position, position + 1).copyFrom(newest.reshape([1, count * groups, headDim]));
      return cache.slice(0, position + 1).reshape([1, position + 1, count * groups, headDim]);
    };
    const context = attention(
      placed(query, heads, layer.queryNorm),
      seen(keys, placed(key, groups, layer.keyNorm)),
      seen(values, value),
      layerAttention(layer),
    );
    const attended = applyLinear(layer.output, context.reshape([1, count, heads * headDim]));
    const norm = addRmsNorm(attended, x, layer.postAttentionNorm, eps);
    const activation = swiglu(
      applyLinear(layer.gate, norm.output),
      applyLinear(layer.up, norm.output),
    );
    return add(norm.sum, applyLinear(layer.down, activation));
  });
}

/**
 * An index drawn with the probabilities softmax(logits).
 * @param weights where exp(logit − largest) is put meanwhile, one per logit
 */
function draw(logits: Float32Array, weights: Float64Array, random: Random): number {
  let most = Number.NEGATIVE_INFINITY;
  for (const logit of logits) most = Math.max(most, logit);
  let total = 0;
  for (let i = 0; i < logits.length; i++) {
    const weight = Math.exp((logits[i] as number) - most);
    weights[i] = weight;
    total += weight;
  }
  let left = random.float() * total;
  for (let i = 0; i < logits.length; i++) {
    left -= weights[i] as number;
    if (left < 0) return i;
  }
  return logits.length - 1;
}
