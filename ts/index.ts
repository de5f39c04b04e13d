/**
 * The public surface of espalier: verbs that work on model directories (`prune`, `evaluate`,
 * `evaluateTask`, `evaluateClassifier`, `finetune`, `mergeAdapter`, `inspect`, `doctor`), models to run
 * and to train (`loadModel`, `loadClassifier`), and the tensors and operations they are made of.
 */
export { ERROR_CODES, type ErrorCode, EspalierError } from './common/errors.js';
export type { LongOperationOptions, ProgressEvent } from './common/events.js';
export { Batches, type BatchOptions } from './data/batches.js';
export { type CausalSamplesOptions, openCausalSamples } from './data/causal-samples.js';
export { type Batch, collate } from './data/collate.js';
export type { ColumnChoice } from './data/labelled-rows.js';
export {
  type LabelledSamplesOptions,
  type LabelledSource,
  openLabelledSamples,
} from './data/labelled-samples.js';
export type { Sample, SampleSource } from './data/sample.js';
export { type EncodeOptions, Tokenizer } from './data/tokenizer.js';
export { type AdapterConfig, makeAdapterConfig } from './formats/adapter-config.js';
export type { ModuleRank } from './formats/adapter-modules.js';
export type { TaskName } from './data/tasks/tasks.js';
export type { LayerShape, ModelConfig, ModelFamily } from './formats/model-config.js';
export {
  type AdapterFile,
  type AdapterModule,
  readAdapter,
  type SavedTensor,
  writeAdapter,
} from './formats/peft-adapter.js';
export type { Classifier, ClassifyOptions } from './models/classifier.js';
export { adapterFileOf, adapterSetFrom, createAdapterSet } from './models/create-adapter-set.js';
export type { Decoder, LossOptions } from './models/decoder.js';
export { type Inspection, type InspectOptions, inspect } from './models/inspect.js';
export { type LoadClassifierOptions, loadClassifier } from './models/load-classifier.js';
export { type LoadModelOptions, loadModel } from './models/load-model.js';
export { PrefixCache } from './models/prefix-cache.js';
export type { InputIds, TokenBatch, TokenBatchOptions } from './models/token-batch.js';
export type { CudaProbe } from './native/cuda-probe.js';
export { type DoctorProblem, type DoctorReport, doctor } from './native/doctor.js';
export { setThreads } from './native/threads.js';
export type { DType, Shape, TypedArray } from './native/types.js';
export { AdamW, type AdamWOptions } from './nn/adamw.js';
export { AdapterSet } from './nn/adapter-set.js';
export { clipGradNorm } from './nn/clip-grad-norm.js';
export { type LrScheduleKind, type LrScheduleOptions, lrSchedule } from './nn/lr-schedule.js';
export { LoraAdapter, type LoraOptions } from './nn/lora-adapter.js';
export { noGrad } from './nn/no-grad.js';
export { GroupOptimizer, type StepPart, type TrainedGroup } from './nn/group-optimizer.js';
export type { Optimizer } from './nn/optimizer.js';
export type { NamedParameter, OptimizerParameters, ParameterGroup } from './nn/parameter-groups.js';
export { Parameter } from './nn/parameter.js';
export { recompute } from './nn/recompute.js';
export { SGD, type SgdOptions } from './nn/sgd.js';
export * as ops from './ops/index.js';
export { prune } from './systems/comp/prune.js';
export type { CompMetric, PruneMethod, PruneOptions } from './systems/comp/prune-options.js';
export type { PruneResult } from './systems/comp/prune-result.js';
export { Mark } from './tensor/mark.js';
export { keep, scope } from './tensor/scope.js';
export { Tensor, type TensorOptions } from './tensor/tensor.js';
export { type EvaluateOptions, type Evaluation, evaluate } from './training/evaluate.js';
export {
  type EvaluateTaskOptions,
  evaluateTask,
  type ScoredQuestion,
  type TaskEvaluation,
} from './training/evaluate-task.js';
export { type MergeOptions, type MergeResult, mergeAdapter } from './training/merge-adapter.js';
export {
  type ClassifierEvaluation,
  type EvaluateClassifierOptions,
  evaluateClassifier,
} from './training/evaluate-classifier.js';
export { type FinetuneResult, finetune } from './training/finetune.js';
export type { FinetuneOptions, FinetuneTask } from './training/finetune-options.js';
export { type StepResult, Trainer, type TrainerOptions } from './training/trainer.js';
