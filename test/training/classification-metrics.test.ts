import { Random } from '../../ts/common/random.js';
import { ClassificationTally } from '../../ts/training/classification-metrics.js';
import { assert, close, fails, test } from '../harness.js';

function tally(classes: number, pairs: readonly (readonly [number, number])[]) {
  const counted = new ClassificationTally(classes);
  for (const [label, prediction] of pairs) counted.add(label, prediction);
  return counted.metrics();
}

test('all figures are those of counting samples one by one', () => {
  const random = new Random(3);
  for (const classes of [2, 3, 7]) {
    // The last class is never predicted, so that empty columns occur too.
    const pairs = Array.from(
      { length: 200 },
      () => [random.integer(classes), random.integer(classes - 1)] as const,
    );
    const metrics = tally(classes, pairs);
    const matching = (test: (label: number, prediction: number) => boolean) =>
      pairs.filter(([label, prediction]) => test(label, prediction)).length;
    const f1s: number[] = [];
    for (let c = 0; c < classes; c++) {
      const found = metrics.classes[c]!;
      const truePositives = matching((l, p) => l === c && p === c);
      const falsePositives = matching((l, p) => l !== c && p === c);
      const falseNegatives = matching((l, p) => l === c && p !== c);
      const precision =
        truePositives + falsePositives === 0 ? 0 : truePositives / (truePositives + falsePositives);
      const recall = truePositives / (truePositives + falseNegatives);
      const f1 = precision + recall === 0 ? 0 : (2 * precision * recall) / (precision + recall);
      f1s.push(f1);
      close([found.precision, found.recall, found.f1], [precision, recall, f1], 1e-12);
      assert.is(
        found.support,
        matching((l) => l === c),
      );
      for (let other = 0; other < classes; other++) {
        assert.is(
          metrics.confusion[c]![other],
          matching((l, p) => l === c && p === other),
        );
      }
    }
    const right = matching((l, p) => l === p) / pairs.length;
    close([metrics.accuracy], [right], 1e-12);
    close([metrics.accuracyStderr], [Math.sqrt((right * (1 - right)) / 199)], 1e-12);
    close([metrics.macroF1], [f1s.reduce((a, b) => a + b) / classes], 1e-12);
    assert.is(metrics.samples, 200);
  }
});

test('classes that never occur do not count in the mean', () => {
  const metrics = tally(4, [
    [0, 0],
    [0, 2],
    [0, 0],
    [0, 0],
  ]);
  // Class 0: precision 1, recall 3/4; class 2 was predicted and never right; 1 and 3 are absent.
  close([metrics.macroF1], [(6 / 7 + 0) / 2], 1e-12);
  assert.equal(metrics.classes[1], { precision: 0, recall: 0, f1: 0, support: 0 });
});

test('a perfect and a single prediction', () => {
  assert.is(
    tally(2, [
      [0, 0],
      [1, 1],
    ]).macroF1,
    1,
  );
  const one = tally(2, [[1, 1]]);
  assert.is(one.accuracy, 1);
  assert.ok(Number.isNaN(one.accuracyStderr));
});

test('labels and predictions outside the classes are refused', async () => {
  for (const [label, prediction] of [
    [2, 0],
    [0, 2],
    [-1, 0],
    [0.5, 0],
    [0, Number.NaN],
  ] as const) {
    await fails(() => tally(2, [[label, prediction]]), 'CONFIG');
  }
});
