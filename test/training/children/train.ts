// A training in a worker thread: says that it is under way, then which bytes came out.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { finetune } from '../../../ts/training/finetune.js';

const { model, options } = workerData;
await finetune(model, {
  ...options,
  onProgress: ({ phase, completed }) => {
    if (phase === 'train' && completed === 2) parentPort?.postMessage('under way');
  },
});
parentPort?.postMessage(readFileSync(join(options.output, 'adapter_model.safetensors')));
