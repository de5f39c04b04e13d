import type { Tokenizer } from '@huggingface/tokenizers';

/** The character that stands for a space in SentencePiece vocabularies. */
const SPACE = '▁';

const MAX_CACHED_WORDS = 50_000;

/** The parts of tokenizer.json that decide whether words can be encoded one by one. */
interface TokenizerJson {
  normalizer?: { type?: string; normalizers?: unknown[] } | null;
  pre_tokenizer?: unknown;
  post_processor?: { type?: string; single?: object[] } | null;
  added_tokens?: { content?: unknown }[];
  model?: {
    type?: string;
    dropout?: number | null;
    continuing_subword_prefix?: string | null;
    end_of_word_suffix?: string | null;
    vocab?: Record<string, number>;
  };
}

/**
 * Encodes SentencePiece-style BPE (a space becomes `▁`, no pre-tokenizer) word by word, with a memory
 * for words, several times as fast as the whole text at once.
 *
 * It gives the same ids: where no token of the vocabulary holds `▁` behind another character, no merge
 * can cross the border between a word and the space after it, so the text falls into parts that are
 * merged independently.
 */
export class WordEncoder {
  readonly #tokenizer: Tokenizer;
  readonly #added: readonly string[];
  readonly #words = new Map<string, readonly number[]>();

  private constructor(tokenizer: Tokenizer, added: readonly string[]) {
    this.#tokenizer = tokenizer;
    this.#added = added;
  }

  /** An encoder for this tokenizer, or undefined where the argument above does not hold. */
  static for(tokenizer: Tokenizer, json: TokenizerJson): WordEncoder | undefined {
    const { model, normalizer, post_processor: post, added_tokens: tokens = [] } = json;
    const added = tokens.map((token) => String(token.content));
    const applies =
      JSON.stringify(normalizer?.type === 'Sequence' ? normalizer.normalizers : null) ===
        JSON.stringify([
          { type: 'Prepend', prepend: SPACE },
          { type: 'Replace', pattern: { String: ' ' }, content: SPACE },
        ]) &&
      json.pre_tokenizer == null &&
      model?.type === 'BPE' &&
      !model.dropout &&
      !model.continuing_subword_prefix &&
      !model.end_of_word_suffix &&
      Object.hasOwn(model.vocab ?? {}, SPACE) &&
      !Object.keys(model.vocab ?? {}).some((token) => /[^▁]▁/u.test(token)) &&
      !added.some((token) => token === '' || token.includes(' ') || token.includes(SPACE)) &&
      (post == null || (post.type === 'TemplateProcessing' && endsWithText(post.single)));
    return applies ? new WordEncoder(tokenizer, added) : undefined;
  }

  /** The ids of a text, or undefined when it holds an added token, which is matched before words. */
  encode(text: string, specialTokens: boolean): number[] | undefined {
    if (this.#added.some((token) => text.includes(token))) return undefined;
    const ids = specialTokens ? [...this.#tokenizer.encode('').ids] : [];
    let start = 0;
    for (let i = text.indexOf(' ', 1); i >= 0; i = text.indexOf(' ', i + 1)) {
      const before = text[i - 1];
      if (before === ' ' || before === SPACE || i === text.length - 1) continue;
      for (const id of this.#word(text.slice(start, i))) ids.push(id);
      start = i + 1;
    }
    if (start < text.length) for (const id of this.#word(text.slice(start))) ids.push(id);
    return ids;
  }

  #word(word: string): readonly number[] {
    const known = this.#words.get(word);
    if (known !== undefined) return known;
    const ids: number[] = this.#tokenizer.encode(word, { add_special_tokens: false }).ids;
    if (this.#words.size === MAX_CACHED_WORDS) this.#words.clear();
    this.#words.set(word, ids);
    return ids;
  }
}

/** Whether a template puts special tokens before the text only. */
function endsWithText(single: object[] | undefined): boolean {
  return single !== undefined && Object.hasOwn(single.at(-1) ?? {}, 'Sequence');
}
