import type { WeightDType } from '../../ts/models/layer-weights.js';
import { native } from '../../ts/native/addon.js';
import { setThreads } from '../../ts/native/threads.js';
import { answerParent } from '../child.js';
import { openTraining } from '../lora-training-step.js';

/** A few training steps, for their memory. */
export interface TrainingChildRequest {
  directory: string;
  adapter: string;
  dtype: WeightDType;
  ids: number[][];
  threads: number;
  device: string;
}

/** What it found. */
export interface TrainingChildResult {
  /** The most memory that its tensors took on the device. */
  tensorBytes: number;
  peakBytes: number;
}

await answerParent(async (request: TrainingChildRequest) => {
  setThreads(request.threads);
  const { directory, adapter, dtype, device, ids } = request;
  const side = await openTraining(directory, adapter, dtype, 1e-4, device);
  for (let i = 0; i < 3; i++) await side.step(ids);
  side.dispose();
  return { tensorBytes: native().memory(device).peak };
});
