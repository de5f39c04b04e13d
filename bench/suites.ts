import type { Suite } from './harness.js';

/** Every suite by name, loaded when it is asked for. */
export const suites: Readonly<Record<string, () => Promise<{ suite: Suite }>>> = {
  'masked-matmul': () => import('./suites/masked-matmul.js'),
  'lora-linear': () => import('./suites/lora-linear.js'),
  'lora-training': () => import('./suites/lora-training.js'),
  'prefix-saving': () => import('./suites/prefix-saving.js'),
  'shared-base': () => import('./suites/shared-base.js'),
  sst2: () => import('./suites/sst2.js'),
  attention: () => import('./suites/attention.js'),
  'fused-steps': () => import('./suites/fused-steps.js'),
  'merge-dispatch': () => import('./suites/merge-dispatch.js'),
  'leave-one-out': () => import('./suites/leave-one-out.js'),
  eval: () => import('./suites/eval.js'),
  quality: () => import('./suites/quality.js'),
  recovery: () => import('./suites/recovery.js'),
  'event-loop': () => import('./suites/event-loop.js'),
  'transformers-roundtrip': () => import('./suites/transformers-roundtrip.js'),
  adapters: () => import('./suites/adapters.js'),
  'zero-shot': () => import('./suites/zero-shot.js'),
  'comp-7b': () => import('./suites/comp-7b.js'),
};
