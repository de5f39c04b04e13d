import { type AdapterConfig, makeAdapterConfig } from '../../ts/formats/adapter-config.js';
import { moduleRanks, targetedModules } from '../../ts/formats/adapter-modules.js';
import { matchNames } from '../../ts/formats/python-pattern.js';
import { assert, fails, test } from '../harness.js';

const NAMES = [0, 1, 2, 11].flatMap((layer) =>
  ['self_attn.q_proj', 'self_attn.v_proj', 'mlp.down_proj'].map(
    (name) => `model.layers.${layer}.${name}`,
  ),
);

function targeted(fields: Partial<AdapterConfig>, names: readonly string[] = NAMES): string[] {
  return targetedModules(makeAdapterConfig(fields), names).map((name) =>
    name.replace('model.layers.', '').replace(/self_attn\.|mlp\.|_proj/g, ''),
  );
}

test('a list targets whole names and their ends behind a dot', () => {
  assert.equal(targeted({ targetModules: ['q_proj'] }), ['0.q', '1.q', '2.q', '11.q']);
  assert.equal(targeted({ targetModules: ['proj'] }), []);
  assert.equal(targeted({ targetModules: ['layers.1.self_attn.q_proj'] }), ['1.q']);
  assert.equal(targeted({ targetModules: ['self_attn.q_proj', NAMES[2]!] }), [
    '0.q',
    '0.down',
    '1.q',
    '2.q',
    '11.q',
  ]);
});

test('text is a regular expression for the whole name, but for all-linear', () => {
  assert.is(targeted({ targetModules: 'all-linear' }).length, 12);
  assert.is(targeted({ targetModules: 'ALL-LINEAR' }).length, 12);
  assert.equal(targeted({ targetModules: 'q_proj' }), []);
  assert.equal(targeted({ targetModules: '.*\\.1\\..*(q|v)_proj' }), ['1.q', '1.v']);
  assert.equal(targeted({ targetModules: '(?P<all>.*)\\.2\\..*q_proj|.*11.*q_proj' }), [
    '2.q',
    '11.q',
  ]);
});

test('layers are chosen by the first number behind the name of a list', () => {
  const q = { targetModules: ['q_proj'] };
  assert.equal(targeted({ ...q, layersToTransform: [0, 11] }), ['0.q', '11.q']);
  assert.equal(targeted({ ...q, layersToTransform: 1 }), ['1.q']);
  assert.equal(targeted({ ...q, layersToTransform: [] }).length, 4);
  assert.equal(targeted({ ...q, layersToTransform: 1, layersPattern: 'layers' }), ['1.q']);
  assert.equal(targeted({ ...q, layersToTransform: 1, layersPattern: ['h'] }), []);
  // Named in full: PEFT asks nothing more.
  assert.equal(targeted({ targetModules: [NAMES[0]!], layersToTransform: 1 }), ['0.q']);
  const experts = ['model.layers.1.experts.0.q_proj', 'model.layers.0.experts.1.q_proj'];
  assert.equal(targeted({ ...q, layersToTransform: 1 }, experts), ['1.experts.0.q']);
  assert.equal(targeted({ ...q, layersToTransform: 0 }, ['layers.0.q_proj']), []);
});

test('excluded modules and those saved whole drop out', () => {
  const all = { targetModules: 'all-linear' };
  assert.is(targeted({ ...all, excludeModules: ['q_proj'] }).length, 8);
  assert.is(targeted({ ...all, excludeModules: '.*mlp.*' }).length, 8);
  const names = ['classifier.dense', 'classifier', 'roberta.classifiers'];
  assert.equal(targeted({ ...all, modulesToSave: ['classifier'] }, names), ['roberta.classifiers']);
});

test('the first pattern that matches the end of a name gives its rank and alpha', () => {
  const config = makeAdapterConfig({
    r: 8,
    loraAlpha: 16,
    rankPattern: { 'layers.1.self_attn.q_proj': 4, q_proj: 2, '^v_proj': 99 },
    alphaPattern: { 'layers\\.[12]\\..*q_proj': 3 },
  });
  const ranks = moduleRanks(config, NAMES);
  const of = (name: string) => {
    const { rank, alpha, scale } = ranks.get(`model.layers.${name}_proj`)!;
    return [rank, alpha, scale];
  };
  assert.equal(of('0.self_attn.q'), [2, 16, 8]);
  assert.equal(of('1.self_attn.q'), [4, 3, 0.75]);
  assert.equal(of('11.self_attn.q'), [2, 16, 8]);
  assert.equal(of('0.self_attn.v'), [8, 16, 2]);
  const stabilised = moduleRanks({ ...config, useRslora: true }, NAMES);
  assert.is(stabilised.get(NAMES[1]!)!.scale, 16 / Math.sqrt(8));
});

test('patterns that Python reads differently, are broken or never end are refused', async () => {
  await fails(() => matchNames('(?i)q_proj', NAMES), 'UNSUPPORTED');
  await fails(() => matchNames('q_proj\\Z', NAMES), 'UNSUPPORTED');
  await fails(() => matchNames('(q_proj', NAMES), 'FORMAT');
  const evil = `${'a'.repeat(40)}!`;
  await fails(() => matchNames('(a+)+', [evil]), 'UNSUPPORTED');
  assert.equal(matchNames('(a+)+', ['aaa', 'b']), [true, false]);
});
