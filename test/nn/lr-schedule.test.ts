import { EspalierError } from '../../ts/common/errors.js';
import { lrSchedule } from '../../ts/nn/lr-schedule.js';
import { assert, test } from '../harness.js';

const rates = (kind: 'constant' | 'linear' | 'cosine', warmupSteps: number) => {
  const rate = lrSchedule({ kind, lr: 2, warmupSteps, totalSteps: 10 });
  return Array.from({ length: 11 }, (_, step) => Math.round(rate(step) * 1e6) / 1e6);
};

test('schedules rise over the warm-up, then stay, fall in a line or along a cosine', () => {
  assert.equal(rates('constant', 4), [0, 0.5, 1, 1.5, 2, 2, 2, 2, 2, 2, 2]);
  assert.equal(rates('linear', 2), [0, 1, 2, 1.75, 1.5, 1.25, 1, 0.75, 0.5, 0.25, 0]);
  assert.equal(
    rates('cosine', 2),
    [0, 1, 2, 1.92388, 1.707107, 1.382683, 1, 0.617317, 0.292893, 0.07612, 0],
  );
  assert.equal(rates('linear', 0)[0], 2);
  assert.equal(rates('cosine', 20)[10], 1);
});

test('schedules refuse numbers out of range', () => {
  for (const wrong of [{ lr: -1 }, { warmupSteps: 0.5 }, { totalSteps: Number.NaN }]) {
    assert.throws(
      () => lrSchedule({ lr: 1, totalSteps: 10, ...wrong }),
      (error: unknown) => error instanceof EspalierError && error.code === 'CONFIG',
    );
  }
});
