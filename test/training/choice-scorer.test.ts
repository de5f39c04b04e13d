import { fileURLToPath } from 'node:url';
import { Random } from '../../ts/common/random.js';
import { Checkpoint } from '../../ts/models/checkpoint.js';
import { loadModel } from '../../ts/models/load-model.js';
import { ChoiceScorer } from '../../ts/training/choice-scorer.js';
import type { EncodedChoice, EncodedQuestion } from '../../ts/training/encode-question.js';
import { batchIds, batchTargets, planPrefixBatches } from '../../ts/training/prefix-batches.js';
import { assert, close, test } from '../harness.js';

const conformance = (name: string) =>
  fileURLToPath(new URL(`../fixtures/conformance/${name}`, import.meta.url));

type Tokens = (count: number) => number[];

/** Questions of all kinds: shared beginnings of every length, none, equal inputs, long and short. */
function questions(tokens: Tokens, random: Random): EncodedQuestion[] {
  const between = (low: number, high: number) => low + random.integer(high - low + 1);
  return Array.from({ length: 60 }, (_, i) => {
    const context = tokens(i % 7 === 0 ? 1 : between(1, 20));
    const choices = Array.from({ length: between(2, 5) }, (): EncodedChoice => {
      const own = i % 5 === 0 ? tokens(context.length) : context;
      const targets = tokens(between(1, i % 3 === 0 ? 1 : 9));
      return {
        input: Int32Array.from([...own, ...targets].slice(0, -1)),
        targets: Int32Array.from(targets),
      };
    });
    const question = { line: i + 1, gold: 0, answers: [], choices: [] };
    return { question, choices, truncated: 0 };
  });
}

for (const name of ['llama-gqa', 'mistral-window', 'qwen3', 'llama3-rope']) {
  test(`${name}: sharing prefixes gives what each choice alone gives`, async () => {
    const checkpoint = await Checkpoint.open(conformance(name));
    const model = await loadModel(conformance(name));
    const { vocabSize } = checkpoint.config;
    const random = new Random(5);
    const tokens: Tokens = (count) =>
      Array.from({ length: count }, () => random.integer(vocabSize));
    const asked = questions(tokens, random);
    const plan = { batch: 400, chunk: 400, load: 'auto' as const, dtype: 'f32' };
    const scorers = [
      new ChoiceScorer(checkpoint, { ...plan, resident: true }),
      new ChoiceScorer(checkpoint, { ...plan, chunk: 3000, resident: false }),
      new ChoiceScorer(checkpoint, { ...plan, batch: 1, chunk: 1, resident: true }),
    ];
    const all: number[][][] = [];
    for (const scorer of scorers) {
      const counts: number[] = [];
      all.push(await scorer.score(asked, (count) => counts.push(count)));
      assert.is(counts.at(-1), asked.length);
      scorer.dispose();
    }
    for (const [i, { choices }] of asked.entries()) {
      const expected: number[] = [];
      for (const { input, targets } of choices) {
        const whole = [...input, targets.at(-1) as number];
        const logits = model.forward([whole]);
        const values = (await logits.read()) as Float32Array;
        logits.dispose();
        let sum = 0;
        for (const [t, id] of targets.entries()) {
          const at = input.length - targets.length + t;
          const row = [...values.subarray(at * vocabSize, (at + 1) * vocabSize)];
          const most = Math.max(...row);
          sum += (row[id] as number) - most;
          sum -= Math.log(row.reduce((total, x) => total + Math.exp(x - most), 0));
        }
        expected.push(sum);
      }
      for (const scores of all) close(scores[i] as number[], expected, 2e-5);
    }
    model.dispose();
    checkpoint.close();
  });
}

test('every question is in one batch, whose rows hold its choices, and budgets are kept', () => {
  const random = new Random(11);
  const tokens: Tokens = (count) => Array.from({ length: count }, () => 1 + random.integer(1000));
  const asked = questions(tokens, random);
  for (const budget of [1, 100, 1000, 1e9]) {
    const batches = planPrefixBatches(asked, budget);
    assert.equal(
      batches.flatMap(({ members }) => members).sort((a, b) => a - b),
      asked.map((_, i) => i),
    );
    for (const batch of batches) {
      const { prefixes, prefixLength, endingLength, prefixOf } = batch.layout;
      const ids = batchIds(batch, asked);
      assert.ok(batch.members.length === 1 || ids.length <= budget);
      const { rows, targets } = batchTargets(batch, asked);
      let ending = 0;
      let at = 0;
      for (const [i, member] of batch.members.entries()) {
        for (const choice of asked[member]!.choices) {
          assert.is(prefixOf[ending], i);
          const start = prefixes * prefixLength + ending * endingLength;
          const prefix = ids.subarray(i * prefixLength, (i + 1) * prefixLength);
          const whole = [...prefix, ...ids.subarray(start, start + endingLength)];
          assert.equal(whole.slice(0, choice.input.length), [...choice.input]);
          for (const id of choice.targets) {
            assert.is(targets[at], id);
            const position = (rows[at] as number) - start + prefixLength;
            const last = choice.targets.at(-1) as number;
            assert.is([...choice.input, last][position + 1], id);
            at++;
          }
          ending++;
        }
      }
      assert.is(at, rows.length);
    }
  }
});
