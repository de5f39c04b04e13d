import type { Tokenizer } from '@huggingface/tokenizers';
import { EspalierError } from '../common/errors.js';
import type { WordEncoder } from './word-encoder.js';

/** A text of which only parts are learnt. */
export interface LearntText {
  text: string;
  /** Stretches of characters, in order and apart, whose tokens count in the loss. */
  spans: readonly (readonly [start: number, end: number])[];
  /** Add the tokenizer's own special tokens; false where the text holds them. */
  specialTokens: boolean;
  /** End it with the end-of-text token, which then is learnt like what it follows. */
  ends: boolean;
}

/** Token sequences, one after the other. */
export interface EncodedSequences {
  ids: Int32Array;
  lengths: Int32Array;
  /** Which part of a pair a token belongs to, where the tokenizer says so. */
  typeIds?: Uint8Array;
}

/** Tokenizes whole samples with one tokenizer; belongs to its thread. */
export class SequenceEncoder {
  readonly #tokenizer: Tokenizer;
  readonly #words: WordEncoder | undefined;
  readonly #typed: boolean;
  readonly #endId: number | undefined;

  /**
   * @param endToken the end-of-text token, if the tokenizer has one
   * @param typed false for tokenizers whose models don't tell the parts of a pair apart
   */
  constructor(
    tokenizer: Tokenizer,
    words: WordEncoder | undefined,
    { endToken, typed }: { endToken: string | undefined; typed: boolean },
  ) {
    this.#tokenizer = tokenizer;
    this.#words = words;
    this.#typed = typed;
    this.#endId = endToken === undefined ? undefined : tokenizer.token_to_id(endToken);
  }

  /** The end-of-text token's id. */
  get endId(): number | undefined {
    return this.#endId;
  }

  /** The ids of one text. */
  encode(text: string, specialTokens: boolean): readonly number[] {
    const ids: readonly number[] =
      this.#words?.encode(text, specialTokens) ??
      this.#tokenizer.encode(text, { add_special_tokens: specialTokens }).ids;
    return checked(ids);
  }

  /** The ids of many texts. */
  encodeAll(texts: readonly string[], specialTokens: boolean): EncodedSequences {
    return flatten(texts.map((text) => this.encode(text, specialTokens)));
  }

  /**
   * Texts, or pairs of texts, with the special tokens around them. Longer ones are cut, the longer
   * part first, before the special tokens go in.
   * @param pairs second texts, as many as `texts`
   * @throws EspalierError `CONFIG` when `maxLength` has no room for the special tokens.
   */
  encodePairs(
    texts: readonly string[],
    pairs: readonly string[] | undefined,
    maxLength: number,
  ): EncodedSequences {
    const rows: number[][] = [];
    const types: number[][] = [];
    for (const [i, text] of texts.entries()) {
      const first = this.#tokenizer.tokenize(text);
      const pair = pairs?.[i];
      const second = pair === undefined ? undefined : this.#tokenizer.tokenize(pair);
      const room = maxLength - this.#assemble([], second && []).ids.length;
      if (room < 1) {
        throw new EspalierError(
          'CONFIG',
          `maxLength ${maxLength} has no room beside special tokens`,
        );
      }
      cutToRoom(first, second, room);
      const { ids, typeIds } = this.#assemble(first, second);
      rows.push(ids);
      types.push(typeIds);
    }
    const flat = flatten(rows);
    const typed = this.#typed && types.some((row) => row.some((type) => type !== 0));
    return typed ? { ...flat, typeIds: Uint8Array.from(types.flat()) } : flat;
  }

  /**
   * Texts of which only parts are learnt: an id stands as it is where its token counts in the loss,
   * and as ~id where it does not. A token on a border counts when a part of it does.
   */
  encodeLearnt(items: readonly LearntText[]): EncodedSequences {
    return flatten(
      items.map(({ text, spans, specialTokens, ends }) => {
        const whole = this.encode(text, specialTokens);
        const signed = whole.map((id) => ~id);
        for (const [start, end] of spans) {
          const first = this.#tokensBefore(text, start, specialTokens, whole);
          const last = this.#tokensBefore(text, end, specialTokens, whole, true);
          for (let i = first; i < last; i++) signed[i] = whole[i] as number;
        }
        const end = this.#endId;
        if (!ends || end === undefined || whole.at(-1) === end) return signed;
        return [...signed, spans.at(-1)?.[1] === text.length ? end : ~end];
      }),
    );
  }

  /** How many of the text's tokens stand before a character; one across it counts with `across`. */
  #tokensBefore(
    text: string,
    at: number,
    specialTokens: boolean,
    whole: readonly number[],
    across = false,
  ): number {
    if (at >= text.length) return whole.length;
    if (at === 0) return across ? 0 : this.#leading(specialTokens);
    const part = this.encode(text.slice(0, at), specialTokens);
    let same = 0;
    while (same < part.length && part[same] === whole[same]) same++;
    // Tokens of the part that differ: the text's own token reaches over the border.
    const differs = same < part.length - this.#trailing(specialTokens);
    return differs && across ? same + 1 : same;
  }

  /** Special tokens in front of any text. */
  #leading(specialTokens: boolean): number {
    if (!specialTokens) return 0;
    const bare = this.#assemble([], undefined).ids;
    const probe = this.#assemble(['\u0000'], undefined).tokens.indexOf('\u0000');
    return probe < 0 ? bare.length : probe;
  }

  #trailing(specialTokens: boolean): number {
    if (!specialTokens) return 0;
    return this.#assemble([], undefined).ids.length - this.#leading(specialTokens);
  }

  #assemble(
    first: string[],
    second: string[] | undefined,
  ): { tokens: string[]; ids: number[]; typeIds: number[] } {
    const post = this.#tokenizer.post_processor;
    const made = post === null ? { tokens: first } : post(first, second ?? null, true);
    // A processor without special tokens hands the second part back beside the first.
    const rest = post === null ? second : 'token_type_ids' in made ? [] : made.tokens_pair;
    const tokens = [...made.tokens, ...(rest ?? [])];
    const unknown = this.#tokenizer.model?.unk_token_id;
    const ids = tokens.map((token) => this.#tokenizer.token_to_id(token) ?? unknown);
    const types = ('token_type_ids' in made ? made.token_type_ids : undefined) ?? [];
    return { tokens, ids: ids as number[], typeIds: tokens.map((_, i) => types[i] ?? 0) };
  }
}

/** A character without a token, in a tokenizer without an unknown token, has no id. */
function checked(ids: readonly number[]): readonly number[] {
  if (ids.some((id: unknown) => !Number.isInteger(id))) {
    throw new EspalierError('FORMAT', 'the tokenizer has no token for a part of the text');
  }
  return ids;
}

/** Cuts two lists to a common length, the longer one first, as Hugging Face's tokenizers do. */
function cutToRoom(first: string[], second: string[] | undefined, room: number): void {
  if (second === undefined) {
    first.length = Math.min(first.length, room);
    return;
  }
  const swapped = first.length > second.length;
  const [shorter, longer] = swapped ? [second, first] : [first, second];
  if (shorter.length + longer.length <= room) return;
  const half = Math.floor(room / 2);
  const kept = shorter.length <= half ? shorter.length : half;
  longer.length = room - kept;
  shorter.length = kept;
}

function flatten(rows: readonly (readonly number[])[]): EncodedSequences {
  const lengths = Int32Array.from(rows, (row) => row.length);
  const ids = new Int32Array(lengths.reduce((sum, length) => sum + length, 0));
  let at = 0;
  for (const row of rows) {
    ids.set(checked(row), at);
    at += row.length;
  }
  return { ids, lengths };
}
