import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { Tokenizer } from '@huggingface/tokenizers';
import { type ErrorCode, EspalierError } from '../common/errors.js';
import { fileError } from '../common/file-error.js';
import { type ChatMessage, ChatTemplate, specialTokens } from './chat-template.js';
import { type EncodedSequences, type LearntText, SequenceEncoder } from './sequence-encoder.js';
import { WordEncoder } from './word-encoder.js';

/** What the tokenizer's thread is asked to do. */
export type TokenizerRequest =
  | { kind: 'load' }
  | { kind: 'encode'; text: string; specialTokens: boolean }
  | { kind: 'encode-all'; texts: readonly string[]; specialTokens: boolean }
  | { kind: 'encode-file'; path: string; specialTokens: boolean }
  | {
      kind: 'encode-pairs';
      texts: readonly string[];
      pairs: readonly string[] | undefined;
      maxLength: number;
    }
  | { kind: 'encode-learnt'; items: readonly (LearntText | { messages: ChatMessage[] })[] }
  | { kind: 'describe' }
  | { kind: 'decode'; ids: Int32Array };

/** The special tokens that a program needs to know; undefined where the tokenizer has none. */
export interface TokenizerTokens {
  endId: number | undefined;
  padId: number | undefined;
}

/** What it answers. */
export type TokenizerReply =
  | { loaded: true }
  | { ids: Int32Array; bytes: number }
  | EncodedSequences
  | { tokens: TokenizerTokens }
  | { text: string }
  | { error: TokenizerFailure };

/** An `EspalierError` on its way between threads. */
export interface TokenizerFailure {
  code: ErrorCode;
  message: string;
  remedy?: string;
}

/** A tokenizer and what works with it. */
interface LoadedTokenizer {
  tokenizer: Tokenizer;
  encoder: SequenceEncoder;
  /** tokenizer_config.json */
  config: Readonly<Record<string, unknown>>;
  template?: ChatTemplate;
}

/** The largest text that is tokenized at once; JavaScript strings end at twice as much. */
const MAX_TEXT_BYTES = 2 ** 28;

const { directory } = workerData as { directory: string };
let loaded: LoadedTokenizer | undefined;

parentPort?.on('message', (request: TokenizerRequest) => {
  let reply: TokenizerReply;
  try {
    loaded ??= load(directory);
    reply = answer(loaded, request);
  } catch (error) {
    reply = { error: describeError(error) };
  }
  parentPort?.postMessage(reply, 'ids' in reply ? [reply.ids.buffer as ArrayBuffer] : []);
});

function answer(loaded: LoadedTokenizer, request: TokenizerRequest): TokenizerReply {
  switch (request.kind) {
    case 'load':
      return { loaded: true };
    case 'encode':
      return encode(loaded, request.text, request.specialTokens);
    case 'encode-all':
      return loaded.encoder.encodeAll(request.texts, request.specialTokens);
    case 'encode-file':
      return encode(loaded, readText(request.path), request.specialTokens);
    case 'encode-pairs':
      return loaded.encoder.encodePairs(request.texts, request.pairs, request.maxLength);
    case 'encode-learnt':
      return loaded.encoder.encodeLearnt(
        request.items.map((item) => ('messages' in item ? chat(loaded, item.messages) : item)),
      );
    case 'describe':
      return { tokens: describe(loaded) };
    case 'decode':
      return { text: request.ids.length === 0 ? '' : loaded.tokenizer.decode([...request.ids]) };
  }
}

function encode(
  { encoder }: LoadedTokenizer,
  text: string,
  specialTokens: boolean,
): TokenizerReply {
  const ids = Int32Array.from(encoder.encode(text, specialTokens));
  return { ids, bytes: Buffer.byteLength(text) };
}

function chat(loaded: LoadedTokenizer, messages: readonly ChatMessage[]): LearntText {
  loaded.template ??= ChatTemplate.load(directory, loaded.config);
  return loaded.template.write(messages);
}

function describe({ tokenizer, encoder, config }: LoadedTokenizer): TokenizerTokens {
  const { pad_token: pad } = specialTokens(config);
  const padId = pad === undefined ? undefined : tokenizer.token_to_id(pad);
  return { endId: encoder.endId, padId };
}

function load(folder: string): LoadedTokenizer {
  const path = join(folder, 'tokenizer.json');
  if (!existsSync(path)) {
    throw new EspalierError('UNSUPPORTED', `${folder} has no tokenizer.json`, {
      remedy: 'save the model with a fast tokenizer, which writes tokenizer.json',
    });
  }
  const settings = join(folder, 'tokenizer_config.json');
  const json = parse(path);
  const config = (existsSync(settings) ? parse(settings) : {}) as Record<string, unknown>;
  try {
    const tokenizer = new Tokenizer(json, config);
    const { post_processor: post } = json as { post_processor?: { type?: string } | null };
    const encoder = new SequenceEncoder(tokenizer, WordEncoder.for(tokenizer, json), {
      endToken: specialTokens(config).eos_token,
      // RoBERTa knows one type only, though its processor counts two.
      typed: post?.type !== 'RobertaProcessing',
    });
    return { tokenizer, encoder, config };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new EspalierError('FORMAT', `${path} can't be used: ${reason}`, { cause });
  }
}

function parse(path: string): object {
  const text = readText(path);
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value;
  } catch (cause) {
    throw new EspalierError('FORMAT', `${path} is not valid JSON`, { cause });
  }
  throw new EspalierError('FORMAT', `${path} does not hold a JSON object`);
}

/** The text as it stands: no change of line ends, and a byte order mark stays a character. */
function readText(path: string): string {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw fileError(error, 'read', path);
  }
  if (bytes.length > MAX_TEXT_BYTES) {
    throw new EspalierError('UNSUPPORTED', `${path} is longer than ${MAX_TEXT_BYTES} bytes`);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new EspalierError('FORMAT', `${path} is not UTF-8 text`, { cause });
  }
}

function describeError(error: unknown): TokenizerFailure {
  if (!(error instanceof EspalierError)) {
    const message = error instanceof Error ? error.message : String(error);
    return { code: 'FORMAT', message: `the tokenizer failed: ${message}` };
  }
  const { code, message, remedy } = error;
  return { code, message, ...(remedy === undefined ? {} : { remedy }) };
}
