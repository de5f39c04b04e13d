import { cpSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert, test } from '../harness.js';
import { cli, root } from './spawn-cli.js';
import { temporaryDirectory } from '../temporary-directory.js';

const MODEL = join(root, 'demo', 'model');

test('inspect shows family, parameters, layers, memory and tokenizer', async () => {
  const { code, stdout, stderr } = await cli(['inspect', MODEL]);
  assert.is(code, 0, stderr);
  assert.is(stderr, '');
  for (const text of ['llama', '936,448', 'attention', 'MLP', 'F32', '0-4', 'BPE, 105 tokens']) {
    assert.match(stdout, text);
  }
  assert.not.match(stdout, 'q_proj');
});

test('inspect --tensors lists every tensor, --json gives the same to programs', async () => {
  const { stdout } = await cli(['inspect', MODEL, '--tensors']);
  assert.match(stdout, /model\.layers\.4\.mlp\.down_proj\.weight +F32 +\[128, 352\] +180,224/);
  const document = JSON.parse((await cli(['inspect', MODEL, '--tensors', '--json'])).stdout);
  assert.is(document.parameters.total, 936_448);
  assert.is(document.tensors.length, 47);
});

test('a broken or unknown model is one line of cause and one of remedy', async () => {
  const directory = temporaryDirectory();
  const copy = (name: string) => {
    const target = join(directory, name);
    cpSync(MODEL, target, { recursive: true });
    return target;
  };
  const truncated = copy('truncated');
  truncateSync(join(truncated, 'model.safetensors'), 100_000);
  const unknown = copy('unknown');
  const config = JSON.parse(readFileSync(join(unknown, 'config.json'), 'utf8'));
  writeFileSync(join(unknown, 'config.json'), JSON.stringify({ ...config, model_type: 'gpt2' }));
  const garbage = copy('garbage');
  writeFileSync(join(garbage, 'config.json'), '{');
  const cases: [string, RegExp][] = [
    [truncated, /model\.safetensors/],
    [unknown, /"gpt2" is not supported[\s\S]*llama, mistral/],
    [garbage, /config\.json/],
    [join(directory, 'missing'), /no such file/],
  ];
  for (const [model, cause] of cases) {
    const { code, stdout, stderr } = await cli(['inspect', model]);
    assert.is(code, 1, model);
    assert.is(stdout, '');
    assert.is(stderr.trimEnd().split('\n').length, 2, stderr);
    assert.match(stderr, cause);
    assert.match(stderr, /\n {2}try: \S/);
  }
});
