import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Template } from '@huggingface/jinja';
import { EspalierError } from '../common/errors.js';
import type { LearntText } from './sequence-encoder.js';

/** One turn of a conversation, as it stands in the data. */
export interface ChatMessage {
  /** `system`, `user`, `assistant` … */
  role: string;
  content: string;
  [field: string]: unknown;
}

/** A tokenizer's own way of writing a conversation as one text. Belongs to the tokenizer's thread. */
export class ChatTemplate {
  readonly #template: Template;
  readonly #tokens: Readonly<Record<string, string>>;

  private constructor(template: Template, tokens: Readonly<Record<string, string>>) {
    this.#template = template;
    this.#tokens = tokens;
  }

  /**
   * The template of a model directory: `chat_template.jinja`, or `chat_template` of
   * tokenizer_config.json.
   * @param config tokenizer_config.json, read
   * @throws EspalierError `UNSUPPORTED` when it has none, `FORMAT` for one that is broken.
   */
  static load(directory: string, config: Readonly<Record<string, unknown>>): ChatTemplate {
    const source = findSource(directory, config);
    if (source === undefined) {
      throw new EspalierError('UNSUPPORTED', `the tokenizer of ${directory} has no chat template`, {
        remedy: 'use rows with prompt and completion, or a tokenizer that was made for chats',
      });
    }
    try {
      return new ChatTemplate(new Template(source), specialTokens(config));
    } catch (cause) {
      throw failure(cause);
    }
  }

  /**
   * Writes a conversation; what the assistant says is learnt, with the mark that ends its turn. An
   * earlier turn that the template writes differently once others follow is not learnt.
   * @throws EspalierError `FORMAT` when the template refuses the conversation, `UNSUPPORTED` when no
   * turn of the assistant can be found in what it writes.
   */
  write(messages: readonly ChatMessage[]): LearntText {
    const text = this.#render(messages, false);
    const spans: [number, number][] = [];
    for (const [i, message] of messages.entries()) {
      if (message.role !== 'assistant') continue;
      const end = this.#sharedEnd(messages.slice(0, i + 1), text);
      if (end === undefined) continue;
      const start = this.#start(messages.slice(0, i), text, spans.at(-1)?.[1] ?? 0, end);
      if (start !== undefined) spans.push([start, end]);
    }
    if (spans.length === 0) {
      throw new EspalierError(
        'UNSUPPORTED',
        "the chat template does not show where the assistant's turns begin",
        { remedy: 'use rows with prompt and completion' },
      );
    }
    return { text, spans, specialTokens: false, ends: false };
  }

  /** Where the text of some first messages ends, if the whole text begins with it. */
  #sharedEnd(messages: readonly ChatMessage[], text: string): number | undefined {
    const part = this.#render(messages, false);
    return text.startsWith(part) ? part.length : undefined;
  }

  /** Where the answer to some messages begins: behind the prompt that generation would start from. */
  #start(
    messages: readonly ChatMessage[],
    text: string,
    low: number,
    high: number,
  ): number | undefined {
    for (const prompted of [true, false]) {
      try {
        const part = this.#render(messages, prompted);
        if (text.startsWith(part) && part.length >= low && part.length < high) return part.length;
      } catch (error) {
        // A template may refuse a conversation that ends here, such as one without a user's turn.
        if (!(error instanceof EspalierError)) throw error;
      }
    }
    return undefined;
  }

  #render(messages: readonly ChatMessage[], prompted: boolean): string {
    try {
      return this.#template.render({
        messages,
        add_generation_prompt: prompted,
        tools: null,
        documents: null,
        ...this.#tokens,
      });
    } catch (cause) {
      throw failure(cause);
    }
  }
}

function findSource(
  directory: string,
  config: Readonly<Record<string, unknown>>,
): string | undefined {
  const file = join(directory, 'chat_template.jinja');
  if (existsSync(file)) return readFileSync(file, 'utf8');
  const own = config.chat_template;
  if (typeof own === 'string') return own;
  if (!Array.isArray(own)) return undefined;
  const named = own.find((entry) => entry?.name === 'default') ?? own[0];
  return typeof named?.template === 'string' ? named.template : undefined;
}

/** `bos_token`, `eos_token` and the like, as templates use them. */
export function specialTokens(config: Readonly<Record<string, unknown>>): Record<string, string> {
  const found: Record<string, string> = {};
  for (const [name, value] of Object.entries(config)) {
    if (!name.endsWith('_token')) continue;
    const text =
      typeof value === 'string' ? value : (value as { content?: unknown } | null)?.content;
    if (typeof text === 'string') found[name] = text;
  }
  return found;
}

function failure(cause: unknown): EspalierError {
  if (cause instanceof EspalierError) return cause;
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new EspalierError('FORMAT', `the chat template failed: ${reason}`, { cause });
}
