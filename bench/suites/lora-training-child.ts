import type { WeightDType } from '../../ts/models/layer-weights.js';
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
}

await answerParent(async (request: TrainingChildRequest) => {
  setThreads(request.threads);
  const side = await openTraining(request.directory, request.adapter, request.dtype, 1e-4);
  for (let i = 0; i < 3; i++) await side.step(request.ids);
  side.dispose();
  return {};
});
