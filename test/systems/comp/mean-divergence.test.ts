import { join } from 'node:path';
import { Random } from '../../../ts/common/random.js';
import { Checkpoint } from '../../../ts/models/checkpoint.js';
import { headLogits } from '../../../ts/models/decoder-head.js';
import { loadOuter } from '../../../ts/models/outer-weights.js';
import { calibrationChunks } from '../../../ts/pruning/calibration-chunks.js';
import { meanDivergence } from '../../../ts/systems/comp/mean-divergence.js';
import { Tensor } from '../../../ts/tensor/tensor.js';
import { assert, test } from '../../harness.js';

const fixtures = join(import.meta.dirname, '..', '..', 'fixtures', 'conformance');
const random = new Random(8);

function logSoftmax(logits: Float32Array): number[] {
  const most = logits.reduce((x, y) => Math.max(x, y));
  const sum = logits.reduce((total, z) => total + Math.exp(z - most), 0);
  return [...logits].map((z) => z - most - Math.log(sum));
}

for (const model of ['llama-gqa', 'llama-bf16']) {
  test(`${model}: the divergence is that of the two softmaxes, summed in full`, async () => {
    const checkpoint = await Checkpoint.open(join(fixtures, model));
    const { config } = checkpoint;
    const window = () => Int32Array.from({ length: 6 }, () => random.integer(config.vocabSize));
    const chunks = calibrationChunks(
      {
        window: 6,
        training: [window()],
        heldOut: [window(), window(), window()],
        sampled: 0,
        available: 4,
      },
      1,
      2 * 4 * 6,
    );
    const streams = () =>
      chunks.map(({ windows }) => {
        const size = windows * 6 * config.hiddenSize;
        const data = Float32Array.from({ length: size }, () => random.normal());
        return Tensor.from(data, [windows, 6, config.hiddenSize]);
      });
    const outer = loadOuter(checkpoint);
    const bench = { checkpoint, config, frequencies: Tensor.zeros([1]), chunks };
    const [teacher, student] = [streams(), streams()];
    let expected = 0;
    for (const [i, { heldOut }] of chunks.entries()) {
      if (!heldOut) continue;
      const all = async (stream: Tensor[]) =>
        (await headLogits(config, outer, stream[i] as Tensor).read()) as Float32Array;
      const [t, s] = [await all(teacher), await all(student)];
      for (let row = 0; row < t.length; row += config.vocabSize) {
        const p = logSoftmax(t.subarray(row, row + config.vocabSize));
        const q = logSoftmax(s.subarray(row, row + config.vocabSize));
        expected += p.reduce((sum, logp, v) => sum + Math.exp(logp) * (logp - (q[v] as number)), 0);
      }
    }
    expected /= 18;
    const got = await meanDivergence(bench, teacher, student);
    assert.ok(Math.abs(got - expected) < 1e-4 * expected, `${got} for ${expected}`);
    assert.ok(Math.abs(await meanDivergence(bench, teacher, teacher)) < 1e-5);
  });
}
