import { ropeFrequencies } from '../../ts/models/rope-frequencies.js';
import { assert, close, test } from '../harness.js';

test('default frequencies fall geometrically from 1', () => {
  const frequencies = ropeFrequencies({ type: 'default', theta: 10000 }, 8);
  close(frequencies, [1, 0.1, 0.01, 0.001], 1e-6);
});

test('linear scaling divides all frequencies', () => {
  const plain = ropeFrequencies({ type: 'default', theta: 500 }, 16);
  const scaled = ropeFrequencies({ type: 'linear', theta: 500, factor: 4 }, 16);
  close(
    scaled,
    plain.map((frequency) => frequency / 4),
    1e-6,
  );
});

test('llama3 scaling keeps short waves, divides long ones and rises between', () => {
  const plain = ropeFrequencies({ type: 'default', theta: 500000 }, 128);
  const scaled = ropeFrequencies(
    {
      type: 'llama3',
      theta: 500000,
      factor: 8,
      lowFrequencyFactor: 1,
      highFrequencyFactor: 4,
      originalMaxPositionEmbeddings: 8192,
    },
    128,
  );
  const ratios = [...plain].map((frequency, i) => (scaled[i] as number) / frequency);
  let between = 0;
  for (const [i, ratio] of ratios.entries()) {
    const wavelength = (2 * Math.PI) / (plain[i] as number);
    if (wavelength < 8192 / 4) assert.ok(Math.abs(ratio - 1) < 1e-6);
    else if (wavelength > 8192) assert.ok(Math.abs(ratio - 1 / 8) < 1e-6);
    else between++;
    if (i > 0) assert.ok(ratio <= (ratios[i - 1] as number) + 1e-6);
  }
  assert.ok(between > 0);
});
