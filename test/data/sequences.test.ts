import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { EncodedSequences } from '../../ts/data/sequence-encoder.js';
import { Tokenizer } from '../../ts/data/tokenizer.js';
import { assert, fails, test } from '../harness.js';
import { temporaryDirectory } from '../temporary-directory.js';
import { CHAT_TEMPLATE, writeEncoderTokenizer } from './tiny-tokenizers.js';

const stories = fileURLToPath(new URL('../fixtures/stories260K', import.meta.url));

/** Opens a tokenizer for the time of `body`. */
async function withTokenizer<R>(directory: string, body: (t: Tokenizer) => Promise<R>): Promise<R> {
  const tokenizer = await Tokenizer.open(directory);
  try {
    return await body(tokenizer);
  } finally {
    await tokenizer.dispose();
  }
}

/** The stories tokenizer with a chat template. */
function chatDirectory(template = CHAT_TEMPLATE): string {
  const directory = join(temporaryDirectory(), 'chat');
  cpSync(stories, directory, { recursive: true });
  const file = join(directory, 'tokenizer_config.json');
  const config = JSON.parse(readFileSync(file, 'utf8'));
  writeFileSync(file, JSON.stringify({ ...config, chat_template: template }));
  return directory;
}

function rows<T extends Int32Array | Uint8Array>(
  flat: T,
  { lengths }: EncodedSequences,
): number[][] {
  let at = 0;
  return [...lengths].map((length) => {
    at += length;
    return [...flat.subarray(at - length, at)];
  });
}

// Made with Python's tokenizers 0.23.3 on the same tokenizer.json.
const texts = ['The cat sat.', 'a b c d e f g h', 'a b c d', 'zebra'];
const pairs = ['a b c d e f g h', 'The cat sat.', 'e f g h a', ''];
const typed: Record<number, [number[], number[]][]> = {
  7: [
    [
      [2, 4, 5, 3, 13, 14, 3],
      [0, 0, 0, 0, 1, 1, 1],
    ],
    [
      [2, 13, 14, 3, 4, 5, 3],
      [0, 0, 0, 0, 1, 1, 1],
    ],
    [
      [2, 13, 14, 3, 17, 18, 3],
      [0, 0, 0, 0, 1, 1, 1],
    ],
    [
      [2, 1, 3, 3],
      [0, 0, 0, 1],
    ],
  ],
  6: [
    [
      [2, 4, 3, 13, 14, 3],
      [0, 0, 0, 1, 1, 1],
    ],
    [
      [2, 13, 14, 3, 4, 3],
      [0, 0, 0, 0, 1, 1],
    ],
    [
      [2, 13, 3, 17, 18, 3],
      [0, 0, 0, 1, 1, 1],
    ],
    [
      [2, 1, 3, 3],
      [0, 0, 0, 1],
    ],
  ],
};

for (const processor of ['template', 'bert']) {
  test(`${processor}: pairs are cut, joined and typed as Hugging Face's tokenizers do`, async () => {
    const directory = temporaryDirectory();
    writeEncoderTokenizer(directory, processor);
    await withTokenizer(directory, async (tokenizer) => {
      for (const [maxLength, expected] of Object.entries(typed)) {
        const got = await tokenizer.encodePairs(texts, pairs, { maxLength: Number(maxLength) });
        assert.equal(
          rows(got.ids, got),
          expected.map(([ids]) => ids),
        );
        assert.equal(
          rows(got.typeIds!, got),
          expected.map(([, types]) => types),
        );
      }
      const single = await tokenizer.encodePairs(['The cats sat on the mat.'], undefined, {
        maxLength: 7,
      });
      assert.equal(rows(single.ids, single), [[2, 4, 5, 9, 6, 7, 3]]);
      assert.is(single.typeIds, undefined);
      await fails(() => tokenizer.encodePairs(texts, pairs, { maxLength: 3 }), 'CONFIG');
      assert.equal(await tokenizer.tokens(), { endId: undefined, padId: 0 });
    });
  });
}

test('RoBERTa puts two separators between and knows one type only', async () => {
  const directory = temporaryDirectory();
  writeEncoderTokenizer(directory, 'roberta');
  await withTokenizer(directory, async (tokenizer) => {
    const got = await tokenizer.encodePairs(texts, pairs, { maxLength: 7 });
    assert.equal(rows(got.ids, got), [
      [2, 4, 3, 3, 13, 14, 3],
      [2, 13, 14, 3, 3, 4, 3],
      [2, 13, 3, 3, 17, 18, 3],
      [2, 1, 3, 3, 3],
    ]);
    assert.is(got.typeIds, undefined);
  });
});

test('only the completion is learnt, and its end', async () => {
  await withTokenizer(stories, async (tokenizer) => {
    const [prompt, completion] = ['Once upon a time', ', there was a cat.'];
    const text = prompt + completion;
    const item = { text, spans: [[prompt.length, text.length]] as const, specialTokens: true };
    const got = await tokenizer.encodeLearnt([
      { ...item, ends: true },
      { ...item, ends: false },
    ]);
    const whole = [...(await tokenizer.encode(text))];
    const before = (await tokenizer.encode(prompt)).length;
    const signed = whole.map((id, i) => (i < before ? ~id : id));
    assert.equal(rows(got.ids, got), [[...signed, 2], signed]);
  });
});

test('a token across the border counts, whichever side it is on', async () => {
  await withTokenizer(stories, async (tokenizer) => {
    const text = 'there was';
    const whole = [...(await tokenizer.encode(text))];
    for (let at = 1; at < text.length; at++) {
      const items = [[[at, text.length]], [[0, at]]].map((spans) => ({
        text,
        spans: spans as [number, number][],
        specialTokens: true,
        ends: false,
      }));
      const { ids, lengths } = await tokenizer.encodeLearnt(items);
      const [tail, head] = rows(ids, { ids, lengths }) as [number[], number[]];
      assert.equal(
        tail.map((id) => (id < 0 ? ~id : id)),
        whole,
      );
      // Together they cover everything behind the special token in front.
      for (let i = 1; i < whole.length; i++)
        assert.ok(tail[i]! >= 0 || head[i]! >= 0, `${at}: ${i}`);
      assert.ok(tail.at(-1)! >= 0);
      assert.ok(head[0]! < 0);
    }
  });
});

test("of a conversation the assistant's turns are learnt, with the mark that ends them", async () => {
  await withTokenizer(chatDirectory(), async (tokenizer) => {
    const messages = [
      { role: 'system', content: 'Be kind.' },
      { role: 'user', content: 'Hello' },
      { role: 'assistant', content: 'Hi there.' },
      { role: 'user', content: 'Bye' },
      { role: 'assistant', content: 'See you.' },
    ];
    const got = await tokenizer.encodeLearnt([{ messages }]);
    const signed = rows(got.ids, got)[0] as number[];
    const text =
      '<s><|system|>\nBe kind.</s>\n<|user|>\nHello</s>\n<|assistant|>\nHi there.</s>\n' +
      '<|user|>\nBye</s>\n<|assistant|>\nSee you.</s>\n';
    const whole = [...(await tokenizer.encode(text, { specialTokens: false }))];
    assert.equal(
      signed.map((id) => (id < 0 ? ~id : id)),
      whole,
    );
    const learnt = await tokenizer.decode(Int32Array.from(signed.filter((id) => id >= 0)));
    assert.match(learnt, /^ ?Hi there\.<\/s>\s*See you\.<\/s>\s*$/);
  });
});

test('an earlier turn that the template later writes differently is not learnt', async () => {
  const thinking =
    "{% for m in messages %}{{ m['role'] }}: {% if m['role'] == 'assistant' and loop.last %}(thinks) {% endif %}" +
    "{{ m['content'] }}\n{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}";
  await withTokenizer(chatDirectory(thinking), async (tokenizer) => {
    const messages = ['Hello', 'Hi there.', 'Bye', 'See you.'].map((content, i) => ({
      role: i % 2 === 0 ? 'user' : 'assistant',
      content,
    }));
    const { ids } = await tokenizer.encodeLearnt([{ messages }]);
    const learnt = await tokenizer.decode(ids.filter((id) => id >= 0));
    assert.match(learnt, /^ ?\(thinks\) See you\.\n$/);
  });
});

test('what a template refuses, or a tokenizer without one, is an error with a reason', async () => {
  const messages = [
    { role: 'judge', content: 'x' },
    { role: 'assistant', content: 'y' },
  ];
  await withTokenizer(chatDirectory(), async (tokenizer) => {
    const error = await fails(() => tokenizer.encodeLearnt([{ messages }]), 'FORMAT');
    assert.match(error.message, /unknown role/);
  });
  await withTokenizer(stories, (tokenizer) =>
    fails(() => tokenizer.encodeLearnt([{ messages }]), 'UNSUPPORTED'),
  );
  await withTokenizer(chatDirectory('{% for %}'), (tokenizer) =>
    fails(() => tokenizer.encodeLearnt([{ messages }]), 'FORMAT'),
  );
});
