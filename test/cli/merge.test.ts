import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { assert, test } from '../harness.js';
import { temporaryDirectory } from '../temporary-directory.js';
import { cli, root } from './spawn-cli.js';

const MODEL = join(root, 'test', 'fixtures', 'conformance', 'llama-gqa');
const ADAPTER = join(MODEL, 'lora');

test('merge writes a model and says what it did', async () => {
  const output = join(temporaryDirectory(), 'merged');
  const { code, stdout, stderr } = await cli(['merge', MODEL, ADAPTER, '--output', output]);
  assert.is(code, 0, stderr);
  assert.match(stdout, /^output +.*merged\nmerged +21 weights, scale 1\n/);
  assert.ok(existsSync(join(output, 'model.safetensors')));
});

test('merge --json gives its figures; an existing output is an error with a remedy', async () => {
  const output = join(temporaryDirectory(), 'merged');
  const args = ['merge', MODEL, ADAPTER, '--output', output, '--scale', '-0.5', '--json'];
  const { stdout } = await cli([...args, '--quiet']);
  const { scale, modules, savedTensors } = JSON.parse(stdout);
  assert.equal({ scale, modules, savedTensors }, { scale: -0.5, modules: 21, savedTensors: 0 });
  const again = await cli(args);
  assert.is(again.code, 1);
  assert.match(again.stderr, /exists already\n {2}try: .*--force/);
});

test('merge refuses a directory that is no adapter', async () => {
  const output = join(temporaryDirectory(), 'merged');
  const { code, stderr } = await cli(['merge', MODEL, MODEL, '--output', output]);
  assert.is(code, 1);
  assert.match(stderr, /adapter_config\.json/);
});
