import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

const SPECIAL = ['[PAD]', '[UNK]', '[CLS]', '[SEP]'];
const WORDS = 'the cat sat on mat ##s dog ran . a b c d e f g h'.split(' ');

const special = (id: string, type_id: number) => ({ SpecialToken: { id, type_id } });
const sequence = (id: string, type_id: number) => ({ Sequence: { id, type_id } });

/** The parts of tokenizer.json that put special tokens around texts, for three kinds of encoders. */
const PROCESSORS: Readonly<Record<string, unknown>> = {
  template: {
    type: 'TemplateProcessing',
    single: [special('[CLS]', 0), sequence('A', 0), special('[SEP]', 0)],
    pair: [
      special('[CLS]', 0),
      sequence('A', 0),
      special('[SEP]', 0),
      sequence('B', 1),
      special('[SEP]', 1),
    ],
    special_tokens: {
      '[CLS]': { id: '[CLS]', ids: [2], tokens: ['[CLS]'] },
      '[SEP]': { id: '[SEP]', ids: [3], tokens: ['[SEP]'] },
    },
  },
  bert: { type: 'BertProcessing', sep: ['[SEP]', 3], cls: ['[CLS]', 2] },
  roberta: {
    type: 'RobertaProcessing',
    sep: ['[SEP]', 3],
    cls: ['[CLS]', 2],
    trim_offsets: true,
    add_prefix_space: true,
  },
};

/** Writes the tokenizer of an encoder with 21 words into a directory. */
export function writeEncoderTokenizer(directory: string, processor = 'template'): void {
  const vocab = Object.fromEntries([...SPECIAL, ...WORDS].map((word, id) => [word, id]));
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false };
  const tokenizer = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: SPECIAL.map((content, id) => ({ id, content, ...flags, special: true })),
    normalizer: {
      type: 'BertNormalizer',
      clean_text: true,
      handle_chinese_chars: true,
      strip_accents: null,
      lowercase: true,
    },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: PROCESSORS[processor],
    decoder: null,
    model: {
      type: 'WordPiece',
      unk_token: '[UNK]',
      continuing_subword_prefix: '##',
      max_input_chars_per_word: 100,
      vocab,
    },
  };
  writeFileSync(join(directory, 'tokenizer.json'), JSON.stringify(tokenizer));
  const config = { pad_token: '[PAD]', unk_token: '[UNK]', cls_token: '[CLS]', sep_token: '[SEP]' };
  writeFileSync(join(directory, 'tokenizer_config.json'), JSON.stringify(config));
}

/** A chat template of the usual kind, with marks that are plain text for the tokenizer. */
export const CHAT_TEMPLATE =
  "{{ bos_token }}{% for message in messages %}{% if message['role'] not in ['system', 'user', 'assistant'] %}" +
  "{{ raise_exception('unknown role') }}{% endif %}<|{{ message['role'] }}|>\n{{ message['content'] }}{{ eos_token }}\n" +
  '{% endfor %}{% if add_generation_prompt %}<|assistant|>\n{% endif %}';
