import { cutWindows, windowIds } from '../../ts/data/text-windows.js';
import { assert, fails, test } from '../harness.js';

const ids = Int32Array.from({ length: 23 }, (_, i) => i);

test('windows do not overlap, and the rest is dropped', () => {
  const windows = cutWindows(ids, { window: 5 });
  assert.is(windows.count, 4);
  assert.equal([...windowIds(windows, 1, 3)], [5, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
});

test('a stride starts a window every so many tokens', () => {
  const windows = cutWindows(ids, { window: 5, stride: 3 });
  assert.is(windows.count, 7);
  assert.equal([...windowIds(windows, 6, 7)], [18, 19, 20, 21, 22]);
  assert.is(cutWindows(ids, { window: 5, stride: 3, maxWindows: 2 }).count, 2);
});

test('a text of exactly one window is enough, one token less is not', async () => {
  assert.is(cutWindows(ids, { window: 23 }).count, 1);
  await fails(() => cutWindows(ids, { window: 24 }), 'CONFIG');
  await fails(() => cutWindows(new Int32Array(), { window: 2 }), 'CONFIG');
});

test('numbers out of range are refused', async () => {
  for (const options of [
    { window: 1 },
    { window: 2.5 },
    { window: Number.NaN },
    { window: 5, stride: 0 },
    { window: 5, stride: 6 },
    { window: 5, maxWindows: 0 },
    { window: 5, maxWindows: Number.NaN },
  ]) {
    await fails(() => cutWindows(ids, options), 'CONFIG');
  }
});
