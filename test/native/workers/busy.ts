// Keeps the device busy: queues far more work than runs before the parent ends this thread.
import { parentPort } from 'node:worker_threads';
import { rmsNorm } from '../../../ts/ops/rms-norm.js';
import { Tensor } from '../../../ts/tensor/tensor.js';
import { device } from '../../device.js';

const x = Tensor.zeros([1024, 1024], 'f32', device);
const weight = Tensor.from(new Float32Array(1024).fill(1), [1024], { device });
for (let i = 0; i < 500; i++) {
  const y = rmsNorm(x, weight, 1e-6);
  void y.read().catch(() => {});
  y.dispose();
}
parentPort?.postMessage('queued');
