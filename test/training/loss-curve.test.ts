import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { lossCurve } from '../../ts/training/loss-curve.js';
import { MetricsLog, readMetrics } from '../../ts/training/metrics-log.js';
import { SmoothedLoss } from '../../ts/training/smoothed-loss.js';
import { textOf } from '../common/plot/well-formed.js';
import { assert, fails, test } from '../harness.js';
import { temporaryDirectory } from '../temporary-directory.js';

test('metrics are JSON lines; a resumed log goes on after its step', async () => {
  const path = join(temporaryDirectory(), 'metrics.jsonl');
  const log = await MetricsLog.open(path);
  for (let step = 1; step <= 5; step++) await log.add({ step, loss: 1 / step });
  await log.add({ step: 5, evalLoss: Number.NaN });
  await log.close();
  assert.is(readFileSync(path, 'utf8').split('\n')[1], '{"step":2,"loss":0.5}');
  appendFileSync(path, '{"step":6,"lo');
  assert.equal((await readMetrics(path)).at(-1), { step: 5, evalLoss: null });
  const again = await MetricsLog.open(path, { resumeAfter: 3 });
  await again.add({ step: 4, loss: 9 });
  await again.close();
  assert.equal(
    (await readMetrics(path)).map(({ step, loss }) => [step, loss]),
    [1, 2, 3].map((step) => [step, 1 / step]).concat([[4, 9]]),
  );
  writeFileSync(path, '{"step":1}\nnull\n');
  const error = await fails(() => readMetrics(path), 'FORMAT');
  assert.match(error.message, /line 2/);
});

test('a smoothed loss begins with the first value and forgets by half-lives', () => {
  const smoothed = new SmoothedLoss(10);
  assert.ok(Number.isNaN(smoothed.value));
  assert.ok(Math.abs(smoothed.add(4) - 4) < 1e-12);
  for (let i = 0; i < 10; i++) smoothed.add(Number.NaN);
  for (let i = 0; i < 500; i++) smoothed.add(1);
  assert.ok(Math.abs(smoothed.value - 1) < 1e-12);
  for (let i = 0; i < 10; i++) smoothed.add(3);
  assert.ok(Math.abs(smoothed.value - 2) < 1e-9);
  const resumed = new SmoothedLoss(10, smoothed.state);
  assert.is(resumed.add(7), smoothed.add(7));
});

test('the curve of a long training is a well-formed drawing of bounded size', () => {
  const metrics = Array.from({ length: 5000 }, (_, i) => ({
    step: i + 1,
    loss: 5 / Math.sqrt(i + 1),
  }));
  const evaluations = [1000, 3000].map((step) => ({ step, evalLoss: 1 }));
  const svg = lossCurve([...metrics, ...evaluations, { step: 1, loss: null }], { title: 'a < b' });
  assert.ok(textOf(svg).length > 5);
  assert.ok(svg.length < 40_000, `${svg.length}`);
  assert.match(svg, /held out/);
  assert.not.match(svg, /NaN/);
  textOf(lossCurve([]));
});
