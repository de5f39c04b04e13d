import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  countQuestions,
  type LocatedQuestion,
  readQuestions,
} from '../../../ts/data/tasks/read-questions.js';
import { TASKS, type TaskName } from '../../../ts/data/tasks/tasks.js';
import { capitalize, length, strip, stripEnd } from '../../../ts/data/tasks/python-text.js';
import { assert, fails, test } from '../../harness.js';
import { temporaryDirectory } from '../../temporary-directory.js';

const directory = temporaryDirectory();

function file(name: string, rows: readonly unknown[]): string {
  const path = join(directory, name);
  writeFileSync(
    path,
    rows.map((row) => `${typeof row === 'string' ? row : JSON.stringify(row)}\n`).join(''),
  );
  return path;
}

async function questions(
  task: TaskName,
  path: string,
  options: { labels?: string; limit?: number } = {},
): Promise<LocatedQuestion[]> {
  const found: LocatedQuestion[] = [];
  for await (const question of readQuestions(path, TASKS[task], options)) found.push(question);
  return found;
}

const pairs = ({ choices }: LocatedQuestion) => choices.map((c) => [c.context, c.continuation]);

test('arc asks the question and continues it with each answer, in both published shapes', async () => {
  const answerKey = '2';
  const labels = ['1', '2', '3'];
  const texts = ['a kite', 'a hammer', 'a cloud'];
  const published = {
    id: 'x',
    question: {
      stem: 'What drives nails?',
      choices: texts.map((text, i) => ({ text, label: labels[i] })),
    },
    answerKey,
  };
  const columns = {
    question: 'What drives nails?',
    choices: { text: texts, label: labels },
    answerKey,
  };
  for (const row of [published, columns]) {
    const [question] = await questions('arc_easy', file('arc.jsonl', [row]));
    const context = 'Question: What drives nails?\nAnswer:';
    assert.equal(
      pairs(question!),
      texts.map((text) => [context, ` ${text}`]),
    );
    assert.equal(question!.answers, texts);
    assert.is(question!.gold, 1);
    assert.is(question!.line, 1);
  }
  const wrong = { ...columns, answerKey: 'C' };
  const error = await fails(
    () => questions('arc_challenge', file('arc.jsonl', ['', columns, wrong])),
    'FORMAT',
  );
  assert.match(error.message, /arc\.jsonl, line 3: answerKey is C/);
});

test('piqa takes labels from the row, from the file beside it, or from a file that is named', async () => {
  const row = { goal: 'open a jar', sol1: 'twist the lid', sol2: 'shout at it ' };
  const path = file('valid.jsonl', [row, row]);
  await fails(() => questions('piqa', path), 'FORMAT');
  file('valid-labels.lst', ['0', '1']);
  const [first, second] = await questions('piqa', path);
  assert.equal(pairs(first!), [
    ['Question: open a jar\nAnswer:', ' twist the lid'],
    ['Question: open a jar\nAnswer:', ' shout at it '],
  ]);
  assert.equal([first!.gold, second!.gold], [0, 1]);
  const labels = file('others.lst', ['1', '0']);
  assert.equal(
    (await questions('piqa', path, { labels })).map(({ gold }) => gold),
    [1, 0],
  );
  const own = file('own.jsonl', [{ ...row, label: 1 }]);
  assert.equal(
    (await questions('piqa', own)).map(({ gold }) => gold),
    [1],
  );
  file('valid-labels.lst', ['0']);
  assert.match(
    (await fails(() => questions('piqa', path), 'FORMAT')).message,
    /valid\.jsonl, line 2: /,
  );
  file('valid-labels.lst', ['0', '1', '1']);
  assert.match(
    (await fails(() => questions('piqa', path), 'FORMAT')).message,
    /labels\.lst, line 3: /,
  );
  assert.is((await questions('piqa', path, { limit: 1 })).length, 1);
});

test('boolq gives one prompt for both published shapes', async () => {
  const own = { question: 'is ice water', passage: 'Ice -- Ice is water.', label: 'true', idx: 0 };
  const google = { question: 'is ice water', title: 'Ice', passage: 'Ice is water.', answer: true };
  for (const row of [own, google, { ...own, label: true }, { ...own, label: 1 }]) {
    const [question] = await questions('boolq', file('boolq.jsonl', [row]));
    const context = 'Ice -- Ice is water.\nQuestion: is ice water?\nAnswer:';
    assert.equal(pairs(question!), [
      [context, ' no'],
      [context, ' yes'],
    ]);
    assert.is(question!.gold, 1);
  }
  const [no] = await questions('boolq', file('boolq.jsonl', [{ ...own, label: 'false' }]));
  assert.is(no!.gold, 0);
});

test('hellaswag is cleaned of its headings', async () => {
  const row = {
    activity_label: 'Baking bread',
    ctx_a: '[header] How to bake [title] Mix it. [step] Take  flour.',
    ctx_b: 'then THE baker',
    endings: [' kneads [substeps] it.', 'sings [title] loudly', 'a[\n]b', 'rests  '],
    label: '3',
  };
  const [question] = await questions('hellaswag', file('hellaswag.jsonl', [row]));
  // What the evaluation harness's own preprocessing makes of this row.
  assert.is(
    question!.choices[0]!.context,
    'Baking bread: How to bake. Mix it. Take flour. Then the baker',
  );
  assert.equal(question!.answers, ['kneads it.', 'sings. loudly', 'a[\n]b', 'rests']);
  assert.equal(
    question!.choices.map((c) => c.continuation),
    question!.answers.map((a) => ` ${a}`),
  );
  assert.is(question!.gold, 3);
  const error = await fails(
    () => questions('hellaswag', file('hellaswag.jsonl', [{ ...row, label: 4 }])),
    'FORMAT',
  );
  assert.match(error.message, /hellaswag\.jsonl, line 1: the label is 4/);
});

test('winogrande scores the rest of the sentence after each option', async () => {
  const row = {
    sentence: 'The cup fell off the shelf because the _ was  tilted. ',
    option1: 'cup',
    option2: 'shelf',
    answer: '2',
  };
  const [question] = await questions('winogrande', file('winogrande.jsonl', [row]));
  assert.equal(pairs(question!), [
    ['The cup fell off the shelf because the cup', ' was  tilted.'],
    ['The cup fell off the shelf because the shelf', ' was  tilted.'],
  ]);
  assert.is(question!.gold, 1);
  for (const bad of [
    { ...row, sentence: 'no gap' },
    { ...row, answer: '' },
    { ...row, option1: 5 },
  ]) {
    await fails(() => questions('winogrande', file('winogrande.jsonl', [bad])), 'FORMAT');
  }
});

test('malformed rows name file and line', async () => {
  const good = { question: 'q', passage: 'p', label: true };
  const cases: [unknown, RegExp][] = [
    ['{"question": "q"', /bad\.jsonl, line 2.*not valid JSON/],
    ['[1, 2]', /bad\.jsonl, line 2: /],
    ['{"question":"q","question":"r","passage":"p","label":true}', /bad\.jsonl, line 2.*twice/],
    [{ question: 'q', passage: 7, label: true }, /bad\.jsonl, line 2: passage: /],
    [{ question: 'q', passage: 'p', label: 'maybe' }, /bad\.jsonl, line 2: label: /],
  ];
  for (const [row, message] of cases) {
    const path = file('bad.jsonl', [good, row]);
    assert.match((await fails(() => questions('boolq', path), 'FORMAT')).message, message);
    assert.is((await questions('boolq', path, { limit: 1 })).length, 1);
  }
});

test('counting finds as many questions as reading', async () => {
  const row = { question: 'q', passage: 'p', label: true };
  const path = file('count.jsonl', [row, '', row, '  ', row]);
  assert.is(await countQuestions(path), 3);
  assert.is(await countQuestions(path, { limit: 2 }), 2);
  assert.equal(
    (await questions('boolq', path)).map(({ line }) => line),
    [1, 3, 5],
  );
});

test('strings are measured and trimmed as Python does', () => {
  assert.is(strip('\ufeff x\u0085\u001c\u3000'), '\ufeff x');
  assert.is(stripEnd(' a b \n\u2028'), ' a b');
  assert.is(stripEnd(' \t'), '');
  assert.equal(['', 'aBC', 'éCOLE', 'ßA', '😀X'].map(capitalize), [
    '',
    'Abc',
    'École',
    'Ssa',
    '😀x',
  ]);
  assert.is(length('a😀é'), 3);
});
