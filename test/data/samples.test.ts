import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openCausalSamples } from '../../ts/data/causal-samples.js';
import { openLabelledSamples } from '../../ts/data/labelled-samples.js';
import type { Sample, SampleSource } from '../../ts/data/sample.js';
import { appendTextFile } from '../../ts/data/text-tokens.js';
import { TokenStore } from '../../ts/data/token-store.js';
import { Tokenizer } from '../../ts/data/tokenizer.js';
import { assert, fails, test } from '../harness.js';
import { temporaryDirectory } from '../temporary-directory.js';
import { CHAT_TEMPLATE, writeEncoderTokenizer } from './tiny-tokenizers.js';

const fixture = fileURLToPath(new URL('../fixtures/stories260K', import.meta.url));
const stories = fileURLToPath(new URL('../../demo/text/stories.txt', import.meta.url));

let language: Tokenizer;
let encoder: Tokenizer;

test.before(async () => {
  const chat = join(temporaryDirectory(), 'chat');
  cpSync(fixture, chat, { recursive: true });
  const file = join(chat, 'tokenizer_config.json');
  const config = JSON.parse(readFileSync(file, 'utf8'));
  writeFileSync(file, JSON.stringify({ ...config, chat_template: CHAT_TEMPLATE }));
  language = await Tokenizer.open(chat);
  const folder = temporaryDirectory();
  writeEncoderTokenizer(folder);
  encoder = await Tokenizer.open(folder);
});

test.after(async () => {
  await language.dispose();
  await encoder.dispose();
});

function file(name: string, content: string): string {
  const path = join(temporaryDirectory(), name);
  writeFileSync(path, content);
  return path;
}

const jsonl = (rows: readonly unknown[]) =>
  file('data.jsonl', rows.map((row) => `${JSON.stringify(row)}\n`).join(''));

async function all(source: SampleSource): Promise<Sample[]> {
  const samples = await source.read(Array.from({ length: source.count }, (_, i) => i));
  await source.dispose();
  return samples;
}

async function ids(text: string, specialTokens = true): Promise<number[]> {
  return [...(await language.encode(text, { specialTokens }))];
}

test('a text file becomes windows over all of it', async () => {
  const source = await openCausalSamples([stories], language, { maxLength: 32 });
  const whole = [...(await language.encodeFile(stories)).ids, 2];
  assert.is(source.count, Math.floor(whole.length / 32));
  const [third, first] = await source.read([2, 0]);
  await source.dispose();
  assert.equal([...third!.inputIds], whole.slice(64, 96));
  assert.equal([...(third!.labels as Int32Array)], whole.slice(64, 96));
  assert.equal([...(first!.labels as Int32Array)], [-100, ...whole.slice(1, 32)]);
});

test('a long text in pieces, with its tokens in a file, is the same but for the borders', async () => {
  const text = 'Once upon a time there was a café.\n'.repeat(400);
  const path = file('long.txt', text);
  const whole = await ids(text);
  const squeezed = (x: string) => x.replace(/\s+/g, ' ').trim();
  const [small, large] = [new TokenStore(500), new TokenStore()];
  await appendTextFile(small, path, language, { piece: 1000 });
  await appendTextFile(large, path, language);
  assert.is(large.length, whole.length + 1);
  const one = await large.read(0, large.length);
  assert.equal([...one].slice(1), [...whole.slice(1), 2]);
  // Each piece is tokenized alone, which here puts a space in front of it.
  const joined = await small.read(0, small.length);
  assert.is(squeezed(await language.decode(joined.slice(1, -1))), squeezed(text));
  for (const [start, length] of [
    [0, 10],
    [490, 30],
    [small.length - 5, 5],
    [3, 2000],
  ] as const) {
    assert.equal(await small.read(start, length), joined.slice(start, start + length));
  }
  await fails(() => small.read(small.length - 1, 2), 'CONFIG');
  await small.dispose();
  await large.dispose();
});

test('rows with text, prompt and completion, or messages are samples, cut at the end', async () => {
  const path = jsonl([
    { text: 'The cat sat.' },
    { prompt: 'Who sat? ', completion: 'The cat.', extra: 1 },
    {
      messages: [
        { role: 'user', content: 'Hi' },
        { role: 'assistant', content: 'Hello' },
      ],
    },
  ]);
  const samples = await all(await openCausalSamples([path], language, { maxLength: 20 }));
  const [text, pair, chat] = samples as [Sample, Sample, Sample];
  const plain = await ids('The cat sat.');
  assert.equal([...text.inputIds], [...plain, 2]);
  assert.equal([...(text.labels as Int32Array)], [-100, ...plain.slice(1), 2]);
  const whole = [...(await ids('Who sat? The cat.')), 2];
  assert.equal([...pair.inputIds], whole);
  const learnt = [...(pair.labels as Int32Array)].filter((id) => id >= 0);
  assert.is((await language.decode(Int32Array.from(learnt))).trim(), 'The cat.</s>');
  assert.is(chat.inputIds.length, 20);
  assert.is(chat.inputIds[0], 1);
  assert.ok((chat.labels as Int32Array).every((id) => id === -100));
});

test('packed rows follow each other in windows, none lost', async () => {
  const rows = ['The cat sat.', 'A dog ran home.', 'Once upon a time.'];
  const path = jsonl(rows.map((text) => ({ text })));
  const options = { maxLength: 8, packing: true };
  const source = await openCausalSamples([path], language, options);
  const row: number[] = [];
  for (const text of rows) row.push(...(await ids(text)), 2);
  assert.is(source.count, Math.floor(row.length / 8));
  const samples = await all(source);
  assert.equal(
    samples.flatMap(({ inputIds }) => [...inputIds]),
    row.slice(0, 8 * samples.length),
  );
  const labels = samples.flatMap((sample) => [...(sample.labels as Int32Array)]);
  assert.equal(
    labels,
    row.slice(0, labels.length).map((id) => (id === 1 ? -100 : id)),
  );
  // Less than a window is one shorter window.
  const short = await openCausalSamples([path], language, { maxLength: 1000, packing: true });
  assert.equal([short.count, (await all(short))[0]!.inputIds.length], [1, row.length]);
});

test('a row that can not be used is named with file and line, or counted', async () => {
  const bad: [unknown, RegExp][] = [
    [{}, /none of text, prompt and completion, messages/],
    [{ prompt: 'a' }, /completion is not text/],
    [{ messages: [] }, /messages is not a list/],
    [{ messages: [{ role: 'user', content: 'x' }] }, /no message is by the assistant/],
    [{ messages: [{ role: 'assistant', content: 5 }] }, /message 1 has no text/],
    [[1], /not a JSON object/],
    [7, /not a JSON object/],
  ];
  for (const [row, why] of bad) {
    const path = jsonl([{ text: 'fine' }, row, { text: 'fine too' }]);
    const open = (skipBadRows: boolean) =>
      openCausalSamples([path], language, { maxLength: 8, skipBadRows });
    const error = await fails(() => open(false), 'FORMAT');
    assert.match(error.message, /data\.jsonl, line 2: /);
    assert.match(error.message, why);
    const source = await open(true);
    assert.equal([source.count, source.skippedRows], [2, 1]);
    await source.dispose();
  }
  const judge = {
    messages: [
      { role: 'judge', content: 'x' },
      { role: 'assistant', content: 'y' },
    ],
  };
  const source = await openCausalSamples([jsonl([{ text: 'fine' }, judge])], language, {
    maxLength: 8,
  });
  const error = await fails(() => source.read([0, 1]), 'FORMAT');
  assert.match(error.message, /data\.jsonl, line 2: the chat template failed: .*unknown role/);
  await source.dispose();
});

test('no files, files of another kind and empty ones are refused', async () => {
  const open = (files: string[]) => openCausalSamples(files, language, { maxLength: 8 });
  await fails(() => open([]), 'CONFIG');
  await fails(() => open([file('data.pdf', 'x')]), 'CONFIG');
  await fails(() => open([file('data.txt', '')]), 'CONFIG');
  await fails(() => open([join(temporaryDirectory(), 'none.jsonl')]), 'CONFIG');
  await fails(() => openCausalSamples([stories], language, { maxLength: 1 }), 'CONFIG');
});

test('tables of each kind give the same labelled samples', async () => {
  const contents = {
    'data.csv': 'label,sentence\npos,"the cat, sat"\nneg,"a ""dog"""\n',
    'data.tsv': 'sentence\tlabel\r\nthe cat, sat\tpos\r\na "dog"\tneg\r\n',
    'data.jsonl':
      '{"sentence":"the cat, sat","label":"pos","id":1}\n\n{"sentence":"a \\"dog\\"","label":"neg","id":2}\n',
  };
  for (const [name, content] of Object.entries(contents)) {
    const source = await openLabelledSamples([file(name, content)], encoder, { maxLength: 16 });
    assert.equal(source.labels, ['neg', 'pos'], name);
    const samples = await all(source);
    assert.equal(
      samples.map(({ labels }) => labels),
      [1, 0],
    );
    assert.equal([...samples[0]!.inputIds], [2, 4, 5, 1, 6, 3]);
    assert.equal([...samples[1]!.inputIds], [2, 13, 1, 10, 1, 3]);
  }
});

test('pairs of texts are cut to fit and typed', async () => {
  const path = file('pairs.csv', 'premise,hypothesis,label\na b c d,the cat,0\na,e f g h,1\n');
  const source = await openLabelledSamples([path], encoder, { maxLength: 7 });
  const [first, second] = (await all(source)) as [Sample, Sample];
  assert.equal([...first.inputIds], [2, 13, 14, 3, 4, 5, 3]);
  assert.equal([...first.typeIds!], [0, 0, 0, 0, 1, 1, 1]);
  assert.equal([...second.inputIds], [2, 13, 3, 17, 18, 19, 3]);
});

test('numbers are classes in their order, and given classes are kept', async () => {
  const numbers = file('a.csv', 'label,content\n10,a\n9,b\n-1,c\n');
  const source = await openLabelledSamples([numbers], encoder, { maxLength: 8 });
  assert.equal(source.labels, ['-1', '9', '10']);
  assert.equal(
    (await all(source)).map(({ labels }) => labels),
    [2, 1, 0],
  );
  const labels = ['bad', 'good'];
  const named = file('b.csv', 'label,text\n1,a\nbad,b\n0,c\n');
  const given = await openLabelledSamples([named], encoder, { maxLength: 8, labels });
  assert.equal(given.labels, labels);
  assert.equal(
    (await all(given)).map((sample) => sample.labels),
    [1, 0, 0],
  );
  const strange = file('c.csv', 'label,text\n1,a\n2,b\n');
  const error = await fails(
    () => openLabelledSamples([strange], encoder, { maxLength: 8, labels }),
    'FORMAT',
  );
  assert.match(error.message, /c\.csv, line 3: "2" is none of the classes bad, good/);
});

test('columns that can not be told, and tables that make no classifier, are refused', async () => {
  const open = (name: string, content: string, options = {}) =>
    openLabelledSamples([file(name, content)], encoder, { maxLength: 8, ...options });
  const unclear = await fails(() => open('a.csv', 'x,y,label\na,b,0\n'), 'CONFIG');
  assert.match(unclear.message, /surely the text; its columns are x, y, label/);
  await fails(() => open('a.csv', 'text,y\na,b\n'), 'CONFIG');
  await fails(() => open('a.csv', 'text,label\na,b\n', { labelColumn: 'z' }), 'CONFIG');
  await fails(() => open('a.csv', 'text,label\na,same\nb,same\n'), 'CONFIG');
  await fails(() => open('a.txt', 'text,label\na,b\n'), 'CONFIG');
  const ragged = await fails(() => open('r.csv', 'text,label\na,0\n"b\nb",1,2\n'), 'FORMAT');
  assert.match(ragged.message, /r\.csv, line 3: expected 2 fields, got 3/);
  await fails(() => open('a.csv', 'text,label\n,0\nb,1\n'), 'FORMAT');
  const source = await open('a.csv', 'x,y,z\nthe,cat,0\nsat,on,1\n', {
    textColumns: ['x', 'y'],
    labelColumn: 'z',
  });
  assert.equal([...(await all(source))[1]!.inputIds], [2, 6, 3, 7, 3]);
});
