import type { ModelConfig } from '../formats/model-config.js';
import { crossEntropy } from '../ops/cross-entropy.js';
import { crossEntropyMean } from '../ops/cross-entropy-mean.js';
import { linear } from '../ops/linear.js';
import { rmsNorm } from '../ops/rms-norm.js';
import { scope } from '../tensor/scope.js';
import type { Tensor } from '../tensor/tensor.js';
import type { OuterWeights } from './outer-weights.js';

/**
 * Logits of the residual stream leaving the last layer.
 * @param x f32 [batch, sequence, hidden]
 * @returns f32 [batch, sequence, vocab]
 */
export function headLogits(config: ModelConfig, outer: OuterWeights, x: Tensor): Tensor {
  return scope(() => {
    const hidden = rmsNorm(x, outer.finalNorm, config.rmsNormEps);
    return linear(hidden, outer.head, undefined, { products: outer.products ?? 'f32' });
  });
}

/**
 * Negative log-likelihood of every position's target, without ever holding all logits.
 * @param x the residual stream leaving the last layer, f32 [batch, sequence, hidden]
 * @param targets i32 [batch · sequence]; -100 where nothing is to be predicted
 * @returns f32 [batch · sequence], in nats; 0 where there is no target
 */
export function headLoss(
  config: ModelConfig,
  outer: OuterWeights,
  x: Tensor,
  targets: Tensor,
): Tensor {
  return scope(() => {
    const hidden = rmsNorm(x, outer.finalNorm, config.rmsNormEps);
    const rows = hidden.size / config.hiddenSize;
    return crossEntropy(hidden.reshape([rows, config.hiddenSize]), outer.head, targets, {
      products: outer.products ?? 'f32',
    });
  });
}

/**
 * The mean negative log-likelihood over all targets, with gradients when something is trained.
 * @param x the residual stream leaving the last layer, f32 [batch, sequence, hidden]
 * @param targets i32 [batch · sequence]; -100 where nothing is to be predicted
 * @returns f32 [], in nats; 0 when there is no target
 */
export function headMeanLoss(
  config: ModelConfig,
  outer: OuterWeights,
  x: Tensor,
  targets: Tensor,
): Tensor {
  return scope(() => {
    const hidden = rmsNorm(x, outer.finalNorm, config.rmsNormEps);
    const rows = hidden.size / config.hiddenSize;
    return crossEntropyMean(hidden.reshape([rows, config.hiddenSize]), outer.head, targets, {
      products: outer.products ?? 'f32',
    });
  });
}

/**
 * The targets of a batch with labels: each position predicts the label of its successor.
 * @param labels [batch · sequence], aligned with the tokens; -100 where nothing is to be predicted
 */
export function shiftedTargets(labels: Int32Array, sequence: number): Int32Array {
  const targets = new Int32Array(labels.length).fill(-100);
  for (let start = 0; start < labels.length; start += sequence) {
    targets.set(labels.subarray(start + 1, start + sequence), start);
  }
  return targets;
}

/**
 * The targets of windows of token ids: each position predicts its successor in the window.
 * @param ids the tokens of whole windows, one after the other
 * @param counted only the last `counted` predictions of each window count; default all
 * @returns i32, as many as ids; -100 where nothing is to be predicted
 */
export function nextTokenTargets(
  ids: Int32Array,
  window: number,
  counted: number = window - 1,
): Int32Array {
  const targets = new Int32Array(ids.length).fill(-100);
  for (let start = 0; start < ids.length; start += window) {
    for (let i = start + window - 1 - counted; i < start + window - 1; i++) {
      targets[i] = ids[i + 1] as number;
    }
  }
  return targets;
}
