import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Tokenizer } from '../../ts/data/tokenizer.js';
import { drawCalibration } from '../../ts/pruning/calibration.js';
import { assert, fails, test } from '../harness.js';
import { temporaryDirectory } from '../temporary-directory.js';

const demo = join(import.meta.dirname, '..', '..', 'demo');
const text = join(demo, 'text', 'calibration.txt');
const folder = temporaryDirectory();
let tokenizer: Tokenizer;
const options = { files: [text], samples: 40, window: 32, heldOut: 0.1, seed: 4 };

test.before(async () => {
  tokenizer = await Tokenizer.open(join(demo, 'model'));
});

function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

test('the same seed draws the same windows, another seed others', async () => {
  const first = await drawCalibration(tokenizer, 105, options);
  assert.equal(await drawCalibration(tokenizer, 105, options), first);
  const other = await drawCalibration(tokenizer, 105, { ...options, seed: 5 });
  assert.not.equal(other.training, first.training);
});

test('a tenth of the windows is held out and none is in both sets', async () => {
  const { training, heldOut } = await drawCalibration(tokenizer, 105, options);
  assert.is(training.length, 36);
  assert.is(heldOut.length, 4);
  const all = [...training, ...heldOut];
  assert.ok(all.every((window) => window.length === 32));
  assert.is(new Set(all.map(String)).size, 40);
});

test('fewer windows than asked for are all used', async () => {
  const short = file('short.txt', 'Once upon a time there was a very small bird. '.repeat(3));
  const drawn = await drawCalibration(tokenizer, 105, { ...options, files: [short] });
  assert.is(drawn.training.length + drawn.heldOut.length, drawn.available);
  assert.ok(drawn.available < 40);
});

test('fewer than four windows are too few to hold one out', async () => {
  const drawn = await drawCalibration(tokenizer, 105, { ...options, samples: 3 });
  assert.is(drawn.heldOut.length, 0);
  assert.is(drawn.training.length, 3);
});

test('several files make one pool', async () => {
  const second = file('second.txt', 'The ducks were cold. '.repeat(100));
  const one = await drawCalibration(tokenizer, 105, options);
  const two = await drawCalibration(tokenizer, 105, { ...options, files: [text, second] });
  assert.ok(two.available > one.available);
});

test('a text that is empty, of one character or shorter than a window is refused', async () => {
  for (const content of ['', 'a', 'too short']) {
    const files = [file('tiny.txt', content)];
    const error = await fails(
      () => drawCalibration(tokenizer, 105, { ...options, files }),
      'CONFIG',
    );
    assert.match(error.message, 'fewer than one window of 32');
  }
});

test('a file that is not text is refused', async () => {
  const bytes = Uint8Array.from({ length: 4096 }, (_, i) => (i * 37) % 256);
  const files = [file('binary', bytes)];
  await fails(() => drawCalibration(tokenizer, 105, { ...options, files }), 'FORMAT');
});

test('a missing file is refused', async () => {
  const files = [join(folder, 'nothing.txt')];
  await fails(() => drawCalibration(tokenizer, 105, { ...options, files }), 'CONFIG');
});

test('a tokenizer with more tokens than the model is refused', async () => {
  await fails(() => drawCalibration(tokenizer, 20, options), 'FORMAT');
});

test.after(() => tokenizer.dispose());
