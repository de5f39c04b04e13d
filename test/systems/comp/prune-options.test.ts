import { resolvePruneOptions } from '../../../ts/systems/comp/prune-options.js';
import { assert, fails, test } from '../../harness.js';

const given = { output: 'out', calibration: 'text.txt' };

test('every option that is wrong is named', async () => {
  const wrong: [string, unknown[]][] = [
    ['ratio', [1, -1, Number.NaN, 1.5, Number.POSITIVE_INFINITY, '0.2']],
    ['samples', [0, -1, 1.5, Number.NaN]],
    ['gradientSamples', [0, -1, 2.5]],
    ['window', [0, 1, 3.5]],
    ['method', ['wanda', '', 3]],
    ['metric', ['magnitude', 'l2']],
    ['recover', ['sgd']],
    ['layerShare', [-0.1, 1.1, 'half', Number.NaN]],
    ['dropLayers', [[-1], [0.5], [1, 1]]],
    ['shape', ['square']],
    ['align', [0, -8, 2.5]],
    ['protectFirst', [-1, 0.5]],
    ['protectLast', [-1]],
    ['maxMaskVariance', [-1, Number.NaN]],
    ['seed', [-1, 0.5, Number.NaN]],
    ['heldOut', [-0.1, 0.6]],
    ['dampings', [[-1], [Number.NaN]]],
    ['output', ['', 5]],
    ['calibration', [[]]],
  ];
  for (const [name, values] of wrong) {
    for (const value of values) {
      const error = await fails(() => resolvePruneOptions({ ...given, [name]: value }), 'CONFIG');
      assert.match(error.message, name);
    }
  }
});

test('layers that go are refused beside what chooses layers itself', async () => {
  for (const beside of [
    { layerShare: 0.5 },
    { method: 'shortgpt' },
    { method: 'flap', shape: 'per-layer' },
    { method: 'taylor' },
  ] as const) {
    await fails(() => resolvePruneOptions({ ...given, dropLayers: [2], ...beside }), 'CONFIG');
  }
  const uniform = { method: 'taylor', shape: 'uniform', dropLayers: [2] } as const;
  assert.equal(resolvePruneOptions({ ...given, ...uniform }).dropLayers, [2]);
});

test('ratios from 0 to below 1 are accepted', () => {
  for (const ratio of [0, 0.01, 0.2, 0.95, 0.999]) {
    assert.is(resolvePruneOptions({ ...given, ratio }).ratio, ratio);
  }
});

test('one calibration file may be given as a string', () => {
  assert.equal(resolvePruneOptions(given).calibration, ['text.txt']);
});
