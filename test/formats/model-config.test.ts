import { encodeModelConfig } from '../../ts/formats/encode-model-config.js';
import { parseModelConfig } from '../../ts/formats/model-config.js';
import { assert, fails, test } from '../harness.js';

const base = {
  model_type: 'llama',
  vocab_size: 32,
  hidden_size: 16,
  intermediate_size: 24,
  num_hidden_layers: 3,
  num_attention_heads: 4,
};

function parse(fields: Record<string, unknown>) {
  return parseModelConfig({ ...base, ...fields }, 'config.json');
}

test('both spellings of dtype and rotary parameters mean the same', () => {
  const llama3 = {
    factor: 8,
    low_freq_factor: 1,
    high_freq_factor: 4,
    original_max_position_embeddings: 64,
  };
  const old = parse({
    torch_dtype: 'bfloat16',
    rope_theta: 5e5,
    rope_scaling: { rope_type: 'llama3', ...llama3 },
  });
  const recent = parse({
    dtype: 'bfloat16',
    rope_parameters: { rope_type: 'llama3', rope_theta: 5e5, ...llama3 },
  });
  assert.equal(old.rope, recent.rope);
  assert.is(old.rope.type, 'llama3');
  assert.is(old.dtype, recent.dtype);
  const oldest = parse({ rope_scaling: { type: 'linear', factor: 4 } });
  assert.equal(oldest.rope, { type: 'linear', theta: 10000, factor: 4 });
});

test('fields that are left out take the defaults of stock transformers', () => {
  const config = parse({});
  assert.is(config.layers[0]?.numKeyValueHeads, 4);
  assert.is(config.headDim, 4);
  assert.equal(config.rope, { type: 'default', theta: 10000 });
  assert.is(config.tieWordEmbeddings, false);
  assert.is(
    parse({ model_type: 'mistral', num_key_value_heads: 4 }).layers[0]?.slidingWindow,
    4096,
  );
  assert.is(parse({ model_type: 'qwen3', num_key_value_heads: 4 }).headDim, 128);
  assert.is(parse({ model_type: 'qwen2', num_key_value_heads: 4 }).queryBias, true);
});

test('qwen windows follow max_window_layers or layer_types', () => {
  const windows = (fields: Record<string, unknown>) =>
    parse({ model_type: 'qwen2', num_key_value_heads: 2, sliding_window: 8, ...fields }).layers.map(
      (layer) => layer.slidingWindow,
    );
  assert.equal(windows({}), [undefined, undefined, undefined]);
  assert.equal(windows({ use_sliding_window: true, max_window_layers: 1 }), [undefined, 8, 8]);
  const layer_types = ['sliding_attention', 'full_attention', 'sliding_attention'];
  assert.equal(windows({ use_sliding_window: true, layer_types }), [8, undefined, 8]);
});

test('other families are refused with the list of what is supported', async () => {
  const error = await fails(() => parse({ model_type: 'gpt2' }), 'UNSUPPORTED');
  assert.match((error as { remedy?: string }).remedy ?? '', 'llama, mistral, qwen2, qwen3');
});

const unsupported: Record<string, unknown>[] = [
  { hidden_act: 'gelu' },
  { rope_scaling: { type: 'yarn', factor: 4 } },
  { rope_scaling: { rope_type: 'dynamic', factor: 4 } },
  { rope_parameters: { full_attention: { rope_type: 'default' } } },
  { rope_parameters: { rope_type: 'default', partial_rotary_factor: 0.5 } },
  { quantization_config: { bits: 4 } },
  { model_type: 'mistral', num_key_value_heads: 4, attention_bias: true },
  { model_type: 'qwen2', num_key_value_heads: 4, mlp_bias: true },
  { layer_types: ['sliding_attention', 'full_attention', 'full_attention'] },
  {
    model_type: 'mistral',
    num_key_value_heads: 4,
    layer_types: new Array(3).fill('full_attention'),
  },
  {
    model_type: 'qwen3',
    num_key_value_heads: 4,
    layer_types: new Array(3).fill('chunked_attention'),
  },
];
for (const fields of unsupported) {
  test(`refuses ${JSON.stringify(fields)} by name`, async () => {
    const error = await fails(() => parse(fields), 'UNSUPPORTED');
    assert.match(error.message, 'config.json');
  });
}

const wrong: Record<string, unknown>[] = [
  { model_type: 7 },
  { hidden_size: undefined },
  { hidden_size: '16' },
  { hidden_size: 0 },
  { hidden_size: 1.5 },
  { hidden_size: 2 ** 40 },
  { hidden_size: 18 },
  { head_dim: 5 },
  { num_hidden_layers: 1e9 },
  { num_key_value_heads: 3 },
  { rope_scaling: { type: 'linear' } },
  { rope_scaling: { type: 'llama3', factor: 8 } },
  { rope_theta: 0 },
  { rope_scaling: { type: 'linear', factor: 2 }, rope_parameters: { type: 'linear', factor: 4 } },
  { layer_types: ['full_attention'] },
  { tie_word_embeddings: 'yes' },
  { espalier: { layers: [] } },
  {
    espalier: {
      layers: new Array(3).fill({
        intermediate_size: 8,
        num_attention_heads: 3,
        num_key_value_heads: 2,
      }),
    },
  },
];
for (const fields of wrong) {
  test(`finds ${JSON.stringify(fields)} malformed`, async () => {
    await fails(() => parse(fields), 'FORMAT');
  });
}

test('writing an unchanged config back keeps every field, known and unknown', () => {
  const config = parse({ torch_dtype: 'float16', espalier: { note: 1 }, custom: { deep: [1, 2] } });
  const encoded = encodeModelConfig(config);
  for (const [key, value] of Object.entries(config.raw)) assert.equal(encoded[key], value, key);
});

test('uniform widths are stock fields, differing ones are listed and read back', () => {
  const config = parse({ head_dim: 4 });
  const narrow = { intermediateSize: 8, numAttentionHeads: 2, numKeyValueHeads: 1 };
  const uniform = encodeModelConfig({ ...config, layers: [narrow, narrow] });
  assert.is(uniform.num_hidden_layers, 2);
  assert.is(uniform.intermediate_size, 8);
  assert.is(uniform.espalier, undefined);
  const layers = [narrow, { ...narrow, intermediateSize: 12 }];
  const encoded = encodeModelConfig({ ...config, layers });
  assert.equal(parseModelConfig(encoded, 'config.json').layers, layers);
});

test('dropping layers keeps each remaining layer its window', () => {
  const fields = { model_type: 'qwen2', num_key_value_heads: 2, sliding_window: 8 };
  const config = parse({ ...fields, use_sliding_window: true, max_window_layers: 2 });
  const layers = config.layers.filter((_, i) => i !== 0);
  const read = parseModelConfig(encodeModelConfig({ ...config, layers }), 'config.json');
  assert.equal(
    read.layers.map((layer) => layer.slidingWindow),
    [undefined, 8],
  );
});

test('a bias that the family has no field for is refused', async () => {
  const config = parse({ model_type: 'mistral', num_key_value_heads: 2 });
  await fails(() => encodeModelConfig({ ...config, mlpBias: true }), 'CONFIG');
  const biased = encodeModelConfig({
    ...parse({}),
    mlpBias: true,
    queryBias: true,
    outputBias: true,
  });
  assert.is(parseModelConfig(biased, 'config.json').outputBias, true);
});
