import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { prune } from '../../../ts/systems/comp/prune.js';
import { assert, test } from '../../harness.js';
import { temporaryDirectory } from '../../temporary-directory.js';

const demo = fileURLToPath(new URL('../../../demo', import.meta.url));

/** Milliseconds for which this thread was ready to run but another had the processor. */
function waited(): number {
  try {
    const text = readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8');
    return Number(text.split(' ')[1]) / 1e6;
  } catch {
    return 0;
  }
}

/** The longest time in ms that `work` kept a timer of 1 ms waiting; not counting what others took. */
async function longestDelay(work: () => Promise<unknown>): Promise<number> {
  let longest = 0;
  let before = { time: performance.now(), waited: waited() };
  const tick = () => {
    const now = { time: performance.now(), waited: waited() };
    longest = Math.max(longest, now.time - before.time - (now.waited - before.waited) - 1);
    before = now;
  };
  const timer = setInterval(tick, 1);
  await work();
  clearInterval(timer);
  return longest;
}

test('the event loop is served while a model is pruned', async () => {
  const output = join(temporaryDirectory(), 'pruned');
  const run = () =>
    prune(join(demo, 'model'), {
      output,
      calibration: join(demo, 'text', 'calibration.txt'),
      samples: 32,
      layerShare: 0,
      force: true,
    });
  // A busy machine delays anyone: one quiet run out of three shows that we do not block.
  const delays: number[] = [];
  while (delays.length < 3 && !(Math.min(...delays) <= 100)) delays.push(await longestDelay(run));
  assert.ok(Math.min(...delays) <= 100, `delays of ${delays.map(Math.round).join(', ')} ms`);
});

test('the measurement sees a loop that is blocked', async () => {
  const delay = await longestDelay(async () => {
    await new Promise((resolve) => setTimeout(resolve, 5));
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 150);
    await new Promise((resolve) => setTimeout(resolve, 5));
  });
  assert.ok(delay >= 140, `${delay} ms`);
});
