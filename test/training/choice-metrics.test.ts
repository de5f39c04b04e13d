import { accuracy, judge } from '../../ts/training/choice-metrics.js';
import { assert, close, test } from '../harness.js';

test('the most likely choice, by itself, per character and per byte', () => {
  // Per character: -2, -1, -0.9; per byte: -2, -0.25, -0.9.
  assert.equal(judge([-4, -1, -9], ['ab', '😀', 'abcdefghij']), {
    best: 1,
    bestPerCharacter: 2,
    bestPerByte: 1,
  });
  assert.equal(judge([-1, -1], ['a', 'b']), { best: 0, bestPerCharacter: 0, bestPerByte: 0 });
});

test('the standard error is the sample deviation over the root of the count', () => {
  const answers = [1, 0, 0, 1, 1, 0, 1];
  const mean = answers.reduce((a, b) => a + b) / answers.length;
  const variance = answers.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (answers.length - 1);
  const { value, stderr } = accuracy(4, 7);
  close([value, stderr], [mean, Math.sqrt(variance / answers.length)], 1e-12);
});
