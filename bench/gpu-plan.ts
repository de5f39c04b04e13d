/** What is measured on a GPU, and what it is held against. */
export interface GpuSuite {
  name: string;
  /** The claims in short; a suite's own sentence is longer. */
  claims: readonly string[];
  /** Options beyond the common ones. */
  options?: readonly string[];
}

/** The suites of `npm run bench:gpu`, the most important first. */
export const gpuSuites: readonly GpuSuite[] = [
  {
    name: 'masked-matmul',
    claims: [
      'half of the rows or columns masked: at most 0.55 of the dense product',
      'never slower than the dense product (1.05 with noise)',
    ],
  },
  {
    name: 'lora-linear',
    claims: ['a LoRA layer, forward and backward, f32 and bf16: at least 1.4 x as fast as PEFT'],
  },
  {
    name: 'attention',
    claims: ["forward and backward: at most 1.5 x the time of PyTorch's flash attention in bf16"],
  },
  {
    name: 'lora-training',
    claims: [
      'LoRA steps of four layers of LLaMA-2-7B in bf16: at least 1.3 x the tokens/s of PEFT',
      'at most 0.8 x the memory of PEFT',
    ],
  },
  {
    name: 'fused-steps',
    claims: ["RMSNorm, cross-entropy and AdamW: at least 0.85 of a copy's rate"],
  },
  {
    name: 'merge-dispatch',
    claims: ["merging features and dispatching gradients: at least 0.85 of a copy's rate"],
  },
  {
    name: 'comp-7b',
    claims: [
      'COMP on the shape of LLaMA-2-7B: at most 3 minutes on an H200 (four layers, extrapolated)',
      'at most 6 GB of the card',
    ],
    options: ['--layers', '4'],
  },
  {
    name: 'leave-one-out',
    claims: [
      'all leave-one-out conditions of 1024 columns: at most 1.5 eigendecompositions',
      'residuals and conditions of 11008 columns, beside torch.linalg.eigh',
    ],
  },
  { name: 'event-loop', claims: ['timers are at most 20 ms late while the GPU works'] },
];
