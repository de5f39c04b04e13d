import { readFileSync } from 'node:fs';
import { Tokenizer } from '@huggingface/tokenizers';
import { Random } from '../../ts/common/random.js';
import { WordEncoder } from '../../ts/data/word-encoder.js';
import { assert, test } from '../harness.js';

const file = new URL('../fixtures/stories260K/tokenizer.json', import.meta.url);
const json = JSON.parse(readFileSync(file, 'utf8'));
const tokenizer = new Tokenizer(json, {});

test('word by word gives the ids of the whole text', () => {
  const encoder = WordEncoder.for(tokenizer, json);
  assert.ok(encoder);
  const random = new Random(11);
  const pieces = [
    ' ',
    '  ',
    '   ',
    'the',
    'a',
    'Lily',
    '.',
    '\n',
    '\n\n',
    '▁',
    ' ▁',
    'é',
    '🙂',
    '\t',
  ];
  const texts = Array.from({ length: 2000 }, () =>
    Array.from({ length: random.integer(12) }, () => pieces[random.integer(pieces.length)]).join(
      '',
    ),
  );
  texts.push(readFileSync(new URL('../../demo/text/wizard-of-oz.txt', import.meta.url), 'utf8'));
  for (const text of texts) {
    for (const specialTokens of [true, false]) {
      const whole = tokenizer.encode(text, { add_special_tokens: specialTokens }).ids;
      assert.equal(encoder.encode(text, specialTokens), whole, JSON.stringify(text.slice(0, 100)));
    }
  }
});

test('texts with added tokens are left to the whole encoder', () => {
  assert.is(WordEncoder.for(tokenizer, json)?.encode('a <s> b', true), undefined);
});

test('it declines tokenizers whose words could merge, or that work otherwise', () => {
  const variants = [
    { ...json, pre_tokenizer: { type: 'ByteLevel' } },
    { ...json, normalizer: null },
    { ...json, model: { ...json.model, vocab: { ...json.model.vocab, 'a▁b': 512 } } },
    { ...json, model: { ...json.model, dropout: 0.1 } },
    { ...json, model: { ...json.model, type: 'Unigram' } },
    { ...json, added_tokens: [{ content: 'two words' }] },
    { ...json, post_processor: { type: 'RobertaProcessing' } },
  ];
  for (const variant of variants) assert.is(WordEncoder.for(tokenizer, variant), undefined);
});
