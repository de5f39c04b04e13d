import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Tokenizer } from '../../ts/data/tokenizer.js';
import { assert, fails, test } from '../harness.js';
import { temporaryDirectory } from '../temporary-directory.js';

const stories = fileURLToPath(new URL('../fixtures/stories260K', import.meta.url));

// Made with Python's tokenizers 0.23.3 on the same tokenizer.json.
const golden: [string, number[]][] = [
  ['', [1]],
  [
    'Once upon a time, there was a little girl named Lily.\n\nShe  loved   to play.',
    [
      1, 403, 407, 261, 378, 432, 383, 286, 261, 376, 298, 315, 421, 395, 317, 426, 13, 13, 437,
      260, 410, 401, 396, 410, 410, 267, 337, 426,
    ],
  ],
  [
    '  naïve — “quotes” 日本 🙂 <s>x</s>\tend\r\n',
    [
      1, 410, 410, 297, 412, 198, 178, 360, 410, 481, 410, 465, 456, 425, 309, 406, 466, 410, 233,
      154, 168, 233, 159, 175, 410, 243, 162, 156, 133, 410, 1, 410, 444, 2, 410, 12, 367, 16, 13,
    ],
  ],
];

let tokenizer: Tokenizer;

test.before(async () => {
  tokenizer = await Tokenizer.open(stories);
});

test.after(() => tokenizer.dispose());

test('ids are those of the Python tokenizers', async () => {
  for (const [text, ids] of golden) {
    assert.equal([...(await tokenizer.encode(text))], ids, JSON.stringify(text));
  }
  const bare = await tokenizer.encode(golden[1]?.[0] ?? '', { specialTokens: false });
  assert.equal([...bare], golden[1]?.[1].slice(1));
});

test('many texts give what each gives alone', async () => {
  const all = await tokenizer.encodeAll(golden.map(([text]) => text));
  assert.equal(
    all.map((ids) => [...ids]),
    golden.map(([, ids]) => ids),
  );
  assert.equal(await tokenizer.encodeAll([]), []);
});

test('a file is one string, taken as it stands', async () => {
  const path = join(temporaryDirectory(), 'text.txt');
  const text = golden[2]?.[0] ?? '';
  writeFileSync(path, text);
  const { ids, bytes } = await tokenizer.encodeFile(path);
  assert.equal([...ids], golden[2]?.[1]);
  assert.is(bytes, Buffer.byteLength(text));
});

test('decoding gives the text back', async () => {
  const text = 'Once upon a time, there was a café.\n';
  const ids = await tokenizer.encode(text, { specialTokens: false });
  assert.is(await tokenizer.decode(ids), text);
});

test('a long text keeps the event loop busy for less than 20 ms in all', async () => {
  const text = 'Once upon a time, there was a little girl named Lily. '.repeat(4000);
  await tokenizer.encode('warm');
  const before = performance.eventLoopUtilization();
  await tokenizer.encode(text);
  // Time in use, not delay: a busy machine delays a loop that has nothing to do, too.
  const { active, idle } = performance.eventLoopUtilization(before);
  assert.ok(active < 20, `${active} ms busy`);
  assert.ok(idle > active, `${idle} ms idle`);
});

test('aborting ends it soon, and the tokenizer goes on working', async () => {
  const controller = new AbortController();
  const start = performance.now();
  const long = tokenizer.encode('a story '.repeat(500_000), { signal: controller.signal });
  const next = tokenizer.encode('');
  setTimeout(() => controller.abort(), 50);
  await fails(() => long, 'ABORTED');
  assert.ok(performance.now() - start < 1000);
  assert.equal([...(await next)], [1]);
  await fails(() => tokenizer.encode('x', { signal: AbortSignal.abort() }), 'ABORTED');
});

test('disposing rejects what is under way', async () => {
  const other = await Tokenizer.open(stories);
  const pending = fails(() => other.encode('a story '.repeat(500_000)), 'ABORTED');
  await new Promise((resolve) => setTimeout(resolve, 20));
  await other.dispose();
  await other.dispose();
  await pending;
});

test('binary text, missing files and broken tokenizers are refused', async () => {
  const directory = temporaryDirectory();
  const binary = join(directory, 'binary');
  writeFileSync(binary, Buffer.of(0xff, 0xfe, 0x00));
  await fails(() => tokenizer.encodeFile(binary), 'FORMAT');
  await fails(() => tokenizer.encodeFile(join(directory, 'none')), 'CONFIG');
  await fails(() => Tokenizer.open(directory), 'UNSUPPORTED');
  for (const text of ['', '[]', 'null', '{}', '{"model":{"type":"Sorcery"}}']) {
    const folder = join(directory, `broken-${Buffer.from(text).toString('hex')}`);
    mkdirSync(folder);
    writeFileSync(join(folder, 'tokenizer.json'), text);
    await fails(() => Tokenizer.open(folder), 'FORMAT');
  }
});
