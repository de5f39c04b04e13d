import { setThreads } from '../../ts/native/threads.js';
import { answerParent } from '../child.js';
import { openClassifierTraining, type PlainBatch } from '../classifier-training.js';

/** Training steps and predictions, for their memory. */
export interface Sst2ChildRequest {
  directory: string;
  adapter: string;
  batches: PlainBatch[];
  threads: number;
}

await answerParent(async ({ directory, adapter, batches, threads }: Sst2ChildRequest) => {
  setThreads(threads);
  const side = await openClassifierTraining(directory, adapter, () => 1e-4);
  for (const batch of batches) await side.step(batch);
  for (const batch of batches) await side.predict(batch);
  side.dispose();
  return {};
});
