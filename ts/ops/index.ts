export { accumulate } from './accumulate.js';
export { type AdamWFactors, type AdamWTensors, adamW } from './adam-w.js';
export { add } from './add.js';
export { type AttentionOptions, attention } from './attention.js';
export { cast } from './cast.js';
export { type CholeskySolveOptions, choleskySolve } from './cholesky-solve.js';
export { clipGradients } from './clip-gradients.js';
export { type ColumnMomentsOptions, columnMoments } from './column-moments.js';
export { type ConditionNumberOptions, conditionNumber } from './condition-number.js';
export { cosine } from './cosine.js';
export { type CrossEntropyOptions, crossEntropy } from './cross-entropy.js';
export { crossEntropyMean } from './cross-entropy-mean.js';
export { type DispatchGradientOptions, dispatchGradient } from './dispatch-gradient.js';
export { dropout } from './dropout.js';
export { eigh } from './eigh.js';
export { type EmbeddingOptions, embedding } from './embedding.js';
export { gatherColumns } from './gather-columns.js';
export { gatherRows } from './gather-rows.js';
export { type GeluOptions, gelu } from './gelu.js';
export { globalNorm } from './global-norm.js';
export { type GramOptions, gram } from './gram.js';
export type { Indices } from './indices.js';
export { layerNorm } from './layer-norm.js';
export { leastSquares } from './least-squares.js';
export { type LeaveGroupOutOptions, leaveGroupOut } from './leave-group-out.js';
export { type LeaveOneOutOptions, leaveOneOut } from './leave-one-out.js';
export { type LinearOptions, linear } from './linear.js';
export {
  type LoraFactors,
  type LoraLinearOptions,
  type LoraProjection,
  loraLinear,
} from './lora-linear.js';
export { type MaskedMatmulOptions, maskedMatmul } from './masked-matmul.js';
export { meanPool } from './mean-pool.js';
export {
  type HostFeatures,
  type MergeFeaturesOptions,
  mergeFeatures,
} from './merge-features.js';
export { multiply } from './multiply.js';
export { type PrincipalSubmatrixOptions, principalSubmatrix } from './principal-submatrix.js';
export { type RidgeUpdateOptions, ridgeUpdate } from './ridge-update.js';
export { relu } from './relu.js';
export { addRmsNorm, rmsNorm } from './rms-norm.js';
export { type RopeOptions, rope } from './rope.js';
export { type ScaleOptions, scale } from './scale.js';
export { scaleInPlace } from './scale-in-place.js';
export { selectToken } from './select-token.js';
export { type SgdFactors, type SgdTensors, sgd } from './sgd.js';
export { type SoftmaxCrossEntropyOptions, softmaxCrossEntropy } from './softmax-cross-entropy.js';
export { squaredError } from './squared-error.js';
export { subtract } from './subtract.js';
export { sumColumns } from './sum-columns.js';
export { sumRows } from './sum-rows.js';
export { type SvdOptions, svd } from './svd.js';
export { swiglu } from './swiglu.js';
export { tanh } from './tanh.js';
export { transpose } from './transpose.js';
